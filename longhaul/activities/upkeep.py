"""Deletes what is old, and checks whether queues and servers answer."""

from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from datetime import timedelta
from typing import Protocol

from temporalio import activity

from longhaul.activities.heartbeat import beating
from longhaul.core.errors import Unavailable
from longhaul.core.ports import Database
from longhaul.core.upkeep import (
    HEALTH_PROBE,
    RETENTION,
    WELL,
    Expired,
    ProbeResult,
    Purged,
    Traces,
    UpkeepLog,
)

# For deliveries and firings, if jobs are kept for ever.
NOTES_KEPT_FOR = timedelta(days=90)


class Alone(Protocol):
    """Lets one process at a time into a block."""

    def __call__(self) -> AbstractAsyncContextManager[bool]:
        """Whether this process is the one."""


class RetentionActivities:
    """Deletes jobs that ended long ago, a few at a time.

    Args:
        keep: How long jobs are kept after their end; None for ever.
    """

    def __init__(
        self,
        *,
        expired: Expired,
        traces: Traces,
        alone: Alone,
        log: UpkeepLog,
        keep: timedelta | None,
    ) -> None:
        self._expired = expired
        self._traces = traces
        self._alone = alone
        self._log = log
        self._keep = keep

    @activity.defn(name="purge_expired")
    async def purge_expired(self) -> Purged:
        """Delete everything that is old enough, and remains of earlier runs."""
        async with beating(), self._alone() as alone:
            if not alone:
                return Purged(busy=True)
            jobs = 0
            while await self._expired.purge_remains():
                continue
            if self._keep is not None:
                jobs = await self._purge(self._keep)
            await self._expired.purge_others(self._keep or NOTES_KEPT_FOR)
            await self._log.note(RETENTION, ok=True, details={"jobs": jobs})
        return Purged(jobs=jobs)

    async def _purge(self, keep: timedelta) -> int:
        jobs = 0
        while gone := await self._expired.purge_jobs(keep):
            await self._traces.forget(gone)
            while await self._expired.purge_remains():
                continue
            jobs += len(gone)
        return jobs


class ProbeActivities:
    """Runs on every queue, for the worker that has taken it."""

    def __init__(self, *, database: Database, log: UpkeepLog) -> None:
        self._database = database
        self._log = log

    @activity.defn(name="probe")
    async def probe(self) -> str:
        """Whether this worker reaches the database."""
        try:
            async with self._database.begin() as tx:
                await tx.fetch("SELECT 1")
        except Unavailable as exc:
            return exc.code
        return WELL

    @activity.defn(name="note_probe")
    async def note(self, result: ProbeResult) -> None:
        """Store the health of all queues."""
        await self._log.note(HEALTH_PROBE, ok=result.is_good, details=asdict(result))
