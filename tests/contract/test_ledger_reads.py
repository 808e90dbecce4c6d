"""What the ledger reads of a large, new job, before the server has statistics of its rows."""

import uuid

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.ledger import PostgresLedger
from longhaul.core.items import Done, Item, ItemOutcome
from tests.one_transaction import OneTransaction

ITEMS = 50_000
BATCH = 200

_FILL = """
INSERT INTO job_item (job_id, ordinal, item_key)
SELECT $1, n, 'item-' || n FROM generate_series(0, $2 - 1) AS n
"""


async def test_a_batch_and_a_chunk_read_their_own_rows_only(database: PostgresDatabase) -> None:
    job_id = str(uuid.uuid4())
    async with database.begin() as tx:
        await tx.execute("ALTER TABLE job_item SET (autovacuum_enabled = false)")
        await tx.execute(_FILL, job_id, ITEMS)
    first = ITEMS // 2
    async with database.begin() as tx:
        one = OneTransaction(tx)
        ledger = PostgresLedger(one)
        items = await ledger.open_items(job_id, first, first + BATCH - 1, None)
        assert len(items) == BATCH
        # A prepared statement may get another plan after its first five uses.
        for number in range(8):
            ended = [
                ItemOutcome(Item(ordinal=first + number * BATCH + n, key=""), Done())
                for n in range(BATCH)
            ]
            assert len(await ledger.end(tx, job_id, ended)) == BATCH
        read = await one.items_read()
    assert read <= 9 * BATCH * 2
