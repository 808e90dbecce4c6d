"""Schedules in Temporal: they only know which workflow to start, and when."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from temporalio.client import (
    Client,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleHandle,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleState,
    ScheduleUpdate,
)
from temporalio.client import Schedule as TemporalSchedule
from temporalio.service import RPCError, RPCStatusCode

from longhaul.adapters.temporal.workflows import RPC_TIMEOUT, translated
from longhaul.core.errors import InvalidInput
from longhaul.core.job_types import Queue
from longhaul.core.schedules import START_SCHEDULED_JOB, Schedule, ScheduledStart
from longhaul.core.upkeep import Upkeep

PREFIX = "longhaul-schedule-"

# Firings missed while Temporal was down are made up for by one, if not older than this.
CATCH_UP = timedelta(hours=1)

_POLICY = SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=CATCH_UP)


class TemporalSchedules:
    """Copies schedules to Temporal.

    Every method raises:
        TemporalUnavailable: Temporal cannot be reached.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    async def put(self, schedule: Schedule) -> None:
        """Create a schedule, or bring it up to date.

        Raises:
            InvalidInput: Temporal does not accept its times.
        """
        if schedule.cron is not None:
            spec = ScheduleSpec(cron_expressions=[schedule.cron], time_zone_name=schedule.time_zone)
        else:
            every = timedelta(seconds=schedule.every_seconds or 0)
            spec = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)])
        action = ScheduleActionStartWorkflow(
            START_SCHEDULED_JOB,
            ScheduledStart(schedule_id=schedule.id),
            id=f"scheduled-{schedule.id}",
            task_queue=Queue.WORKFLOWS,
        )
        wanted = TemporalSchedule(
            action=action,
            spec=spec,
            policy=_POLICY,
            state=ScheduleState(paused=schedule.paused),
        )
        await self._put(PREFIX + schedule.id, wanted)

    async def put_upkeep(self, upkeep: Upkeep) -> None:
        """Create one of the system's own schedules, or bring it up to date.

        One that was paused in Temporal stays paused.
        """
        wanted = TemporalSchedule(
            action=ScheduleActionStartWorkflow(
                upkeep.workflow, id=upkeep.schedule_id, task_queue=Queue.WORKFLOWS
            ),
            spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=upkeep.every)]),
            policy=_POLICY,
        )
        await self._put(upkeep.schedule_id, wanted, keep_state=True)

    async def delete(self, schedule_id: str) -> None:
        """Delete a schedule; no-op if there is none."""
        with translated():
            try:
                await self._handle(schedule_id).delete(rpc_timeout=RPC_TIMEOUT)
            except RPCError as exc:
                if exc.status is not RPCStatusCode.NOT_FOUND:
                    raise

    async def trigger(self, schedule_id: str) -> bool:
        """Let a schedule fire now; False when Temporal knows of none."""
        with translated():
            try:
                await self._handle(schedule_id).trigger(rpc_timeout=RPC_TIMEOUT)
            except RPCError as exc:
                if exc.status is RPCStatusCode.NOT_FOUND:
                    return False
                raise
        return True

    async def next_times(self, schedule_id: str) -> Sequence[datetime]:
        """When a schedule fires next."""
        with translated():
            try:
                found = await self._handle(schedule_id).describe(rpc_timeout=RPC_TIMEOUT)
            except RPCError as exc:
                if exc.status is RPCStatusCode.NOT_FOUND:
                    return []
                raise
        return [] if found.schedule.state.paused else found.info.next_action_times

    async def known(self) -> list[str]:
        """The ids of the schedules that Temporal has; a new one may be missing for a moment."""
        with translated():
            found = await self._client.list_schedules(rpc_timeout=RPC_TIMEOUT)
            return [one.id.removeprefix(PREFIX) async for one in found if one.id.startswith(PREFIX)]

    async def _put(
        self, temporal_id: str, wanted: TemporalSchedule, *, keep_state: bool = False
    ) -> None:
        with translated():
            try:
                await self._client.create_schedule(temporal_id, wanted, rpc_timeout=RPC_TIMEOUT)
            except ScheduleAlreadyRunningError:
                handle = self._client.get_schedule_handle(temporal_id)
                await handle.update(
                    lambda known: ScheduleUpdate(
                        replace(wanted, state=known.description.schedule.state)
                        if keep_state
                        else wanted
                    ),
                    rpc_timeout=RPC_TIMEOUT,
                )
            except RPCError as exc:
                if exc.status is RPCStatusCode.INVALID_ARGUMENT:
                    raise InvalidInput("Temporal does not take the times of the schedule.") from exc
                raise

    def _handle(self, schedule_id: str) -> ScheduleHandle:
        return self._client.get_schedule_handle(PREFIX + schedule_id)
