"""The fence of a batch: under an old epoch, or after the end, nothing is counted."""

import pytest

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.jobs import PostgresJobs
from longhaul.core.jobs import Job, JobStatus
from longhaul.core.ports import CountChanges
from tests.factories import make_new_job

MINE = 2


async def counted(database: PostgresDatabase, status: JobStatus, *, epoch: int) -> tuple[bool, Job]:
    """Whether one more item is counted for a job of epoch 2, and the job afterwards."""
    jobs = PostgresJobs()
    async with database.begin() as tx:
        job = await jobs.insert(tx, make_new_job())
        assert job is not None
        job = await jobs.update(tx, job, status=status, epoch=MINE)
        row = await jobs.count(tx, job.id, epoch, CountChanges(done=1))
        after = await jobs.read(tx, job.id)
    assert after is not None
    return row is not None, after


@pytest.mark.invariant("I3")
async def test_who_has_the_epoch_of_a_job_that_runs_counts(database: PostgresDatabase) -> None:
    is_counted, job = await counted(database, JobStatus.RUNNING, epoch=MINE)

    assert (is_counted, job.counts.done) == (True, 1)


@pytest.mark.invariant("I3")
@pytest.mark.parametrize("epoch", [MINE - 1, MINE + 1])
async def test_who_has_another_epoch_counts_nothing(database: PostgresDatabase, epoch: int) -> None:
    is_counted, job = await counted(database, JobStatus.RUNNING, epoch=epoch)

    assert (is_counted, job.counts.done) == (False, 0)


@pytest.mark.invariant("I3")
@pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED])
async def test_nobody_counts_for_a_job_that_has_ended(
    database: PostgresDatabase, status: JobStatus
) -> None:
    is_counted, job = await counted(database, status, epoch=MINE)

    assert (is_counted, job.counts.done) == (False, 0)
