"""Schedules: stored in PostgreSQL and copied to Temporal."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.jobs import LIVE
from longhaul.adapters.postgres.object_audit import Audited, note_change
from longhaul.core.ports import Row, Transaction
from longhaul.core.principals import Principal
from longhaul.core.schedules import Firing, FiringOutcome, Schedule

# "sched" in ASCII, before the number of one schedule.
_LOCKS = 0x7363686564 << 16

_ADD = """
INSERT INTO schedule (id, owner, roles, lob, job_type, request, cron, every_seconds, time_zone,
                      paused, created_at, updated_at)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, t, t FROM (SELECT clock_timestamp() AS t) AS now
WHERE (SELECT count(*) FROM schedule WHERE owner = $2 AND NOT deleted) < $11
RETURNING *
"""

_CHANGE = """
UPDATE schedule SET paused = coalesce($2, paused), deleted = deleted OR $3,
    version = version + 1, updated_at = clock_timestamp()
WHERE id = $1 AND NOT deleted RETURNING *
"""

_LAST_FIRINGS = """
SELECT DISTINCT ON (schedule_id) * FROM schedule_firing WHERE schedule_id = ANY ($1)
ORDER BY schedule_id, scheduled_at DESC
"""


class PostgresSchedules:
    """Keeps schedules and notes their firings."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    # For people.

    async def add(
        self,
        *,
        schedule_id: str,
        owner: Principal,
        job_type: str,
        request: Mapping[str, Any],
        cron: str | None,
        every_seconds: int | None,
        time_zone: str,
        paused: bool,
        at_most: int,
    ) -> Schedule | None:
        """Store a schedule; None when its owner has the allowed number."""
        async with self._database.begin() as tx:
            await tx.execute("SELECT pg_advisory_xact_lock(hashtext($1))", f"schedule:{owner.sub}")
            rows = await tx.fetch(
                _ADD,
                schedule_id,
                owner.sub,
                sorted(owner.roles),
                owner.lob,
                job_type,
                request,
                cron,
                every_seconds,
                time_zone,
                paused,
                at_most,
            )
            if not rows:
                return None
            details = {
                "job_type": job_type,
                "cron": cron,
                "every_seconds": every_seconds,
                "time_zone": time_zone,
                "paused": paused,
            }
            await note_change(tx, Audited.SCHEDULE, rows[0], "created", owner.sub, details)
        return _schedule(rows[0])

    async def of_owner(self, owner: str | None) -> list[Schedule]:
        """The schedules of one owner, or of everybody, oldest first."""
        async with self._database.begin() as tx:
            rows = await tx.fetch(
                "SELECT * FROM schedule WHERE NOT deleted AND ($1::text IS NULL OR owner = $1) "
                "ORDER BY created_at, id",
                owner,
            )
        return [_schedule(row) for row in rows]

    async def read(self, schedule_id: str) -> Schedule | None:
        """A schedule, also one that is being deleted."""
        async with self._database.begin() as tx:
            rows = await tx.fetch("SELECT * FROM schedule WHERE id = $1", schedule_id)
        return _schedule(rows[0]) if rows else None

    async def pause(self, schedule_id: str, by: str, *, paused: bool) -> Schedule | None:
        """Pause or resume a schedule; None when there is none."""
        return await self._change(schedule_id, by, "paused" if paused else "resumed", paused=paused)

    async def delete(self, schedule_id: str, by: str) -> Schedule | None:
        """Mark a schedule as deleted until Temporal has deleted it; None when there is none."""
        return await self._change(schedule_id, by, "deleted", deleted=True)

    async def note_trigger(self, schedule_id: str, by: str) -> None:
        """Note who let a schedule fire."""
        async with self._database.begin() as tx:
            for row in await tx.fetch("SELECT * FROM schedule WHERE id = $1", schedule_id):
                await note_change(tx, Audited.SCHEDULE, row, "triggered", by, {})

    async def _change(
        self,
        schedule_id: str,
        by: str,
        action: str,
        *,
        paused: bool | None = None,
        deleted: bool = False,
    ) -> Schedule | None:
        async with self._database.begin() as tx:
            rows = await tx.fetch(_CHANGE, schedule_id, paused, deleted)
            if not rows:
                return None
            await note_change(tx, Audited.SCHEDULE, rows[0], action, by, {})
        return _schedule(rows[0])

    async def firings(self, schedule_id: str, limit: int) -> list[Firing]:
        """The newest firings of a schedule, newest first."""
        async with self._database.begin() as tx:
            rows = await tx.fetch(
                "SELECT * FROM schedule_firing WHERE schedule_id = $1 "
                "ORDER BY scheduled_at DESC LIMIT $2",
                schedule_id,
                limit,
            )
        return [_firing(row) for row in rows]

    async def last_firings(self, schedule_ids: Sequence[str]) -> Mapping[str, Firing]:
        """The newest firing of each schedule that has any."""
        async with self._database.begin() as tx:
            rows = await tx.fetch(_LAST_FIRINGS, list(schedule_ids))
        return {str(row["schedule_id"]): _firing(row) for row in rows}

    # For copying to Temporal.

    def alone_with(self, schedule_id: str) -> AbstractAsyncContextManager[bool]:
        """Whether no other process copies this schedule to Temporal, for the time of the block."""
        return self._database.locked(_LOCKS ^ (int(schedule_id.replace("-", ""), 16) >> 72))

    async def unsynced(self) -> list[str]:
        """The schedules whose latest version is not in Temporal."""
        async with self._database.begin() as tx:
            rows = await tx.fetch(
                "SELECT id FROM schedule WHERE version <> synced_version OR deleted"
            )
        return [str(row["id"]) for row in rows]

    async def synced(self, schedule: Schedule) -> None:
        """Note that Temporal has a version; a deleted one is removed then."""
        async with self._database.begin() as tx:
            await tx.execute(
                "UPDATE schedule SET synced_version = $2 WHERE id = $1",
                schedule.id,
                schedule.version,
            )
            await tx.execute("DELETE FROM schedule WHERE id = $1 AND deleted", schedule.id)

    async def forgotten_but(self, known: Iterable[str]) -> int:
        """Mark all schedules but these as missing in Temporal; returns how many there were."""
        async with self._database.begin() as tx:
            return await tx.execute(
                "UPDATE schedule SET synced_version = 0 "
                "WHERE id::text <> ALL ($1::text[]) AND synced_version <> 0",
                list(known),
            )

    # For firings.

    async def lock(self, tx: Transaction, schedule_id: str) -> Schedule | None:
        """Read a schedule and keep other firings of it out until the transaction ends."""
        rows = await tx.fetch(
            "SELECT * FROM schedule WHERE id = $1 AND NOT deleted FOR UPDATE", schedule_id
        )
        return _schedule(rows[0]) if rows else None

    async def fired(self, tx: Transaction, schedule_id: str, at: datetime) -> Firing | None:
        """The result of the firing of a time, if there was one."""
        rows = await tx.fetch(
            "SELECT * FROM schedule_firing WHERE schedule_id = $1 AND scheduled_at = $2",
            schedule_id,
            at,
        )
        return _firing(rows[0]) if rows else None

    async def live_job(self, tx: Transaction, schedule_id: str) -> str | None:
        """The job of an earlier firing that has not ended."""
        rows = await tx.fetch(
            "SELECT job.id FROM schedule_firing JOIN job ON job.id = schedule_firing.job_id "
            f"WHERE schedule_id = $1 AND schedule_firing.outcome = 'started' AND {LIVE} LIMIT 1",
            schedule_id,
        )
        return str(rows[0]["id"]) if rows else None

    async def note(self, tx: Transaction, schedule_id: str, firing: Firing) -> None:
        """Store the result of a firing."""
        await tx.execute(
            "INSERT INTO schedule_firing (schedule_id, scheduled_at, outcome, job_id, detail, time)"
            " VALUES ($1, $2, $3, $4, $5, clock_timestamp())",
            schedule_id,
            firing.scheduled_at,
            firing.outcome,
            firing.job_id,
            firing.detail,
        )


def _schedule(row: Row) -> Schedule:
    return Schedule(
        id=str(row["id"]),
        owner=Principal(sub=row["owner"], roles=frozenset(row["roles"]), lob=row["lob"]),
        job_type=row["job_type"],
        request=row["request"],
        cron=row["cron"],
        every_seconds=row["every_seconds"],
        time_zone=row["time_zone"],
        paused=row["paused"],
        deleted=row["deleted"],
        version=row["version"],
        is_synced=row["version"] == row["synced_version"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _firing(row: Row) -> Firing:
    return Firing(
        scheduled_at=row["scheduled_at"],
        outcome=FiringOutcome(row["outcome"]),
        job_id=str(row["job_id"]) if row["job_id"] else None,
        detail=row["detail"],
    )
