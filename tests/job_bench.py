"""One job type against the real database, without its workflow: plan, do, store, sum up."""

from collections.abc import Sequence
from typing import Any

from longhaul.activities.flush import BatchWriter
from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.jobs import PostgresJobs
from longhaul.adapters.postgres.ledger import PostgresLedger
from longhaul.adapters.redis.board import RedisJobBoard
from longhaul.core.errors import ItemFailed
from longhaul.core.items import Failed, Item, ItemOutcome, ItemResult
from longhaul.core.job_types import Calls, ItemContext, JobType, Prepared
from longhaul.core.jobs import Counts, Job
from longhaul.core.ports import Stores
from longhaul.core.principals import Principal
from tests.factories import TESTER, make_new_job


class NoCalls:
    async def ask(self, **_: Any) -> Any:
        raise AssertionError("the offline analyst asked a model")


class JobBench:
    """A job type, and access to its jobs."""

    def __init__(self, database: PostgresDatabase, redis: Any, job_type: JobType[Any]) -> None:
        self.database = database
        self.type = job_type
        self.calls: Calls = NoCalls()
        self.stores = Stores(
            database=database,
            jobs=PostgresJobs(),
            ledger=PostgresLedger(database),
            board=RedisJobBoard(redis, worker="test"),
        )

    async def prepare(self, principal: Principal = TESTER, **parameters: Any) -> Prepared[Any]:
        async with self.database.begin() as tx:
            return await self.type.prepare(
                tx, self.type.parameters.model_validate(parameters), principal
            )

    async def plan(self, **parameters: Any) -> tuple[Job, list[Item]]:
        """Store a job with its items, as the API and the planner do."""
        prepared = await self.prepare(**parameters)
        new = make_new_job(
            job_type=self.type.name,
            parameters=prepared.parameters.model_dump(mode="json"),
        )
        async with self.database.begin() as tx:
            job = await self.stores.jobs.insert(tx, new)
            assert job is not None
            job = await self.stores.jobs.update(tx, job, frozen=self.type.freeze())
            wanted = self.type.parameters.model_validate(job.parameters)
            total = await self.stores.ledger.add(tx, job.id, self.type.items(tx, wanted))
            job = await self.stores.jobs.update(tx, job, counts=Counts(total=total))
        return job, list(await self.stores.ledger.open_items(job.id, 0, total, None))

    async def do(self, job: Job, item: Item) -> ItemResult:
        context = ItemContext(
            job=job,
            parameters=self.type.parameters.model_validate(job.parameters),
            calls=self.calls,
            database=self.database,
            log=lambda *_, **__: None,
        )
        try:
            return await self.type.do(item, context)
        except ItemFailed as failed:
            return Failed(failed.item_code, failed.sentence)

    async def store(
        self, job: Job, results: Sequence[tuple[Item, ItemResult]]
    ) -> list[ItemOutcome]:
        batch = [ItemOutcome(item, result) for item, result in results]
        _, stored = await BatchWriter(self.stores, self.type).write(job, batch)
        return stored

    async def run(self, job: Job, items: Sequence[Item]) -> list[ItemOutcome]:
        results = [(item, await self.do(job, item)) for item in items]
        return await self.store(job, results)

    async def result(self, job: Job) -> dict[str, Any]:
        async with self.database.begin() as tx:
            counts, _ = await self.stores.ledger.count(tx, job.id)
            return dict(await self.type.summarise(tx, job, counts))

    async def fetch(self, sql: str, *values: object) -> list[Any]:
        async with self.database.begin() as tx:
            return list(await tx.fetch(sql, *values))
