"""Schedules for people: create, list, pause, resume, trigger and delete."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import uuid4

from longhaul.adapters.postgres.retention import PostgresUpkeepLog
from longhaul.adapters.postgres.schedules import PostgresSchedules
from longhaul.adapters.temporal.schedules import TemporalSchedules
from longhaul.api.schedule_keeper import ScheduleKeeper
from longhaul.api.schedule_schemas import (
    FiringView,
    ScheduleDetail,
    ScheduleList,
    ScheduleRequest,
    ScheduleView,
    UpkeepList,
    UpkeepRun,
)
from longhaul.api.submission import Submission
from longhaul.core.errors import Forbidden, InvalidInput, NotFound, TemporalUnavailable
from longhaul.core.principals import Principal
from longhaul.core.schedules import Firing, Schedule
from longhaul.core.upkeep import UPKEEP

MAX_OF_ONE_OWNER = 100
FIRINGS_SHOWN = 20


class Schedules:
    """The schedules of each person, for that person."""

    def __init__(
        self,
        *,
        store: PostgresSchedules,
        temporal: TemporalSchedules,
        keeper: ScheduleKeeper,
        submission: Submission,
        upkeep_log: PostgresUpkeepLog,
    ) -> None:
        self._store = store
        self._temporal = temporal
        self._keeper = keeper
        self._submission = submission
        self._upkeep_log = upkeep_log

    async def create(self, principal: Principal, body: ScheduleRequest) -> ScheduleView:
        """Store a schedule; its jobs run in the caller's name, with the roles of now.

        Raises:
            UnknownJobType: The catalog has no such type.
            Forbidden: The caller's roles may not start it.
            InvalidInput: The parameters or the times cannot be used.
        """
        job_type, _ = self._submission.read(principal, body.job)
        schedule_id = str(uuid4())
        schedule = await self._store.add(
            schedule_id=schedule_id,
            owner=principal,
            job_type=job_type.name,
            request=body.request,
            cron=body.cron,
            every_seconds=body.every_seconds,
            time_zone=body.time_zone,
            paused=body.paused,
            at_most=MAX_OF_ONE_OWNER,
        )
        if schedule is None:
            raise InvalidInput(f"You have {MAX_OF_ONE_OWNER} schedules; delete one first.")
        try:
            return await self._told(schedule)
        except InvalidInput:
            await self._store.delete(schedule_id, principal.sub)
            raise

    async def list(self, principal: Principal) -> ScheduleList:
        """The caller's schedules; an Admin's list has everyone's."""
        found = await self._store.of_owner(None if principal.is_admin else principal.sub)
        last = await self._store.last_firings([one.id for one in found])
        return {"schedules": [_schedule(one, last.get(one.id)) for one in found]}

    async def show(self, principal: Principal, schedule_id: str) -> ScheduleDetail:
        """One schedule, with its latest firings and the next ones.

        Raises:
            NotFound: The caller has no such schedule.
        """
        schedule = await self._find(principal, schedule_id)
        firings = await self._store.firings(schedule_id, FIRINGS_SHOWN)
        try:
            following = list(await self._temporal.next_times(schedule_id))
        except TemporalUnavailable:
            following = []
        return {
            **_schedule(schedule, firings[0] if firings else None),
            "next_times": following,
            "firings": [_firing(one) for one in firings],
        }

    async def pause(self, principal: Principal, schedule_id: str, *, paused: bool) -> ScheduleView:
        """Pause or resume a schedule.

        Raises:
            NotFound: The caller has no such schedule.
        """
        await self._find(principal, schedule_id)
        schedule = await self._store.pause(schedule_id, principal.sub, paused=paused)
        if schedule is None:
            raise NotFound("There is no such schedule.")
        return await self._told(schedule)

    async def trigger(self, principal: Principal, schedule_id: str) -> ScheduleView:
        """Fire a schedule now, also a paused one.

        Raises:
            NotFound: The caller has no such schedule.
            TemporalUnavailable: It cannot fire now.
        """
        schedule = await self._find(principal, schedule_id)
        await self._keeper.sync(schedule_id)
        if not await self._temporal.trigger(schedule_id):
            raise TemporalUnavailable("Temporal does not know the schedule yet; try again soon.")
        await self._store.note_trigger(schedule_id, principal.sub)
        firings = await self._store.last_firings([schedule_id])
        return _schedule(schedule, firings.get(schedule_id))

    async def delete(self, principal: Principal, schedule_id: str) -> None:
        """Delete a schedule; the jobs that it has started stay.

        Raises:
            NotFound: The caller has no such schedule.
        """
        await self._find(principal, schedule_id)
        schedule = await self._store.delete(schedule_id, principal.sub)
        if schedule is not None:
            await self._told(schedule)

    async def upkeep(self, principal: Principal) -> UpkeepList:
        """The system's own schedules, with the last run of each.

        Raises:
            Forbidden: The caller is not an Admin.
        """
        if not principal.is_admin:
            raise Forbidden("Only an Admin may see the system's own schedules.")
        runs = await self._upkeep_log.read()
        return {
            "upkeep": [
                {
                    "name": one.workflow,
                    "every_seconds": int(one.every.total_seconds()),
                    "last_run": _run(runs.get(one.workflow)),
                }
                for one in UPKEEP
            ]
        }

    async def _told(self, schedule: Schedule) -> ScheduleView:
        """Copy it to Temporal now if it can be reached; otherwise the keeper does."""
        with suppress(TemporalUnavailable):
            await self._keeper.sync(schedule.id)
        now = await self._store.read(schedule.id) or schedule
        firings = await self._store.last_firings([schedule.id])
        return _schedule(now, firings.get(schedule.id))

    async def _find(self, principal: Principal, schedule_id: str) -> Schedule:
        schedule = await self._store.read(schedule_id)
        if schedule is None or schedule.deleted:
            raise NotFound("There is no such schedule.")
        if not (principal.is_admin or schedule.owner.sub == principal.sub):
            raise NotFound("There is no such schedule.")
        return schedule


def _schedule(schedule: Schedule, last: Firing | None) -> ScheduleView:
    asked = schedule.request
    return {
        "schedule_id": schedule.id,
        "owner": schedule.owner.sub,
        "job_type": schedule.job_type,
        "parameters": asked["parameters"],
        "priority": asked["priority"],
        "description": asked["description"],
        "metadata": asked["metadata"],
        "options": asked["options"],
        "cron": schedule.cron,
        "every_seconds": schedule.every_seconds,
        "time_zone": schedule.time_zone,
        "paused": schedule.paused,
        "in_force": schedule.is_synced,
        "last_firing": _firing(last) if last else None,
        "created_at": schedule.created_at,
        "updated_at": schedule.updated_at,
    }


def _firing(firing: Firing) -> FiringView:
    return {
        "scheduled_at": firing.scheduled_at,
        "outcome": firing.outcome,
        "job_id": firing.job_id,
        "detail": firing.detail,
    }


def _run(row: Mapping[str, Any] | None) -> UpkeepRun | None:
    if row is None:
        return None
    return {"ok": row["ok"], "details": row["details"], "time": row["time"]}
