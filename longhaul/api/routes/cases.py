"""Test cases: list them, attach evidence, and review executions."""

from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Response

from longhaul.api.case_schemas import (
    CasePage,
    DocumentRequest,
    GivenDocumentView,
    GivenView,
    QueryRequest,
    ReviewRequest,
    WholeCaseView,
)
from longhaul.api.decision_schemas import RowId
from longhaul.api.routes.dependencies import Caller, Cursor, Limit, RowNumber, Serving
from longhaul.core.cases import EvidenceKind, ExecutionOutcome
from longhaul.core.casework import CaseFilter, CaseStatus

router = APIRouter()

CaseId = Annotated[int, Path(ge=1, lt=2**31)]


def case_filter_of(
    cycle_id: RowNumber | None = None,
    report_id: RowNumber | None = None,
    attribute_id: Annotated[list[RowId], Query()] = [],  # noqa: B006 - FastAPI copies it
    sample_id: Annotated[list[UUID], Query()] = [],  # noqa: B006
    status: Annotated[list[CaseStatus], Query()] = [],  # noqa: B006
    outcome: Annotated[list[ExecutionOutcome], Query()] = [],  # noqa: B006
    evidence: Annotated[list[EvidenceKind], Query()] = [],  # noqa: B006
) -> CaseFilter:
    """The filter of a list of test cases."""
    return CaseFilter(
        cycle_id=cycle_id,
        report_id=report_id,
        attribute_ids=attribute_id,
        sample_ids=[str(one) for one in sample_id],
        statuses=status,
        outcomes=outcome,
        evidence=evidence,
    )


@router.get("", response_model=CasePage)
async def list_cases(
    caller: Caller,
    serving: Serving,
    wanted: Annotated[CaseFilter, Depends(case_filter_of)],
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Any:
    """The active test cases of the reports that the caller may read, in the order of the form."""
    return await serving.cases.list(caller, wanted, limit=limit, cursor=cursor)


@router.get("/{case_id}", response_model=WholeCaseView)
async def read_case(case_id: CaseId, caller: Caller, serving: Serving) -> Any:
    """One test case with its evidence, its executions and their reviews."""
    return await serving.cases.show(caller, case_id)


@router.post("/documents", status_code=HTTPStatus.CREATED)
async def attach_document(
    body: DocumentRequest, caller: Caller, serving: Serving, response: Response
) -> GivenDocumentView:
    """Attach a document that is already evidence to further test cases; 200 if all have it."""
    given, is_new = await serving.cases.attach(caller, body.document, body.case_ids)
    if not is_new:
        response.status_code = HTTPStatus.OK
    return given


@router.post("/{case_id}/queries", status_code=HTTPStatus.CREATED)
async def give_query(
    case_id: CaseId, body: QueryRequest, caller: Caller, serving: Serving, response: Response
) -> GivenView:
    """Attach a query to test cases as evidence; it is run when they are executed."""
    given, is_new = await serving.cases.give_query(caller, case_id, body)
    if not is_new:
        response.status_code = HTTPStatus.OK
    return given


@router.post("/{case_id}/review", response_model=WholeCaseView)
async def review_case(
    case_id: CaseId, body: ReviewRequest, caller: Caller, serving: Serving
) -> Any:
    """Review the latest execution of a test case."""
    return await serving.cases.review(caller, case_id, body)
