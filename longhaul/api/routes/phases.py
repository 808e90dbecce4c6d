"""The mappings of a phase: list them, decide on them, and map by hand."""

from typing import Annotated, Any

from fastapi import APIRouter, Path

from longhaul.api.decision_schemas import (
    DecidedView,
    DecisionHistory,
    DecisionRequest,
    EntryPage,
    EntryView,
    MappingRequest,
    UnmappedPage,
)
from longhaul.api.routes.dependencies import Caller, Cursor, Limit, OneEntry, Serving, Wanted

router = APIRouter()

PhaseId = Annotated[int, Path(ge=1, lt=2**31)]
AttributeId = Annotated[int, Path(ge=1, lt=2**31)]


@router.get("/{phase_id}/mappings", response_model=EntryPage)
async def list_mappings(
    phase_id: PhaseId,
    caller: Caller,
    serving: Serving,
    wanted: Wanted,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Any:
    """The mappings of a phase, in the order of the form."""
    find = serving.deciding.mappings(caller, phase_id)
    return await serving.deciding.entries(find, wanted, limit=limit, cursor=cursor)


@router.post("/{phase_id}/mappings/decisions")
async def decide_on_mappings(
    phase_id: PhaseId, body: DecisionRequest, caller: Caller, serving: Serving
) -> DecidedView:
    """Approve or reject mappings, as tester or as report owner."""
    find = serving.deciding.mappings(caller, phase_id)
    return await serving.deciding.decide(caller, find, body)


@router.get("/{phase_id}/mappings/missing")
async def list_unmapped(
    phase_id: PhaseId, caller: Caller, serving: Serving, limit: Limit = 100, cursor: Cursor = None
) -> UnmappedPage:
    """The attributes without a column: no job could map them, or their mapping was rejected."""
    find = serving.deciding.mappings(caller, phase_id)
    return await serving.deciding.unmapped(find, limit=limit, cursor=cursor)


@router.put("/{phase_id}/mappings/{attribute_id}", response_model=EntryView)
async def map_attribute(
    phase_id: PhaseId,
    attribute_id: AttributeId,
    body: MappingRequest,
    caller: Caller,
    serving: Serving,
) -> Any:
    """Map an attribute by hand; this approves it as tester, and the report owner decides."""
    find = serving.deciding.mappings(caller, phase_id)
    return await serving.deciding.map_manually(caller, find, attribute_id, body)


@router.get("/{phase_id}/mappings/history")
async def read_mapping_history(
    phase_id: PhaseId,
    caller: Caller,
    serving: Serving,
    entry_id: OneEntry = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> DecisionHistory:
    """The audit of the mappings, oldest first."""
    find = serving.deciding.mappings(caller, phase_id)
    return await serving.deciding.history(find, entry_id=entry_id, limit=limit, cursor=cursor)
