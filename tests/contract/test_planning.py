"""Jobs that take long to list their items, and the others of a worker."""

import asyncio
from collections.abc import AsyncIterator

from temporalio.testing import ActivityEnvironment

from longhaul.activities.plan import LISTING, PlanActivities
from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.jobs import PostgresJobs
from longhaul.adapters.postgres.ledger import PostgresLedger
from longhaul.adapters.telemetry.logs import LoggedErrors
from longhaul.core.catalog import Catalog
from longhaul.core.items import NewItem
from longhaul.core.jobs import Job
from longhaul.core.messages import Plan, PlanRequest
from longhaul.core.ports import Stores, Transaction
from tests.factories import make_new_job
from tests.fakes import NoBoard
from tests.job_types.echo import Echo, EchoParameters
from tests.waiting import until

MORE = 3


class Slow(Echo):
    """Lists its items on demand."""

    def __init__(self) -> None:
        super().__init__()
        self.listing = 0
        self.planning = asyncio.Event()

    async def items(self, tx: Transaction, parameters: EchoParameters) -> AsyncIterator[NewItem]:
        self.listing += 1
        async for item in super().items(tx, parameters):
            yield item


async def test_jobs_that_list_their_items_leave_connections_for_all_others(dsn: str) -> None:
    slow = Slow()
    assert slow.planning is not None
    async with PostgresDatabase.open(dsn, connections=LISTING + 1) as database:
        jobs = PostgresJobs()
        stores = Stores(
            database=database, jobs=jobs, ledger=PostgresLedger(database), board=NoBoard()
        )
        plans = PlanActivities(stores=stores, catalog=Catalog([slow]), errors=LoggedErrors())

        async def create() -> Job:
            async with database.begin() as tx:
                job = await jobs.insert(tx, make_new_job())
            assert job is not None
            return job

        async def plan(job: Job) -> Plan:
            request = PlanRequest(job_id=job.id, attempt=job.attempt, run_id=f"run of {job.id}")
            return await ActivityEnvironment().run(plans.plan, request)

        async def as_many_as_may() -> bool:
            return slow.listing == LISTING

        created = [await create() for _ in range(LISTING + MORE)]
        running = [asyncio.create_task(plan(job)) for job in created]
        await until(as_many_as_may, what="the jobs to list their items")
        # Connections are given out in turn, so all plans have asked for one before this does.
        await database.ping()
        assert slow.listing == LISTING
        slow.planning.set()
        assert [one.counts.total for one in await asyncio.gather(*running)] == [10] * len(running)
