"""Jobs that have not changed for a while, and a lock so that one process checks them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.jobs import LIVE, job_of
from longhaul.core.jobs import Job

PAGE = 200

# "recon" in ASCII: no other lock of ours has this number.
_LOCK = 0x7265636F6E

# A pending job has no workflow until the dispatcher has leased it, perhaps next year.
_QUIET = f"""
SELECT * FROM job
WHERE {LIVE} AND (status <> 'pending' OR dispatched_at IS NOT NULL)
    AND id > $1 AND updated_at < clock_timestamp() - $2::interval
ORDER BY id LIMIT {PAGE}
"""

_FIRST = "00000000-0000-0000-0000-000000000000"


class PostgresReconciliation:
    """Pages through the jobs that may need a repair."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[bool]:
        """Whether this is the only process that checks, for the time of the block."""
        async with self._database.locked(_LOCK) as got:
            yield got

    async def quiet(self, quiet_for: timedelta) -> AsyncIterator[Sequence[Job]]:
        """The live jobs whose row has not changed for a while, in pages."""
        after = _FIRST
        while True:
            async with self._database.begin() as tx:
                page = [job_of(row) for row in await tx.fetch(_QUIET, after, quiet_for)]
            if page:
                yield page
            if len(page) < PAGE:
                return
            after = page[-1].id
