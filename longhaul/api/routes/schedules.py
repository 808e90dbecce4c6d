"""The schedule routes, mounted under /api/v1/schedules."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends

from longhaul.adapters.postgres.object_audit import Audited
from longhaul.api.routes.dependencies import Caller, Cursor, Limit, Serving, uuid_or_absent
from longhaul.api.schedule_schemas import (
    ScheduleDetail,
    ScheduleList,
    ScheduleRequest,
    ScheduleView,
    UpkeepList,
)
from longhaul.api.schemas import ObjectHistory

router = APIRouter()


def schedule_id_of(schedule_id: str) -> str:
    """The id of a schedule."""
    return uuid_or_absent(schedule_id, "There is no such schedule.")


ScheduleId = Annotated[str, Depends(schedule_id_of)]


@router.post("", status_code=HTTPStatus.CREATED)
async def create_schedule(body: ScheduleRequest, caller: Caller, serving: Serving) -> ScheduleView:
    """Create a schedule; a firing is skipped while the job of another one runs."""
    return await serving.schedules.create(caller, body)


@router.get("")
async def list_schedules(caller: Caller, serving: Serving) -> ScheduleList:
    """The caller's schedules; an Admin's list has everyone's."""
    return await serving.schedules.list(caller)


@router.get("/system")
async def list_upkeep(caller: Caller, serving: Serving) -> UpkeepList:
    """The system's own schedules, for an Admin."""
    return await serving.schedules.upkeep(caller)


@router.get("/{schedule_id}")
async def read_schedule(
    schedule_id: ScheduleId, caller: Caller, serving: Serving
) -> ScheduleDetail:
    """One schedule, with its latest firings and the next ones."""
    return await serving.schedules.show(caller, schedule_id)


@router.get("/{schedule_id}/history")
async def read_schedule_history(
    schedule_id: ScheduleId,
    caller: Caller,
    serving: Serving,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> ObjectHistory:
    """The audit of a schedule, oldest first, also of a deleted one."""
    return await serving.object_audit.of(
        caller, Audited.SCHEDULE, schedule_id, limit=limit, cursor=cursor
    )


@router.post("/{schedule_id}/pause")
async def pause_schedule(schedule_id: ScheduleId, caller: Caller, serving: Serving) -> ScheduleView:
    """Pause a schedule; jobs that it has started go on."""
    return await serving.schedules.pause(caller, schedule_id, paused=True)


@router.post("/{schedule_id}/resume")
async def resume_schedule(
    schedule_id: ScheduleId, caller: Caller, serving: Serving
) -> ScheduleView:
    """Resume a schedule; missed firings are not made up for."""
    return await serving.schedules.pause(caller, schedule_id, paused=False)


@router.post("/{schedule_id}/trigger", status_code=HTTPStatus.ACCEPTED)
async def trigger_schedule(
    schedule_id: ScheduleId, caller: Caller, serving: Serving
) -> ScheduleView:
    """Fire a schedule now; its firings show the result."""
    return await serving.schedules.trigger(caller, schedule_id)


@router.delete("/{schedule_id}", status_code=HTTPStatus.NO_CONTENT)
async def delete_schedule(schedule_id: ScheduleId, caller: Caller, serving: Serving) -> None:
    """Delete a schedule; jobs that it has started stay."""
    await serving.schedules.delete(caller, schedule_id)
