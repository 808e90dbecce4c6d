"""A database that is one transaction, so that the reads of a call can be counted."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from longhaul.adapters.postgres.database import PostgresTransaction

_READ = """
SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) AS rows
FROM pg_stat_xact_user_tables WHERE relname = 'job_item'
"""


class OneTransaction:
    """Knows how many items were read in it."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx
        self._before = 0

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[PostgresTransaction]:
        yield self._tx

    async def begin_to_count(self) -> None:
        # The server may not have recorded the connection's earlier reads yet.
        self._before = await self._read()

    async def items_read(self) -> int:
        return await self._read() - self._before

    async def _read(self) -> int:
        rows = await self._tx.fetch(_READ)
        return sum(row["rows"] for row in rows)
