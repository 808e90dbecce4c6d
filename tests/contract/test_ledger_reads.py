"""What the ledger reads of a large, new job, before the server has statistics of its rows."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from longhaul.adapters.postgres.database import PostgresDatabase, PostgresTransaction
from longhaul.adapters.postgres.ledger import PostgresLedger
from longhaul.core.items import Done, Ended, Item

ITEMS = 50_000
BATCH = 200

_FILL = """
INSERT INTO job_item (job_id, ordinal, item_key)
SELECT $1, n, 'item-' || n FROM generate_series(0, $2 - 1) AS n
"""

_READ = """
SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) AS rows
FROM pg_stat_xact_user_tables WHERE relname = 'job_item'
"""


class OneTransaction:
    """A database that is a transaction, so that what a call read can be asked inside it."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[PostgresTransaction]:
        yield self._tx


async def test_a_batch_and_a_chunk_read_their_own_rows_only(database: PostgresDatabase) -> None:
    job_id = str(uuid.uuid4())
    async with database.begin() as tx:
        await tx.execute("ALTER TABLE job_item SET (autovacuum_enabled = false)")
        await tx.execute(_FILL, job_id, ITEMS)
    first = ITEMS // 2
    async with database.begin() as tx:
        ledger = PostgresLedger(OneTransaction(tx))  # type: ignore[arg-type]  # all it asks for
        items = await ledger.open_items(job_id, first, first + BATCH - 1, None)
        assert len(items) == BATCH
        # A prepared statement may get another plan after its first five uses.
        for number in range(8):
            ended = [
                Ended(Item(ordinal=first + number * BATCH + n, key=""), Done())
                for n in range(BATCH)
            ]
            assert len(await ledger.end(tx, job_id, ended)) == BATCH
        (row,) = await tx.fetch(_READ)
    assert row["rows"] <= 9 * BATCH * 2
