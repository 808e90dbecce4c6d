"""The schedule routes, mounted under /api/v1/schedules."""

from http import HTTPStatus
from typing import Annotated, Any

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


@router.post("", status_code=HTTPStatus.CREATED, response_model=ScheduleView)
async def create_schedule(body: ScheduleRequest, caller: Caller, serving: Serving) -> Any:
    """Create a schedule; a firing is skipped while the job of another one runs."""
    return await serving.schedules.create(caller, body)


@router.get("", response_model=ScheduleList)
async def list_schedules(caller: Caller, serving: Serving) -> Any:
    """The caller's schedules; an Admin's list has everyone's."""
    return await serving.schedules.list(caller)


@router.get("/system", response_model=UpkeepList)
async def list_upkeep(caller: Caller, serving: Serving) -> Any:
    """The system's own schedules, for an Admin."""
    return await serving.schedules.upkeep(caller)


@router.get("/{schedule_id}", response_model=ScheduleDetail)
async def read_schedule(schedule_id: ScheduleId, caller: Caller, serving: Serving) -> Any:
    """One schedule, with its latest firings and the next ones."""
    return await serving.schedules.show(caller, schedule_id)


@router.get("/{schedule_id}/history", response_model=ObjectHistory)
async def read_schedule_history(
    schedule_id: ScheduleId,
    caller: Caller,
    serving: Serving,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Any:
    """The audit of a schedule, oldest first, also of a deleted one."""
    return await serving.object_audit.of(
        caller, Audited.SCHEDULE, schedule_id, limit=limit, cursor=cursor
    )


@router.post("/{schedule_id}/pause", response_model=ScheduleView)
async def pause_schedule(schedule_id: ScheduleId, caller: Caller, serving: Serving) -> Any:
    """Pause a schedule; jobs that it has started go on."""
    return await serving.schedules.pause(caller, schedule_id, paused=True)


@router.post("/{schedule_id}/resume", response_model=ScheduleView)
async def resume_schedule(schedule_id: ScheduleId, caller: Caller, serving: Serving) -> Any:
    """Resume a schedule; missed firings are not made up for."""
    return await serving.schedules.pause(caller, schedule_id, paused=False)


@router.post("/{schedule_id}/trigger", status_code=HTTPStatus.ACCEPTED, response_model=ScheduleView)
async def trigger_schedule(schedule_id: ScheduleId, caller: Caller, serving: Serving) -> Any:
    """Fire a schedule now; its firings show the result."""
    return await serving.schedules.trigger(caller, schedule_id)


@router.delete("/{schedule_id}", status_code=HTTPStatus.NO_CONTENT)
async def delete_schedule(schedule_id: ScheduleId, caller: Caller, serving: Serving) -> None:
    """Delete a schedule; jobs that it has started stay."""
    await serving.schedules.delete(caller, schedule_id)
