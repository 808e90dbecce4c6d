"""Requests and answers about test cases."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field, FiniteFloat, StringConstraints
from typing_extensions import TypedDict

from longhaul.api.decision_schemas import MOST_AT_ONCE, RowId
from longhaul.api.schemas import Description, Request, Verbatim
from longhaul.core.casework import Verdict
from longhaul.core.evidence_queries import MAX_QUERY


class CaseView(BaseModel):
    """A test case: one attribute of one sampled row."""

    id: int
    cycle_id: int
    report_id: int
    report_name: str
    phase_id: int
    attribute_id: int
    attribute: str
    data_type: str
    sample_id: str
    sample: int = Field(description="its number within the sample set")
    expected_value: str | None
    keys: dict[str, Any] = Field(description="what names the record")
    is_active: bool = Field(description="false once its sample set is superseded")
    status: str = Field(description="what people said of the latest execution, if there is one")
    outcome: str | None = Field(description="of the latest execution")
    executions: int
    executed_at: datetime | None
    evidence_kind: str | None = Field(description="of the evidence that counts")
    created_at: datetime


class CasePage(BaseModel):
    """One page of test cases, by report and in the order of its form."""

    cases: Sequence[CaseView]
    next_cursor: str | None


class EvidenceView(BaseModel):
    """One piece of evidence; fields of other kinds are null."""

    id: int
    kind: str
    given_by: str
    given_at: datetime
    document: str | None = Field(description="the hash of its content")
    content_type: str | None
    file_name: str | None
    size: int | None
    data_source: str | None
    sql: str | None
    parameters: dict[str, Any] | None
    table: str | None
    column: str | None
    source_key: dict[str, Any] | None


class ReviewView(BaseModel):
    """A person's review of an execution."""

    time: datetime
    by: str
    test_result: str
    before: str
    reason: str


class ExecutionView(BaseModel):
    """The result of an execution, and its reviews."""

    number: int
    is_latest: bool
    evidence_id: int
    reason: str
    outcome: str
    test_result: str
    extracted_value: str | None
    found_keys: dict[str, Any]
    location: dict[str, Any]
    comparison: dict[str, Any]
    confidence: float
    rationale: str
    provider: str
    model: str
    prompt_version: str
    duration_ms: int
    executed_by: str
    executed_at: datetime
    reviews: Sequence[ReviewView] = Field(description="oldest first")


class WholeCaseView(CaseView):
    """A test case with its evidence and executions."""

    evidence: Sequence[EvidenceView] = Field(description="what counts first; the newest 100")
    latest: ExecutionView | None
    history: Sequence[ExecutionView] = Field(description="newest first; the newest 100")


class DocumentRequest(Request):
    """Attaches a document that is already in the store to further test cases."""

    document: str = Field(pattern="^[0-9a-f]{64}$", description="the hash of its content")
    case_ids: list[RowId] = Field(min_length=1, max_length=MOST_AT_ONCE)


ParameterName = Annotated[str, StringConstraints(min_length=1, max_length=200)]

Scalar = Verbatim | bool | int | FiniteFloat | None


class QueryRequest(Request):
    """Attaches a query as evidence."""

    data_source: str = Field(min_length=1, max_length=200, description="its name")
    sql: str = Field(
        min_length=1,
        max_length=MAX_QUERY,
        description="one SELECT; parameters as %(name)s, a per cent sign twice",
    )
    parameters: dict[ParameterName, Scalar | list[Scalar]] = Field(
        {}, description="besides the keys of the record, such as %(Loan Number)s"
    )
    also: list[RowId] = Field(
        [], max_length=MOST_AT_ONCE, description="further test cases that it serves"
    )


class ReviewRequest(Request):
    """Reviews a test."""

    result: Verdict
    reason: Description = Field(
        "", description="required, except for `pass` where the outcome is match"
    )
    execution: RowId | None = Field(
        None, description="the number of the execution that was reviewed; the latest when absent"
    )


class GivenView(TypedDict):
    """The result of attaching evidence."""

    attached: int
    unchanged: Annotated[
        int, Field(description="cases that had it as their current evidence already")
    ]


class GivenDocumentView(GivenView):
    """The result of attaching a document."""

    document: Annotated[str, Field(description="the hash of its content")]
    content_type: str
    file_name: str
    size: int
