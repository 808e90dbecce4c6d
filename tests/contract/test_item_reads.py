"""The cost of reading one job's items: no scan of a million rows for what its counters show."""

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.jobs import PostgresJobs
from longhaul.adapters.postgres.queries import EXACT_UP_TO, PostgresQueries
from longhaul.core.items import ItemState
from longhaul.core.job_filters import ItemFilter
from longhaul.core.jobs import Counts, Job
from tests.factories import make_new_job
from tests.one_transaction import OneTransaction

ITEMS = EXACT_UP_TO + 1_000
FAILED = [ItemState.FAILED]

_FILL = """
INSERT INTO job_item (job_id, ordinal, item_key, state, error_code, updated_at)
SELECT $1, n, 'item-' || n,
       CASE WHEN n < $3 THEN 'failed' WHEN n % 2 = 0 THEN 'done' ELSE 'open' END,
       CASE WHEN n < $3 THEN 'no_echo' END, clock_timestamp()
FROM generate_series(0, $2 - 1) AS n
"""


@asynccontextmanager
async def reads(
    database: PostgresDatabase,
) -> AsyncIterator[tuple[PostgresQueries, OneTransaction]]:
    async with database.begin() as tx:
        counted = OneTransaction(tx)
        await counted.begin_to_count()
        yield PostgresQueries(counted), counted


async def make_job(database: PostgresDatabase, *, failed: int) -> Job:
    """A job with many items, of which the first ones have failed."""
    jobs = PostgresJobs()
    async with database.begin() as tx:
        job = await jobs.insert(tx, make_new_job())
        assert job is not None
        await tx.execute(_FILL, job.id, ITEMS, failed)
        (row,) = await tx.fetch(
            "SELECT count(*) AS total, count(*) FILTER (WHERE state = 'done') AS done,"
            " count(*) FILTER (WHERE state = 'failed') AS failed FROM job_item WHERE job_id = $1",
            job.id,
        )
        return await jobs.update(tx, job, counts=Counts(**row))


async def test_a_job_without_failures_is_not_searched_for_any(database: PostgresDatabase) -> None:
    job = await make_job(database, failed=0)

    async with reads(database) as (queries, counted):
        failed = ItemFilter(states=FAILED)
        assert await queries.failures(job.id, limit=100, after=None) == []
        assert await queries.failures(job.id, limit=100, after=datetime.now(UTC)) == []
        assert await queries.items(job.id, failed, limit=100, after=None) == []
        of_one_error = ItemFilter(states=FAILED, error_code="no_echo")
        assert await queries.count_items(job.id, of_one_error) == (0, True)
        assert await counted.items_read() == 0


async def test_failures_are_found_from_the_first_one_on(database: PostgresDatabase) -> None:
    job = await make_job(database, failed=3)

    async with reads(database) as (queries, _):
        page = await queries.items(job.id, ItemFilter(states=FAILED), limit=100, after=None)
        assert [row["ordinal"] for row in page] == [0, 1, 2]
        page = await queries.items(job.id, ItemFilter(states=FAILED), limit=100, after=0)
        assert [row["ordinal"] for row in page] == [1, 2]
        assert len(await queries.failures(job.id, limit=100, after=None)) == 3


@pytest.mark.invariant("I8")
@pytest.mark.parametrize(
    "states",
    [
        [],
        [ItemState.OPEN],
        [ItemState.DONE],
        [ItemState.FAILED],
        [ItemState.SKIPPED],
        [ItemState.FAILED, ItemState.OPEN, ItemState.FAILED],
    ],
    ids=lambda states: "+".join(states) or "all",
)
async def test_totals_come_from_the_counters_and_are_exact(
    database: PostgresDatabase, states: Sequence[ItemState]
) -> None:
    job = await make_job(database, failed=3)

    async with reads(database) as (queries, counted):
        total, exact = await queries.count_items(job.id, ItemFilter(states=states))
        assert await counted.items_read() == 0
        rows = await queries.items(job.id, ItemFilter(states=states), limit=2 * ITEMS, after=None)
    assert (total, exact) == (len(rows), True)


async def test_a_total_of_one_error_is_counted(database: PostgresDatabase) -> None:
    job = await make_job(database, failed=3)

    async with reads(database) as (queries, _):
        wanted = ItemFilter(states=FAILED, error_code="no_echo")
        assert await queries.count_items(job.id, wanted) == (3, True)


async def test_a_job_that_is_gone_has_no_items(database: PostgresDatabase) -> None:
    async with reads(database) as (queries, _):
        assert await queries.count_items(str(uuid.uuid4()), ItemFilter()) == (0, True)
