"""Errors of the database, and its locks."""

import asyncio
from datetime import timedelta

import pytest

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.core.errors import Unavailable
from tests.waiting import PATIENCE

LOCK = 4711


async def test_a_server_that_only_reads_any_more_counts_as_away(
    database: PostgresDatabase,
) -> None:
    async with database.begin() as tx:
        await tx.execute("SET TRANSACTION READ ONLY")

        with pytest.raises(Unavailable):
            await tx.execute("UPDATE job SET priority = 1")


async def test_a_statement_whose_table_a_migration_has_changed_can_be_repeated(
    database: PostgresDatabase,
) -> None:
    async def read() -> int:
        async with database.begin() as tx:
            return len(await tx.fetch("SELECT * FROM cycle"))

    await read()
    async with database.begin() as tx:
        await tx.execute("ALTER TABLE cycle ADD COLUMN added integer")

    with pytest.raises(Unavailable):
        await read()
    assert await read() == 0


async def test_one_holds_a_lock_until_its_block_ends(database: PostgresDatabase) -> None:
    async with database.locked(LOCK) as first, database.locked(LOCK) as second:
        assert (first, second) == (True, False)
    async with database.locked(LOCK) as again:
        assert again


async def test_a_lock_is_free_again_when_its_block_is_cancelled(
    database: PostgresDatabase,
) -> None:
    held = asyncio.Event()

    async def hold() -> None:
        async with database.locked(LOCK):
            held.set()
            await asyncio.Event().wait()

    holder = asyncio.create_task(hold())
    await held.wait()
    holder.cancel()
    await asyncio.wait([holder])

    async with database.locked(LOCK) as got:
        assert got


@pytest.mark.parametrize("wanted", ["transaction", "lock"])
async def test_who_gets_no_connection_is_told_so_instead_of_waiting_on(
    dsn: str, wanted: str
) -> None:
    soon = timedelta(milliseconds=100)
    async with PostgresDatabase.open(dsn, connections=1, acquire_timeout=soon) as small:
        async with small.begin(), asyncio.timeout(PATIENCE):
            with pytest.raises(Unavailable):
                async with small.begin() if wanted == "transaction" else small.locked(LOCK):
                    pytest.fail("there is no second connection")
        await small.ping()


async def test_a_transaction_that_never_ends_does_not_keep_the_pool_from_closing(dsn: str) -> None:
    holds = asyncio.Event()

    async def hold() -> None:
        async with small.begin():
            holds.set()
            await asyncio.Event().wait()

    async with asyncio.timeout(PATIENCE):
        async with PostgresDatabase.open(dsn, connections=1) as small:
            holder = asyncio.create_task(hold())
            await holds.wait()
    holder.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holder
