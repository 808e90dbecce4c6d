"""The parts of a worker process that chunks need, in the test's process, without Temporal."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.testing import ActivityEnvironment

from longhaul.activities.chunk import ALONE_WITHIN, ChunkActivities
from longhaul.activities.flag_watch import FlagWatch
from longhaul.activities.item_run import ItemRunner
from longhaul.activities.job_runs import JobRuns
from longhaul.activities.plan import PlanActivities
from longhaul.core.controls import Flag
from longhaul.core.jobs import Job, RunMode
from longhaul.core.messages import ChunkRequest, ChunkResult, PlanRequest
from longhaul.core.tasks import cancel_and_wait
from tests.engine import Engine
from tests.waiting import until


@dataclass
class WorkerProcess:
    """Plans jobs and runs single chunks of them."""

    engine: Engine
    chunks: ChunkActivities

    async def job(self, **parameters: Any) -> Job:
        """A job that was planned."""
        job_id = await self.engine.create(start=False, **parameters)
        parts = self.engine.parts
        plan = PlanActivities(stores=parts.stores, catalog=parts.catalog, errors=parts.errors)
        request = PlanRequest(job_id=job_id, attempt=1, run_id="run-1")
        await ActivityEnvironment().run(plan.plan, request)
        return await self.engine.job(job_id)

    async def run(
        self,
        job: Job,
        first: int,
        last: int,
        *,
        careful: bool = False,
        at_once: int = 4,
        environment: ActivityEnvironment | None = None,
    ) -> ChunkResult:
        request = ChunkRequest(
            job_id=job.id,
            attempt=job.attempt,
            epoch=job.epoch,
            generation=job.generation,
            first=first,
            last=last,
            at_once=1 if careful else at_once,
            careful=careful,
        )
        return await (environment or ActivityEnvironment()).run(self.chunks.run_chunk, request)

    async def died_over(self, job: Job, ordinal: int, times: int = 1) -> None:
        """Careful chunks were there before."""
        await self.engine.stores.ledger.note_losses(job.id, ordinal, times)

    async def told(self, job: Job, generation: int, mode: RunMode) -> None:
        """Return once the chunks have got a flag."""
        flag = Flag(attempt=job.attempt, generation=generation, mode=mode)
        await self.engine.flags.raise_flag(job.id, flag)

        async def has_heard() -> bool:
            return self.engine.flags.heard.get(job.id) == flag

        await until(has_heard, what=f"the chunks of {job.id} to hear of {flag}")

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

    def ran(self, job: Job) -> list[int]:
        return [ordinal for job_id, ordinal in self.engine.echo.started if job_id == job.id]


@asynccontextmanager
async def open_process(
    engine: Engine, *, alone_within: timedelta = ALONE_WITHIN
) -> AsyncIterator[WorkerProcess]:
    parts = engine.parts
    watch = FlagWatch(parts.flags)
    runs = JobRuns(stores=parts.stores, watch=watch, catalog=parts.catalog, errors=parts.errors)
    runner = ItemRunner(
        database=parts.stores.database,
        journal=parts.journal,
        providers={},
        logs=parts.logs,
        errors=parts.errors,
    )
    chunks = ChunkActivities(
        runs=runs,
        ledger=parts.stores.ledger,
        runner=runner,
        max_in_flight=8,
        alone_within=alone_within,
    )
    watching = asyncio.create_task(watch.run())
    yield WorkerProcess(engine, chunks)
    await cancel_and_wait([watching])
