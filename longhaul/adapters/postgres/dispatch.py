"""Which pending jobs are due, leased so that each is started by one process at a time."""

from datetime import timedelta

from longhaul.adapters.postgres.jobs import job_of
from longhaul.core.jobs import Job
from longhaul.core.ports import Database

LEASE = timedelta(seconds=10)

# The lease is no part of the job object, so it is no new version of it.
_LEASE = """
UPDATE job SET dispatch_after = clock_timestamp() + $2
WHERE id IN (
    SELECT id FROM job WHERE status = 'pending' AND dispatch_after <= clock_timestamp()
    ORDER BY priority DESC, dispatch_after LIMIT $1
    FOR UPDATE SKIP LOCKED
)
RETURNING *
"""

_DEFER = """
UPDATE job SET dispatch_after = clock_timestamp() + $3
WHERE id = $1 AND attempt = $2 AND status = 'pending'
"""

_NEXT = """
SELECT extract(epoch FROM min(dispatch_after) - clock_timestamp())::float8 AS seconds
FROM job WHERE status = 'pending'
"""


class PostgresDispatchQueue:
    """Hands out pending jobs that are due."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def lease(self, limit: int) -> list[Job]:
        """Take due jobs, the most urgent first; they come back if nothing becomes of them."""
        async with self._database.begin() as tx:
            return [job_of(row) for row in await tx.fetch(_LEASE, limit, LEASE)]

    async def defer(self, job: Job, wait: timedelta) -> None:
        """Let a job that is still pending be due again later."""
        async with self._database.begin() as tx:
            await tx.execute(_DEFER, job.id, job.attempt, wait)

    async def next_due(self) -> timedelta | None:
        """How long until the next job is due; None when none is waiting."""
        async with self._database.begin() as tx:
            (row,) = await tx.fetch(_NEXT)
        return None if row["seconds"] is None else timedelta(seconds=max(row["seconds"], 0.0))
