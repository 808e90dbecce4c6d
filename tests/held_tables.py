"""Locked tables, so that a job that fills them can be met half-way."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg


@asynccontextmanager
async def nothing_stored(dsn: str, table: str) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
    """Lock a table while the block runs; yields a check whether somebody waits to change it.

    A job's first chunks, which wait until their items are stored, are then all that it has
    begun: twice as many items as run at once.
    """
    holder, watcher = await asyncpg.connect(dsn), await asyncpg.connect(dsn)

    async def is_tried() -> bool:
        return bool(
            await watcher.fetchval(
                "SELECT count(*) FROM pg_locks WHERE relation = $1::text::regclass AND NOT granted",
                table,
            )
        )

    try:
        async with holder.transaction():
            await holder.execute(f"LOCK TABLE {table} IN SHARE MODE")
            yield is_tried
    finally:
        await holder.close()
        await watcher.close()
