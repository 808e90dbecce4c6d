"""Deletes what is old, in transactions that stay short however much there is."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.core.controls import SYSTEM

JOBS_AT_ONCE = 100
ROWS_AT_ONCE = 10_000

# "purge" in ASCII: no other lock of ours has this number.
_LOCK = 0x7075726765

# The row goes first: a job whose items are half gone must not be there to be retried. What it
# leaves is noted in the same transaction. Flows go before their steps.
_PURGE_JOBS = f"""
WITH expired AS (
    SELECT id, attempt, version FROM job
    WHERE status IN ('completed', 'failed', 'cancelled')
        AND completed_at < clock_timestamp() - $1::interval
        AND NOT EXISTS (SELECT FROM job AS parent WHERE parent.id = job.parent_id)
    ORDER BY completed_at LIMIT {JOBS_AT_ONCE}
    FOR UPDATE SKIP LOCKED
), noted AS (
    INSERT INTO job_audit (job_id, attempt, version, action, by, details, time)
    SELECT id, attempt, version, 'purged', $2, $3, clock_timestamp() FROM expired
), remaining AS (
    INSERT INTO job_purge (job_id, time) SELECT id, clock_timestamp() FROM expired
)
DELETE FROM job USING expired WHERE job.id = expired.id
RETURNING job.id
"""

_PURGE_ROWS = """
DELETE FROM {table} WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM {table} WHERE job_id = $1 LIMIT {limit}
))
"""

_OTHERS = (
    "DELETE FROM idempotency_key WHERE expires_at < clock_timestamp() AND $1::interval IS NOT NULL",
    "DELETE FROM webhook_delivery WHERE created_at < clock_timestamp() - $1::interval",
    "DELETE FROM schedule_firing WHERE time < clock_timestamp() - $1::interval",
)


class PostgresRetention:
    """Finds and deletes what is old.

    Args:
        rows_at_once: How many rows of a table one transaction may delete.
    """

    def __init__(self, database: PostgresDatabase, *, rows_at_once: int = ROWS_AT_ONCE) -> None:
        self._database = database
        self._rows_at_once = rows_at_once

    def alone(self) -> AbstractAsyncContextManager[bool]:
        """Whether this is the only process that deletes, for as long as the block lasts."""
        return self._database.locked(_LOCK)

    async def purge_jobs(self, older_than: timedelta) -> Sequence[str]:
        """Delete the rows of some jobs that ended so long ago, and return their ids."""
        details: Mapping[str, object] = {"kept_for_days": older_than.days}
        async with self._database.begin() as tx:
            rows = await tx.fetch(_PURGE_JOBS, older_than, SYSTEM, details)
        return [str(row["id"]) for row in rows]

    async def purge_remains(self) -> bool:
        """Delete some of what purged jobs have left; False when nothing is left."""
        async with self._database.begin() as tx:
            jobs = await tx.fetch("SELECT job_id FROM job_purge ORDER BY time LIMIT 1")
            if not jobs:
                return False
            for table in ("llm_call", "job_item"):
                sql = _PURGE_ROWS.format(table=table, limit=self._rows_at_once)
                if await tx.execute(sql, jobs[0]["job_id"]) == self._rows_at_once:
                    return True
            await tx.execute("DELETE FROM job_purge WHERE job_id = $1", jobs[0]["job_id"])
        return True

    async def purge_others(self, older_than: timedelta) -> None:
        """Delete what is no part of a job and as old."""
        for sql in _OTHERS:
            async with self._database.begin() as tx:
                await tx.execute(sql, older_than)


class PostgresUpkeepLog:
    """The last run of each of the system's own schedules."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def note(self, name: str, *, ok: bool, details: Mapping[str, object]) -> None:
        """Replace what is noted of one."""
        async with self._database.begin() as tx:
            await tx.execute(
                "INSERT INTO system_run (name, ok, details, time) "
                "VALUES ($1, $2, $3, clock_timestamp()) "
                "ON CONFLICT (name) DO UPDATE SET ok = excluded.ok, details = excluded.details, "
                "time = excluded.time",
                name,
                ok,
                details,
            )

    async def read(self) -> Mapping[str, Mapping[str, object]]:
        """The last run of each, by name."""
        async with self._database.begin() as tx:
            rows = await tx.fetch("SELECT * FROM system_run")
        return {row["name"]: row for row in rows}
