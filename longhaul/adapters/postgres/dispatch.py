"""Which pending jobs are due, leased so that each is started by one process at a time."""

from collections.abc import Sequence
from datetime import timedelta

from longhaul.adapters.postgres.jobs import LIVE, job_of
from longhaul.core.jobs import Job
from longhaul.core.limits import TypeLimit
from longhaul.core.ports import Database

LEASE = timedelta(seconds=10)

# "start" in ASCII: no other lock of ours has this number.
_LOCK = 0x7374617274

# The lease is not part of the job object, so it makes no new version. A job that was leased
# before has its place already.
_LEASE = """
UPDATE job SET dispatch_after = clock_timestamp() + $2,
    dispatched_at = coalesce(dispatched_at, clock_timestamp())
WHERE id IN (
    SELECT id FROM job WHERE status = 'pending' AND dispatch_after <= clock_timestamp()
        AND (dispatched_at IS NOT NULL OR job_type <> ALL ($3::text[]))
    ORDER BY priority DESC, dispatch_after LIMIT $1
    FOR UPDATE SKIP LOCKED
)
RETURNING *
"""

_FORGET_STARTS = """
DELETE FROM job_start WHERE time < clock_timestamp() - interval '1 minute'
"""

# Only one process at a time runs this, so its counts stay valid until it commits.
_LEASE_LIMITED = f"""
WITH type_limit AS (
    SELECT * FROM unnest($3::text[], $4::integer[], $5::integer[])
        AS given (job_type, max_running, starts_per_minute)
), room AS (
    SELECT job_type, greatest(0, least(
        $1,
        max_running - (SELECT count(*) FROM job WHERE job_type = type_limit.job_type AND {LIVE}
                       AND (status <> 'pending' OR dispatched_at IS NOT NULL)),
        starts_per_minute - (SELECT count(*) FROM job_start
                             WHERE job_type = type_limit.job_type
                             AND time > clock_timestamp() - interval '1 minute')
    )) AS places
    FROM type_limit
), chosen AS (
    SELECT due.id FROM room CROSS JOIN LATERAL (
        SELECT id FROM job WHERE status = 'pending' AND dispatch_after <= clock_timestamp()
            AND dispatched_at IS NULL AND job_type = room.job_type
        ORDER BY priority DESC, dispatch_after LIMIT room.places
        FOR UPDATE SKIP LOCKED
    ) AS due LIMIT $1
), leased AS (
    UPDATE job SET dispatch_after = clock_timestamp() + $2, dispatched_at = clock_timestamp()
    WHERE id IN (SELECT id FROM chosen)
    RETURNING *
), noted AS (
    INSERT INTO job_start (job_type, time)
    SELECT job_type, dispatched_at FROM leased
    WHERE job_type IN (SELECT job_type FROM type_limit WHERE starts_per_minute IS NOT NULL)
)
SELECT * FROM leased
"""

_DEFER = """
UPDATE job SET dispatch_after = clock_timestamp() + $3
WHERE id = $1 AND attempt = $2 AND status = 'pending'
"""

# A job held back by a limit becomes due when another job ends, not at a time.
_NEXT = """
SELECT extract(epoch FROM min(dispatch_after) - clock_timestamp())::float8 AS seconds
FROM job WHERE status = 'pending' AND (dispatch_after > clock_timestamp()
    OR dispatched_at IS NOT NULL OR job_type <> ALL ($1::text[]))
"""


class PostgresDispatchQueue:
    """Hands out pending jobs that are due, as far as the limits of their types allow.

    Args:
        limits: The types that are limited.
    """

    def __init__(self, database: Database, limits: Sequence[TypeLimit] = ()) -> None:
        self._database = database
        self._limits = limits
        self._limited = [one.job_type for one in limits]

    async def lease(self, limit: int) -> list[Job]:
        """Take due jobs, the most urgent first; the lease expires if they are not started."""
        async with self._database.begin() as tx:
            leased = [job_of(row) for row in await tx.fetch(_LEASE, limit, LEASE, self._limited)]
        if self._limits and len(leased) < limit:
            leased += await self._lease_limited(limit - len(leased))
        return leased

    async def _lease_limited(self, limit: int) -> list[Job]:
        async with self._database.begin() as tx:
            # A separate statement: the next one must see the changes of the lock's last holder.
            await tx.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            await tx.execute(_FORGET_STARTS)
            rows = await tx.fetch(
                _LEASE_LIMITED,
                limit,
                LEASE,
                self._limited,
                [one.max_running for one in self._limits],
                [one.starts_per_minute for one in self._limits],
            )
        return [job_of(row) for row in rows]

    async def defer(self, job: Job, wait: timedelta) -> None:
        """Let a job that is still pending be due again later."""
        async with self._database.begin() as tx:
            await tx.execute(_DEFER, job.id, job.attempt, wait)

    async def next_due(self) -> timedelta | None:
        """How long until the next job is due; None when none is waiting."""
        async with self._database.begin() as tx:
            (row,) = await tx.fetch(_NEXT, self._limited)
        return None if row["seconds"] is None else timedelta(seconds=max(row["seconds"], 0.0))
