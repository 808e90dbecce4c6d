"""A whole engine in the test's process: real servers, our workers, and access to the job."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from redis.asyncio import Redis
from temporalio.client import Client, WorkflowHandle

from longhaul.activities.collect import Collect
from longhaul.activities.patience import PATIENCE
from longhaul.adapters.postgres.calls import PostgresCallJournal
from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.dispatch import PostgresDispatchQueue
from longhaul.adapters.postgres.flows import PostgresFlows
from longhaul.adapters.postgres.jobs import PostgresJobs
from longhaul.adapters.postgres.ledger import PostgresLedger
from longhaul.adapters.redis.board import RedisJobBoard
from longhaul.adapters.redis.flags import RedisFlags
from longhaul.adapters.redis.logs import RedisLogTail
from longhaul.adapters.telemetry.logs import LoggedErrors
from longhaul.adapters.telemetry.metrics import ApiMetrics
from longhaul.adapters.temporal.workflows import TemporalWorkflows
from longhaul.api.dispatcher import Dispatcher
from longhaul.core.catalog import AnyJobType, Catalog
from longhaul.core.controls import Flag
from longhaul.core.jobs import Job, JobOptions, JobStatus
from longhaul.core.ports import Flags, Stores
from longhaul.core.principals import Principal
from longhaul.core.tasks import cancel_and_wait
from longhaul.job_types.flow import FlowJobType
from longhaul.worker.build import Parts, build_workers
from longhaul.worker.timed import timed_work
from tests.conftest import end_workflows
from tests.factories import TESTER, make_new_job
from tests.job_types import flows
from tests.job_types.echo import CREATE_TABLE, Echo, RollingEcho
from tests.waiting import until


class HeardFlags:
    """Real flags, and a record of those that running chunks got."""

    def __init__(self, flags: Flags) -> None:
        self._flags = flags
        self.heard: dict[str, Flag] = {}

    async def raise_flag(self, job_id: str, flag: Flag) -> None:
        await self._flags.raise_flag(job_id, flag)

    async def read(self, job_ids: Sequence[str]) -> Sequence[Flag | None]:
        flags = await self._flags.read(job_ids)
        # Waiters run after the watch has passed the flags on.
        self.heard |= {job_id: flag for job_id, flag in zip(job_ids, flags, strict=True) if flag}
        return flags


@dataclass
class Engine:
    """Starts jobs of the `echo` type and reads their results."""

    client: Client
    parts: Parts
    workflows: TemporalWorkflows
    echo: Echo
    rolling: RollingEcho
    note: flows.Note
    flags: HeardFlags
    cached_workflows: int = 1_000
    max_in_flight: int = 400
    outage_patience: timedelta = PATIENCE

    @property
    def stores(self) -> Stores:
        return self.parts.stores

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[None]:
        """Run a worker for as long as the block."""
        workers, watch = build_workers(
            self.client,
            self.parts,
            max_in_flight=self.max_in_flight,
            cached_workflows=self.cached_workflows,
            outage_patience=self.outage_patience,
        )
        watching = asyncio.create_task(watch.run())
        async with AsyncExitStack() as stack:
            for worker in workers:
                await stack.enter_async_context(worker)
            yield
        await cancel_and_wait([watching])

    @asynccontextmanager
    async def dispatcher(self) -> AsyncIterator[None]:
        """Start what is pending, as every API process does, for as long as the block."""
        dispatcher = Dispatcher(
            queue=PostgresDispatchQueue(self.stores.database),
            workflows=self.workflows,
            catalog=self.parts.catalog,
            metrics=ApiMetrics(),
            errors=self.parts.errors,
        )
        running = asyncio.create_task(dispatcher.run())
        yield
        await cancel_and_wait([running])

    async def create(
        self,
        *,
        concurrency: int = 4,
        start: bool = True,
        deadline: float | None = None,
        stop_ratio: float | None = None,
        rolling: bool = False,
        **parameters: Any,
    ) -> str:
        """Store a job and start its workflow."""
        new = make_new_job(
            job_type=self.rolling.name if rolling else self.echo.name,
            parameters=parameters,
            options=JobOptions(
                concurrency=concurrency,
                deadline_seconds=deadline,
                stop_after_failure_ratio=stop_ratio,
            ),
        )
        async with self.stores.database.begin() as tx:
            job = await self.stores.jobs.insert(tx, new)
        assert job is not None
        if start:
            await self.start(job)
        return job.id

    async def submit(
        self,
        job_type: AnyJobType,
        *,
        by: Principal = TESTER,
        concurrency: int = 4,
        **parameters: Any,
    ) -> str:
        """Store a job of any type as the API does, and start its workflow."""
        read = job_type.parameters.model_validate(json.loads(json.dumps(parameters, default=str)))
        async with self.stores.database.begin() as tx:
            prepared = await job_type.prepare(tx, read, by)
            job = await self.stores.jobs.insert(
                tx,
                make_new_job(
                    job_type=job_type.name,
                    owner=by.sub,
                    parameters=prepared.parameters.model_dump(mode="json"),
                    options=JobOptions(concurrency=concurrency),
                    cycle_id=prepared.cycle_id,
                    report_id=prepared.report_id,
                ),
            )
        assert job is not None
        await self.start(job)
        return job.id

    async def start(self, job: Job) -> bool:
        job_type = self.parts.catalog.get(job.job_type)
        return await self.workflows.start(job, job_type.workflow, job_type.queue, job_type.title)

    def handle(self, job_id: str) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(job_id)

    async def job(self, job_id: str) -> Job:
        async with self.stores.database.begin() as tx:
            job = await self.stores.jobs.read(tx, job_id)
        assert job is not None
        return job

    async def becomes(self, job_id: str, *statuses: JobStatus) -> Job:
        """Wait until the job's row has one of some statuses, and return it."""
        row = await self.job(job_id)

        async def has_become() -> bool:
            nonlocal row
            row = await self.job(job_id)
            return row.status in statuses

        await until(has_become, what=f"{job_id} to be {statuses}")
        return row

    async def ends(self, job_id: str) -> Job:
        return await self.becomes(
            job_id, JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED
        )

    async def items(self, job_id: str) -> list[Any]:
        async with self.stores.database.begin() as tx:
            return list(
                await tx.fetch("SELECT * FROM job_item WHERE job_id = $1 ORDER BY ordinal", job_id)
            )

    async def echoes(self, job_id: str) -> list[int]:
        """The domain rows of a job."""
        async with self.stores.database.begin() as tx:
            rows = await tx.fetch(
                "SELECT ordinal FROM echo WHERE job_id = $1 ORDER BY ordinal", job_id
            )
        return [row["ordinal"] for row in rows]

    async def check_numbers_agree(self, job_id: str) -> None:
        """I8: job counters = ledger counts = domain rows = result."""
        job = await self.job(job_id)
        async with self.stores.database.begin() as tx:
            counted, _ = await self.stores.ledger.count(tx, job_id)
        assert job.counts == counted
        assert len(await self.echoes(job_id)) == counted.done
        if job.status.is_terminal and job.result is not None:
            assert job.result["echoes"] == counted.done


@asynccontextmanager
async def open_engine(
    client: Client, database: PostgresDatabase, redis: Redis
) -> AsyncIterator[Engine]:
    async with database.begin() as tx:
        await tx.execute(CREATE_TABLE)
        await tx.execute(flows.CREATE_TABLE)
    echo, rolling, note = Echo(), RollingEcho(), flows.Note()
    flow_types = [FlowJobType(PostgresFlows()), flows.RollingFlow()]
    jobs = PostgresJobs()
    stores = Stores(
        database=database,
        jobs=jobs,
        ledger=PostgresLedger(database),
        board=RedisJobBoard(redis, worker="test"),
    )
    flags = HeardFlags(RedisFlags(redis))
    catalog = Catalog([echo, rolling, *flow_types], [note, Collect()])
    parts = Parts(
        catalog=catalog,
        stores=stores,
        journal=PostgresCallJournal(database, jobs),
        flags=flags,
        logs=RedisLogTail(redis),
        errors=LoggedErrors(),
        providers={},
        timed=timed_work(database, redis, stores, catalog, keep=timedelta(days=90)),
    )
    try:
        yield Engine(client, parts, TemporalWorkflows(client), echo, rolling, note, flags)
    finally:
        await end_workflows(client, database)
