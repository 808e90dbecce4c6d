"""Jobs that are due, and which of them the dispatcher can start."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.dispatch import PostgresDispatchQueue
from longhaul.adapters.postgres.jobs import PostgresJobs
from longhaul.adapters.telemetry.logs import LoggedErrors
from longhaul.adapters.telemetry.metrics import ApiMetrics
from longhaul.api.dispatcher import LONGEST_SUMMARY, STARTED_AGAIN_AFTER, Dispatcher
from longhaul.core.catalog import Catalog
from longhaul.core.jobs import Job
from longhaul.core.messages import MOST_FAIRNESS_BYTES, fairness_key
from longhaul.core.tasks import cancel_and_wait
from tests.factories import make_new_job
from tests.fakes import NoWorkflows
from tests.job_types.echo import Echo
from tests.waiting import until


class Starts(NoWorkflows):
    """Starts every job except those of one owner."""

    def __init__(self, wanted: int) -> None:
        self.summaries: dict[str, str] = {}
        self.tried: set[str] = set()
        self.all_tried = asyncio.Event()
        self._wanted = wanted

    async def start(self, job: Job, workflow: type, queue: str, summary: str) -> bool:
        self.tried.add(job.id)
        if len(self.tried) == self._wanted:
            self.all_tried.set()
        if job.owner == "odd":
            raise ValueError("no such key")
        self.summaries[job.id] = summary
        return True


async def make_job(database: PostgresDatabase, **changes: object) -> Job:
    async with database.begin() as tx:
        job = await PostgresJobs().insert(tx, make_new_job(job_type="echo", **changes))
    assert job is not None
    return job


@asynccontextmanager
async def dispatched(database: PostgresDatabase, workflows: Starts) -> AsyncIterator[None]:
    """Every job has been tried once when the block begins."""
    dispatcher = Dispatcher(
        queue=PostgresDispatchQueue(database),
        workflows=workflows,
        catalog=Catalog([Echo()]),
        metrics=ApiMetrics(),
        errors=LoggedErrors(),
    )
    running = asyncio.create_task(dispatcher.run())
    async with asyncio.timeout(60):
        await workflows.all_tried.wait()
    yield
    await cancel_and_wait([running])


async def test_a_job_that_cannot_be_started_keeps_no_other_waiting(
    database: PostgresDatabase,
) -> None:
    odd = await make_job(database, owner="odd")
    jobs = [await make_job(database) for _ in range(3)]
    workflows = Starts(4)

    async def is_put_off() -> bool:
        async with database.begin() as tx:
            (row,) = await tx.fetch(
                "SELECT dispatch_after > now() + $2 AS later FROM job WHERE id = $1",
                odd.id,
                STARTED_AGAIN_AFTER / 2,
            )
        return bool(row["later"])

    async with dispatched(database, workflows):
        await until(is_put_off, what="the odd job to be put off")

    assert set(workflows.summaries) == {job.id for job in jobs}


async def test_what_a_caller_calls_the_report_is_shown_in_short(
    database: PostgresDatabase,
) -> None:
    job = await make_job(database, metadata={"report_name": "x" * 10_000})
    workflows = Starts(1)

    async with dispatched(database, workflows):
        assert workflows.summaries[job.id].startswith("Echo: xxx")
    assert len(workflows.summaries[job.id]) == LONGEST_SUMMARY


@pytest.mark.parametrize("owner", ["u-1", "x" * 100, "Ж" * 40, "a" + "€" * 40])
def test_temporal_takes_every_owners_fairness_key(owner: str) -> None:
    key = fairness_key(owner)

    assert len(key.encode()) <= MOST_FAIRNESS_BYTES
    assert key
    assert owner.startswith(key)
