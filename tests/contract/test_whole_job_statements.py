"""Statements over all rows of a job may take longer than those over some rows."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import pytest

from longhaul.adapters.postgres.database import PostgresDatabase, PostgresTransaction
from longhaul.adapters.postgres.ledger import PostgresLedger
from longhaul.core.errors import Unavailable
from tests.locks import until_waiting

JOB = str(uuid.uuid4())
ITEMS = 3

_FILL = """
INSERT INTO job_item (job_id, ordinal, item_key, state)
SELECT $1, n, 'item-' || n, 'failed' FROM generate_series(0, $2 - 1) AS n
"""

Ask = Callable[[PostgresLedger, PostgresTransaction], Awaitable[object]]


@pytest.fixture
async def hasty(dsn: str) -> AsyncIterator[PostgresDatabase]:
    """A database whose statements time out after a second."""
    async with PostgresDatabase.open(
        dsn, connections=2, statement_timeout=timedelta(seconds=1)
    ) as opened:
        yield opened


@pytest.mark.parametrize(
    ("table", "ask"),
    [
        ("job_item", lambda ledger, tx: ledger.reopen_failed(tx, JOB)),
        ("job_item", lambda ledger, tx: ledger.count_items(tx, JOB)),
        ("llm_call", lambda ledger, tx: ledger.count(tx, JOB)),
    ],
    ids=["retry", "items", "calls"],
)
async def test_what_looks_at_a_whole_job_outlasts_the_time_of_a_statement(
    database: PostgresDatabase, hasty: PostgresDatabase, table: str, ask: Ask
) -> None:
    ledger = PostgresLedger(hasty)
    async with database.begin() as tx:
        await tx.execute(_FILL, JOB, ITEMS)

    async def whole() -> object:
        async with hasty.begin() as tx:
            return await ask(ledger, tx)

    async with database.begin() as holder:
        await holder.execute(f"LOCK TABLE {table}")
        asked = asyncio.create_task(whole())
        await until_waiting(database)
        # It began later, so when its time is up that of any usual statement before it was, too.
        async with hasty.begin() as tx:
            with pytest.raises(Unavailable):
                await tx.execute("SELECT pg_sleep(600)")
        assert not asked.done()
    assert await asked


async def test_all_failed_items_of_a_job_are_opened_again_and_counted(
    database: PostgresDatabase,
) -> None:
    ledger = PostgresLedger(database)
    async with database.begin() as tx:
        await tx.execute(_FILL, JOB, ITEMS)
        await tx.execute("UPDATE job_item SET state = 'done' WHERE ordinal = 0")

        assert await ledger.reopen_failed(tx, JOB) == ITEMS - 1
        counts = await ledger.count_items(tx, JOB)
    assert (counts.open, counts.done, counts.failed) == (ITEMS - 1, 1, 0)
