"""Rows and workflows that do not agree, as the reconciler finds and repairs them."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.jobs import PostgresJobs
from longhaul.adapters.postgres.ledger import PostgresLedger
from longhaul.adapters.postgres.reconciliation import PostgresReconciliation
from longhaul.adapters.telemetry.logs import LoggedErrors
from longhaul.adapters.telemetry.metrics import ApiMetrics
from longhaul.api.reconciler import AT_ONCE, Reconciler
from longhaul.core.catalog import Catalog
from longhaul.core.errors import TemporalUnavailable
from longhaul.core.jobs import Job, JobStatus, Pause, Requested, RunMode
from longhaul.core.ports import RunStatus, Stores, WorkflowRun
from longhaul.services.job_finisher import JobFinisher
from tests.factories import make_new_job
from tests.fakes import NoBoard, NoWorkflows
from tests.job_types.echo import Echo
from tests.waiting import PATIENCE

NOW = timedelta(0)


class Found(NoWorkflows):
    """Temporal, with an answer for each job; errors are raised."""

    def __init__(self) -> None:
        self.runs: Mapping[str, WorkflowRun | Exception | None] = {}
        self.asked: list[str] = []
        self.together: asyncio.Barrier | None = None

    async def describe(self, job_id: str) -> WorkflowRun | None:
        self.asked.append(job_id)
        if self.together is not None:
            await self.together.wait()
        run = self.runs[job_id]
        if isinstance(run, Exception):
            raise run
        return run


@dataclass
class Desk:
    """A reconciler, and the jobs that it checks."""

    stores: Stores
    reconciler: Reconciler
    temporal: Found

    async def job(self, run_id: str = "run-1") -> Job:
        """A job whose workflow runs."""
        new = make_new_job()
        async with self.stores.database.begin() as tx:
            job = await self.stores.jobs.insert(tx, new)
            assert job is not None
            return await self.stores.jobs.update(tx, job, status=JobStatus.RUNNING, run_id=run_id)

    async def read(self, job: Job) -> Job:
        async with self.stores.database.begin() as tx:
            found = await self.stores.jobs.read(tx, job.id)
        assert found is not None
        return found


@pytest.fixture
def desk(database: PostgresDatabase) -> Desk:
    jobs = PostgresJobs()
    stores = Stores(database=database, jobs=jobs, ledger=PostgresLedger(database), board=NoBoard())
    errors, temporal = LoggedErrors(), Found()
    reconciler = Reconciler(
        database=database,
        jobs=jobs,
        candidates=PostgresReconciliation(database),
        workflows=temporal,
        finisher=JobFinisher(stores=stores, catalog=Catalog([Echo()]), errors=errors),
        board=stores.board,
        metrics=ApiMetrics(),
        errors=errors,
    )
    return Desk(stores, reconciler, temporal)


def run(status: RunStatus, run_id: str = "run-1") -> WorkflowRun:
    return WorkflowRun(run_id=run_id, status=status, started_at=datetime.now(UTC))


@pytest.mark.parametrize("run_id", ["run-1", "run-of-the-next-start"])
async def test_a_job_whose_workflow_runs_is_left_alone(desk: Desk, run_id: str) -> None:
    job = await desk.job()
    desk.temporal.runs = {job.id: run(RunStatus.RUNNING, run_id)}

    assert await desk.reconciler.look(NOW) == 0
    assert await desk.read(job) == job


@pytest.mark.parametrize("found", [None, run(RunStatus.COMPLETED, "an-older-run")])
async def test_a_job_whose_workflow_is_lost_begins_again_fenced_off(
    desk: Desk, found: WorkflowRun | None
) -> None:
    job = await desk.job()
    desk.temporal.runs = {job.id: found}

    assert await desk.reconciler.look(NOW) == 1
    repaired = await desk.read(job)
    assert repaired.status is JobStatus.PENDING
    assert (repaired.epoch, repaired.attempt) == (job.epoch + 1, job.attempt)
    assert repaired.started_at is not None
    assert repaired.started_at == job.started_at, "the deadline counts from there"


ASKED_FOR = Pause(mode=RunMode.DRAIN, by="u-1", reason="lunch")


@pytest.mark.invariant("I4")
@pytest.mark.parametrize(
    ("requested", "pause", "wanted"),
    [
        (None, None, None),
        (None, ASKED_FOR, Requested.PAUSE),
        (Requested.PAUSE, ASKED_FOR, Requested.PAUSE),
        (Requested.PAUSE, None, Requested.PAUSE),
        (Requested.RESUME, ASKED_FOR, None),
        (Requested.CANCEL, ASKED_FOR, Requested.CANCEL),
    ],
)
async def test_a_request_that_was_lost_with_its_workflow_is_still_heard(
    desk: Desk, requested: Requested | None, pause: Pause | None, wanted: Requested | None
) -> None:
    job = await desk.job()
    async with desk.stores.database.begin() as tx:
        await desk.stores.jobs.update(tx, job, requested=requested, pause=pause)
    desk.temporal.runs = {job.id: None}

    assert await desk.reconciler.look(NOW) == 1
    repaired = await desk.read(job)
    assert repaired.requested == wanted
    assert (repaired.pause is not None) == (wanted is Requested.PAUSE)


@pytest.mark.parametrize(
    ("status", "code"),
    [(RunStatus.TERMINATED, "terminated"), (RunStatus.FAILED, "workflow_failed")],
)
async def test_a_workflow_that_was_ended_from_outside_ends_its_job(
    desk: Desk, status: RunStatus, code: str
) -> None:
    job = await desk.job()
    desk.temporal.runs = {job.id: run(status)}

    assert await desk.reconciler.look(NOW) == 1
    ended = await desk.read(job)
    assert ended.status is JobStatus.FAILED
    assert ended.fault is not None
    assert ended.fault.code == code


async def test_one_odd_job_ends_no_other_repairs(desk: Desk) -> None:
    jobs = [await desk.job() for _ in range(3)]
    first, odd, last = sorted(jobs, key=lambda job: job.id)
    desk.temporal.runs = {first.id: None, odd.id: KeyError("odd"), last.id: None}

    assert await desk.reconciler.look(NOW) == 2
    assert (await desk.read(odd)).status is JobStatus.RUNNING
    assert (await desk.read(last)).status is JobStatus.PENDING


async def test_a_job_that_temporal_does_not_answer_for_keeps_no_other_waiting(desk: Desk) -> None:
    jobs = [await desk.job() for _ in range(2)]
    first, last = sorted(jobs, key=lambda job: job.id)
    desk.temporal.runs = {first.id: TemporalUnavailable(), last.id: None}

    assert await desk.reconciler.look(NOW) == 1
    assert (await desk.read(first)).status is JobStatus.RUNNING
    assert (await desk.read(last)).status is JobStatus.PENDING


async def test_many_jobs_are_asked_for_at_once(desk: Desk) -> None:
    jobs = [await desk.job() for _ in range(2 * AT_ONCE)]
    desk.temporal.runs = {job.id: run(RunStatus.RUNNING) for job in jobs}
    desk.temporal.together = asyncio.Barrier(AT_ONCE)

    async with asyncio.timeout(PATIENCE):
        assert await desk.reconciler.look(NOW) == 0
    assert sorted(desk.temporal.asked) == sorted(job.id for job in jobs)


async def test_a_job_that_nobody_has_started_yet_is_not_asked_for(desk: Desk) -> None:
    async with desk.stores.database.begin() as tx:
        waiting = await desk.stores.jobs.insert(tx, make_new_job())
        started = await desk.stores.jobs.insert(tx, make_new_job())
        assert waiting is not None
        assert started is not None
        await tx.execute(
            "UPDATE job SET dispatched_at = clock_timestamp() WHERE id = $1", started.id
        )
    desk.temporal.runs = dict.fromkeys([waiting.id, started.id])

    await desk.reconciler.look(NOW)
    assert desk.temporal.asked == [started.id]


async def test_a_look_ends_when_temporal_answers_for_no_job_at_all(desk: Desk) -> None:
    jobs = [await desk.job() for _ in range(AT_ONCE + 4)]
    desk.temporal.runs = {job.id: TemporalUnavailable() for job in jobs}

    with pytest.raises(TemporalUnavailable):
        await desk.reconciler.look(NOW)
    assert len(desk.temporal.asked) == AT_ONCE


async def test_while_temporal_is_away_nothing_is_taken_for_lost(desk: Desk) -> None:
    job = await desk.job()
    desk.temporal.runs = {job.id: TemporalUnavailable()}

    with pytest.raises(TemporalUnavailable):
        await desk.reconciler.look(NOW)
    assert await desk.read(job) == job
