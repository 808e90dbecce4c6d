"""What a chunk does once workers have died over it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from redis.asyncio import Redis
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from longhaul.activities.chunk import ALONE_WITHIN, MAX_LOSSES, ChunkActivities
from longhaul.activities.flag_watch import FlagWatch
from longhaul.activities.item_run import ItemRunner
from longhaul.activities.job_runs import JobRuns
from longhaul.activities.plan import PlanActivities
from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.core.jobs import Job
from longhaul.core.messages import (
    STOPPED_BY_PAUSE,
    STOPPED_BY_SHUTDOWN,
    ChunkRequest,
    ChunkResult,
    PlanRequest,
)
from tests.conftest import until
from tests.engine import Engine, open_engine


@dataclass
class Process:
    """What a worker process has for chunks."""

    engine: Engine
    chunks: ChunkActivities

    async def job(self, **parameters: object) -> Job:
        """A job that was planned."""
        job_id = await self.engine.create(start=False, **parameters)
        parts = self.engine.parts
        plan = PlanActivities(stores=parts.stores, catalog=parts.catalog, reports=parts.reports)
        request = PlanRequest(job_id=job_id, attempt=1, run_id="run-1")
        await ActivityEnvironment().run(plan.plan, request)
        return await self.engine.job(job_id)

    async def run(
        self,
        job: Job,
        first: int,
        last: int,
        *,
        careful: bool,
        environment: ActivityEnvironment | None = None,
    ) -> ChunkResult:
        request = ChunkRequest(
            job_id=job.id,
            attempt=job.attempt,
            epoch=job.epoch,
            generation=job.generation,
            first=first,
            last=last,
            at_once=1 if careful else 4,
            careful=careful,
        )
        return await (environment or ActivityEnvironment()).run(self.chunks.run_chunk, request)

    async def died_over(self, job: Job, ordinal: int, times: int = 1) -> None:
        """Careful chunks were there before."""
        await self.engine.stores.ledger.note_losses(job.id, ordinal, times)

    async def waits(self, job: Job) -> None:
        """Return once a chunk waits for the process."""

        async def is_shown() -> bool:
            shown = await self.engine.stores.board.read(job.id)
            return any(live.waiting_for == "worker" for live in shown.live)

        await until(is_shown, what=f"{job.id} to wait for the worker")

    async def losses(self, job: Job) -> list[int]:
        return [row["losses"] for row in await self.engine.items(job.id)]

    async def started(self, job: Job, count: int) -> None:
        async def enough() -> bool:
            return len(self.ran(job)) >= count

        await until(enough, what=f"{count} items to start")

    async def waits_for_a_lock(self) -> None:
        async def is_so() -> bool:
            async with self.engine.stores.database.begin() as tx:
                (row,) = await tx.fetch(
                    "SELECT count(*) AS n FROM pg_stat_activity "
                    "WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
            return bool(row["n"])

        await until(is_so, what="a statement to wait for a lock")

    def ran(self, job: Job) -> list[int]:
        return [ordinal for job_id, ordinal in self.engine.echo.started if job_id == job.id]


@pytest.fixture
async def process(
    request: pytest.FixtureRequest,
    temporal_client: Client,
    database: PostgresDatabase,
    redis_client: Redis,
) -> AsyncIterator[Process]:
    async with open_engine(temporal_client, database, redis_client) as engine:
        parts = engine.parts
        runs = JobRuns(
            stores=parts.stores,
            watch=FlagWatch(parts.flags),
            catalog=parts.catalog,
            reports=parts.reports,
        )
        runner = ItemRunner(
            database=parts.stores.database,
            journal=parts.journal,
            providers={},
            logs=parts.logs,
            reports=parts.reports,
        )
        chunks = ChunkActivities(
            runs=runs,
            ledger=parts.stores.ledger,
            runner=runner,
            max_in_flight=8,
            alone_within=getattr(request, "param", ALONE_WITHIN),
        )
        yield Process(engine, chunks)


@pytest.mark.invariant("I6")
async def test_an_item_over_which_workers_died_has_the_process_to_itself(
    process: Process,
) -> None:
    gate = process.engine.echo.gate = asyncio.Event()
    before, suspect, after = [await process.job(items=4) for _ in range(3)]
    await process.died_over(suspect, 0)
    running = asyncio.create_task(process.run(before, 0, 3, careful=False))
    await process.started(before, 4)
    suspected = asyncio.create_task(process.run(suspect, 0, 0, careful=True))
    await process.waits(suspect)
    late = asyncio.create_task(process.run(after, 0, 3, careful=False))

    seen: list[tuple[bool, list[int]]] = []

    async def look(job_id: str) -> None:
        if job_id == suspect.id:
            seen.append((gate.is_set(), process.ran(after)))

    process.engine.echo.before_each = look
    gate.set()
    await asyncio.gather(running, suspected, late)
    assert seen == [(True, [])], "it began when those before had ended, and none after it had"
    assert len(process.ran(after)) == 4


@pytest.mark.invariant("I6")
@pytest.mark.parametrize("process", [timedelta(seconds=0.1)], indirect=True)
async def test_a_process_is_not_waited_for_for_ever(process: Process) -> None:
    process.engine.echo.gate = asyncio.Event()
    other, suspect = await process.job(items=1), await process.job(items=1)
    await process.died_over(suspect, 0)
    running = asyncio.create_task(process.run(other, 0, 0, careful=False))
    await process.started(other, 1)
    suspected = asyncio.create_task(process.run(suspect, 0, 0, careful=True))
    await process.started(suspect, 1)

    process.engine.echo.gate.set()
    await asyncio.gather(running, suspected)
    assert await process.engine.echoes(suspect.id) == [0]


@pytest.mark.invariant("I6")
async def test_an_item_is_stored_before_the_next_one_may_kill_the_worker(
    process: Process,
) -> None:
    states: list[list[str]] = []

    async def look(job_id: str) -> None:
        states.append([row["state"] for row in await process.engine.items(job_id)])

    process.engine.echo.before_each = look
    job = await process.job(items=3)
    await process.run(job, 0, 2, careful=True)

    assert states == [
        ["open", "open", "open"],
        ["done", "open", "open"],
        ["done", "done", "open"],
    ]


async def test_a_stop_that_the_worker_lives_through_is_not_held_against_an_item(
    process: Process,
) -> None:
    process.engine.echo.gate = asyncio.Event()
    job = await process.job(items=2)
    environment = ActivityEnvironment()
    running = asyncio.create_task(process.run(job, 0, 1, careful=True, environment=environment))
    await process.started(job, 1)
    assert await process.losses(job) == [1, 0]

    environment.cancel()
    result = await running
    assert result.stopped == STOPPED_BY_PAUSE
    assert await process.losses(job) == [0, 0]


async def test_a_stop_while_an_item_is_noted_starts_nothing_and_leaves_no_note(
    process: Process,
) -> None:
    job = await process.job(items=1)
    environment = ActivityEnvironment()
    async with process.engine.stores.database.begin() as tx:
        await tx.execute("SELECT 1 FROM job_item WHERE job_id = $1 FOR UPDATE", job.id)
        running = asyncio.create_task(process.run(job, 0, 0, careful=True, environment=environment))
        await process.waits_for_a_lock()
        environment.worker_shutdown()
        # The chunk hears of it in the loop's next turns; its statement waits for ours meanwhile.
        await asyncio.sleep(0)
    result = await running

    assert (result.stopped, process.ran(job)) == (STOPPED_BY_SHUTDOWN, [])
    assert await process.losses(job) == [0]


async def test_a_chunk_that_waits_for_the_process_stops_at_once(process: Process) -> None:
    process.engine.echo.gate = asyncio.Event()
    other, job = await process.job(items=2), await process.job(items=1)
    await process.died_over(job, 0)
    beside = asyncio.create_task(process.run(other, 0, 0, careful=False))
    await process.started(other, 1)
    environment = ActivityEnvironment()
    waiting = asyncio.create_task(process.run(job, 0, 0, careful=True, environment=environment))
    await process.waits(job)

    environment.worker_shutdown()
    result = await waiting
    assert (result.stopped, process.ran(job)) == (STOPPED_BY_SHUTDOWN, [])
    assert await process.losses(job) == [1]

    next_one = asyncio.create_task(process.run(other, 1, 1, careful=False))
    await process.started(other, 2)
    process.engine.echo.gate.set()
    await asyncio.gather(beside, next_one)


@pytest.mark.invariant("I6")
async def test_an_item_over_which_too_many_workers_died_fails_unseen(process: Process) -> None:
    job = await process.job(items=2)
    await process.died_over(job, 0, times=MAX_LOSSES)
    await process.run(job, 0, 1, careful=True)

    rows = await process.engine.items(job.id)
    assert [(row["state"], row["error_code"]) for row in rows] == [
        ("failed", "worker_lost"),
        ("done", None),
    ]
    assert process.ran(job) == [1]
