"""Deletes what is old, in short transactions."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.jobs import FAMILY
from longhaul.core.controls import SYSTEM
from longhaul.core.jobs import Job
from longhaul.core.ports import Transaction

JOBS_AT_ONCE = 100
ROWS_AT_ONCE = 10_000

# "purge" in ASCII: no other lock of ours has this number.
_LOCK = 0x7075726765

# The row goes first: a job whose items are half gone must not be retried. What it
# leaves is noted in the same transaction.
_PURGE = """
, noted AS (
    INSERT INTO job_audit (job_id, attempt, version, action, by, details, time)
    SELECT id, attempt, version, 'purged', $2, $3, clock_timestamp() FROM job JOIN {ids} USING (id)
), remaining AS (
    INSERT INTO job_purge (job_id, time) SELECT id, clock_timestamp() FROM job JOIN {ids} USING (id)
)
DELETE FROM job USING {ids} WHERE job.id = {ids}.id
RETURNING job.id
"""

# Flows go before their steps.
_PURGE_EXPIRED = f"""
WITH expired AS (
    SELECT id FROM job
    WHERE status IN ('completed', 'failed', 'cancelled')
        AND completed_at < clock_timestamp() - $1::interval
        AND NOT EXISTS (SELECT FROM job AS parent WHERE parent.id = job.parent_id)
    ORDER BY completed_at LIMIT {JOBS_AT_ONCE}
    FOR UPDATE SKIP LOCKED
) {_PURGE.format(ids="expired")}
"""

_PURGE_FAMILY = f"{FAMILY} {_PURGE.format(ids='family')}"

# No other process deletes the same, or it would seem to be finished.
_NEXT_REMAINS = """
SELECT job_id FROM job_purge WHERE $1::uuid[] IS NULL OR job_id = ANY ($1)
ORDER BY time LIMIT 1 FOR UPDATE SKIP LOCKED
"""

_PURGE_ROWS = """
DELETE FROM {table} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {table} WHERE {which} LIMIT {limit}))
"""


class PostgresRetention:
    """Finds and deletes what is old.

    Args:
        rows_at_once: How many rows of a table one transaction may delete.
    """

    def __init__(self, database: PostgresDatabase, *, rows_at_once: int = ROWS_AT_ONCE) -> None:
        self._database = database
        self._rows_at_once = rows_at_once

    def alone(self) -> AbstractAsyncContextManager[bool]:
        """Whether this is the only process that deletes, for the time of the block."""
        return self._database.locked(_LOCK)

    async def purge_jobs(self, older_than: timedelta) -> Sequence[str]:
        """Delete the rows of some jobs that ended that long ago, and return their ids."""
        details: Mapping[str, object] = {"kept_for_days": older_than.days}
        async with self._database.begin() as tx:
            rows = await tx.fetch(_PURGE_EXPIRED, older_than, SYSTEM, details)
        return [str(row["id"]) for row in rows]

    async def purge_family(self, tx: Transaction, job: Job, by: str) -> Sequence[str]:
        """Delete the rows of a job and of its steps, and return their ids; the audit stays.

        Their items and calls are deleted by `purge_remains`.
        """
        rows = await tx.fetch(_PURGE_FAMILY, job.id, by, {"job_type": job.job_type})
        return [str(row["id"]) for row in rows]

    async def purge_remains(self, jobs: Sequence[str] | None = None) -> bool:
        """Delete some remains of purged jobs; False when there are no more.

        Args:
            jobs: Only of these; None for all.
        """
        async with self._database.begin() as tx:
            found = await tx.fetch(_NEXT_REMAINS, None if jobs is None else list(jobs))
            if not found:
                return False
            job_id = found[0]["job_id"]
            for table in ("llm_call", "job_item"):
                if await self._purge_rows(tx, table, "job_id = $1", job_id):
                    return True
            await tx.execute("DELETE FROM job_purge WHERE job_id = $1", job_id)
        return True

    async def purge_others(self, older_than: timedelta) -> None:
        """Delete what belongs to no job: expired keys, and other things as old."""
        await self._purge_older("idempotency_key", "expires_at", timedelta(0))
        await self._purge_older("webhook_delivery", "created_at", older_than)
        await self._purge_older("schedule_firing", "time", older_than)

    async def _purge_older(self, table: str, column: str, age: timedelta) -> None:
        which, is_more = f"{column} < statement_timestamp() - $1::interval", True
        while is_more:
            async with self._database.begin() as tx:
                is_more = await self._purge_rows(tx, table, which, age)

    async def _purge_rows(self, tx: Transaction, table: str, which: str, value: object) -> bool:
        """Delete as many rows as one transaction may; whether there may be more."""
        sql = _PURGE_ROWS.format(table=table, which=which, limit=self._rows_at_once)
        return await tx.execute(sql, value) == self._rows_at_once


class PostgresUpkeepLog:
    """The last run of each of the system's own schedules."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def note(self, name: str, *, ok: bool, details: Mapping[str, object]) -> None:
        """Replace the last run of one."""
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
