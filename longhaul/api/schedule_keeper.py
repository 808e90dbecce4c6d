"""Keeps the schedules in Temporal the same as those in PostgreSQL."""

import asyncio
from datetime import timedelta

import structlog

from longhaul.adapters.postgres.schedules import PostgresSchedules
from longhaul.adapters.temporal.schedules import TemporalSchedules
from longhaul.core.errors import InvalidInput, Unavailable
from longhaul.core.ports import ErrorReporter
from longhaul.core.upkeep import UPKEEP

SYNC_EVERY = timedelta(seconds=10)

# Temporal only loses schedules together with its store.
COMPARE_EVERY = timedelta(minutes=5)


class ScheduleKeeper:
    """Runs in every API process; locks keep them out of each other's way."""

    def __init__(
        self, *, store: PostgresSchedules, temporal: TemporalSchedules, errors: ErrorReporter
    ) -> None:
        self._store = store
        self._temporal = temporal
        self._errors = errors
        self._compare_at = 0.0
        self._log = structlog.get_logger("longhaul.schedules")

    async def run(self) -> None:
        """Keep both the same until cancelled."""
        while True:
            try:
                await self._compare()
                for schedule_id in await self._store.unsynced():
                    await self._sync(schedule_id)
            except Unavailable:
                self._log.info("schedules_put_off")
            except Exception as exc:  # noqa: BLE001 - one bad schedule must not stop all
                self._errors.file(exc, step="schedules")
            await asyncio.sleep(SYNC_EVERY.total_seconds())

    async def sync(self, schedule_id: str) -> None:
        """Copy a schedule to Temporal now.

        Raises:
            InvalidInput: Temporal does not accept its times.
            TemporalUnavailable: It will be copied later.
        """
        async with self._store.alone_with(schedule_id) as alone:
            schedule = await self._store.read(schedule_id) if alone else None
            # The holder of the lock may have read an older version; then this one stays
            # unsynced and is found again.
            if schedule is None or (schedule.is_synced and not schedule.deleted):
                return
            if schedule.deleted:
                await self._temporal.delete(schedule_id)
            else:
                await self._temporal.put(schedule)
            await self._store.synced(schedule)

    async def _sync(self, schedule_id: str) -> None:
        try:
            await self.sync(schedule_id)
        except InvalidInput:
            self._log.warning("schedule_refused", schedule_id=schedule_id)

    async def _compare(self) -> None:
        """Find the schedules that Temporal has lost, and update the system's own."""
        now = asyncio.get_running_loop().time()
        if now < self._compare_at:
            return
        known = await self._temporal.known()
        forgotten = await self._store.forgotten_but(known)
        if forgotten:
            self._log.warning("schedules_were_lost", count=forgotten)
        for upkeep in UPKEEP:
            await self._temporal.put_upkeep(upkeep)
        self._compare_at = now + COMPARE_EVERY.total_seconds()
