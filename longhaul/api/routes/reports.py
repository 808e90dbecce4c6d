"""The report routes, mounted under /api/v1/reports."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from longhaul.api.report_schemas import (
    AddedSourceView,
    AttributePage,
    ImportedView,
    ReportList,
    ReportRequest,
    SourceList,
    SourceRequest,
)
from longhaul.api.routes.dependencies import Caller, Cursor, Limit, Serving
from longhaul.api.schemas import ObjectHistory

router = APIRouter()

RowId = Annotated[int, Path(ge=1, lt=2**31)]
CycleId = Annotated[int | None, Query(ge=1, lt=2**31, description="the latest when absent")]


@router.post("", status_code=HTTPStatus.CREATED)
async def bring_report(
    body: ReportRequest, caller: Caller, serving: Serving, response: Response
) -> ImportedView:
    """Import a report with its form into a cycle; answers 200 if all of it existed before."""
    answer = await serving.reports.bring(caller, body)
    if not answer["created"]:
        response.status_code = HTTPStatus.OK
    return answer


@router.get("")
async def list_reports(
    caller: Caller, serving: Serving, limit: Limit = 100, cursor: Cursor = None
) -> ReportList:
    """The reports of the caller's line of business, with their cycles and data sources."""
    return await serving.reports.list(caller, limit=limit, cursor=cursor)


@router.get("/{report_id}/attributes")
async def list_attributes(
    report_id: RowId,
    caller: Caller,
    serving: Serving,
    cycle_id: CycleId = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> AttributePage:
    """The form of a report in a cycle, line by line."""
    return await serving.reports.attributes(caller, report_id, cycle_id, limit=limit, cursor=cursor)


@router.get("/{report_id}/sources")
async def list_sources(report_id: RowId, caller: Caller, serving: Serving) -> SourceList:
    """The data sources of a report."""
    return await serving.reports.sources(caller, report_id)


@router.post("/{report_id}/sources", status_code=HTTPStatus.CREATED)
async def add_source(
    report_id: RowId, body: SourceRequest, caller: Caller, serving: Serving, response: Response
) -> AddedSourceView:
    """Check a data source and add it; answers 200 if it existed before."""
    answer = await serving.reports.add_source(caller, report_id, body)
    if not answer["created"]:
        response.status_code = HTTPStatus.OK
    return answer


@router.delete("/{report_id}/sources/{source_id}", status_code=HTTPStatus.NO_CONTENT)
async def remove_source(
    report_id: RowId, source_id: RowId, caller: Caller, serving: Serving
) -> None:
    """Remove a data source that nothing has come from yet."""
    await serving.reports.remove_source(caller, report_id, source_id)


@router.get("/{report_id}/history")
async def read_report_history(
    report_id: RowId,
    caller: Caller,
    serving: Serving,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> ObjectHistory:
    """The audit of a report: imports and data sources, oldest first."""
    return await serving.reports.history(caller, report_id, limit=limit, cursor=cursor)
