"""No engine: a bare asyncio loop with the writes that Longhaul's ledger and counters make.

It does not ask which items are open. Its batches are full because trivial items never
wait. Run as `python -m bench.peers.bare_loop JOB ITEMS AT_ONCE`.
"""

import asyncio
import os
import sys
from typing import Any

import asyncpg

from longhaul.activities.flush import MAX_QUEUED, MAX_ROWS
from longhaul.adapters.postgres.database import _prepare_connection
from longhaul.adapters.postgres.jobs import PostgresJobs
from longhaul.adapters.postgres.ledger import PostgresLedger
from longhaul.core.items import Done, Item, ItemOutcome
from longhaul.core.ports import CountChanges

EPOCH = 1


class BareLoop:
    """Does the items of a job, a number of them at once, and writes them in batches.

    Args:
        connection: Replaces our transaction, so that the statements are the same.
    """

    def __init__(self, connection: Any, job_id: str, items: int) -> None:
        self._connection = connection
        self._jobs = PostgresJobs()
        self._ledger = PostgresLedger(connection)
        self._job_id = job_id
        self._items = items
        self._ordinals = iter(range(items))
        self._results: asyncio.Queue[ItemOutcome] = asyncio.Queue(MAX_QUEUED)

    async def run(self, at_once: int) -> None:
        """Do every item and return when the last one is committed."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(at_once):
                tasks.create_task(self._lane())
            tasks.create_task(self._write_all())

    async def _lane(self) -> None:
        for ordinal in self._ordinals:
            await self._results.put(await _do(ordinal))

    async def _write_all(self) -> None:
        left = self._items
        while left:
            batch = [await self._results.get()]
            while len(batch) < MAX_ROWS and not self._results.empty():
                batch.append(self._results.get_nowait())
            await self._write(batch)
            left -= len(batch)

    async def _write(self, batch: list[ItemOutcome]) -> None:
        async with self._connection.transaction():
            await self._ledger.end(self._connection, self._job_id, batch)
            changes = CountChanges(done=len(batch))
            await self._jobs.count(self._connection, self._job_id, EPOCH, changes)


async def _do(ordinal: int) -> ItemOutcome:
    """Do a trivial item."""
    return ItemOutcome(Item(ordinal=ordinal, key=f"item-{ordinal}"), Done())


async def main(job_id: str, items: int, at_once: int) -> None:
    """Do a job, and note how long it took."""
    connection = await asyncpg.connect(os.environ["LONGHAUL_POSTGRES__DSN"])
    await _prepare_connection(connection)
    await connection.execute("INSERT INTO peer_run (id) VALUES ($1)", job_id)
    await BareLoop(connection, job_id, items).run(at_once)
    await connection.execute(
        "UPDATE peer_run SET ended_at = clock_timestamp() WHERE id = $1", job_id
    )
    await connection.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
