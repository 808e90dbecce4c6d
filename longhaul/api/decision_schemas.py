"""Requests and answers about versions and the decisions on their entries."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from typing_extensions import TypedDict

from longhaul.api.schemas import Request, Text, Verbatim
from longhaul.core.approvers import Decision
from longhaul.core.decisions import Reviewer
from longhaul.core.manual_mappings import ManualMapping
from longhaul.core.mappings import Level, MappingType, SecurityClass

MOST_AT_ONCE = 10_000

EntryId = Annotated[str, Field(min_length=1, max_length=64)]
RowId = Annotated[int, Field(ge=1, lt=2**31)]


class DecisionRequest(Request):
    """Decides on entries: the named ones, those of attributes, or all that wait."""

    decision: Decision
    reason: Text = Field("", description="needed to reject")
    reviewer: Reviewer | None = Field(
        None,
        alias="as",
        description="as whom, if the caller may decide as both",
    )
    ids: list[EntryId] | None = Field(None, min_length=1, max_length=MOST_AT_ONCE)
    attribute_ids: list[RowId] | None = Field(None, min_length=1, max_length=MOST_AT_ONCE)
    all: bool = Field(False, description="everything that waits for this reviewer")

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        given = [self.ids is not None, self.attribute_ids is not None, self.all]
        if sum(given) != 1:
            raise ValueError("send exactly one of `ids`, `attribute_ids` and `all`")
        return self


Named = Annotated[Verbatim, Field(min_length=1, max_length=200)]


class MappingRequest(Request):
    """Maps an attribute by hand; absent parts of the classification stay as they were."""

    data_source: Named
    table: Named
    column: Named
    mapping_type: MappingType = MappingType.DIRECT
    business_process: Text | None = None
    information_security_classification: SecurityClass | None = None
    criticality: Level | None = None
    risk: Level | None = None
    regulatory_flag: bool | None = None
    pii_flag: bool | None = None
    regulatory_references: list[Text] | None = Field(None, max_length=10)
    reason: Text = ""

    def as_mapping(self) -> ManualMapping:
        """The mapping as core has it, without its column."""
        return ManualMapping(
            mapping_type=self.mapping_type,
            reason=self.reason,
            business_process=self.business_process,
            security=self.information_security_classification,
            criticality=self.criticality,
            risk=self.risk,
            regulatory=self.regulatory_flag,
            pii=self.pii_flag,
            references=self.regulatory_references,
        )


class StepRequest(Request):
    """Submits, approves or rejects a version."""

    reason: Text = ""


class GenerateRulesRequest(Request):
    """The body of `generate-rules`, as clients of the replaced Celery system send it."""

    attribute_ids: list[RowId] | None = Field(None, min_length=1)
    force: bool = False


class CountsView(TypedDict):
    """How the entries of a version stand."""

    total: int
    pending: int
    approved: int
    rejected: int
    waiting_for_tester: int
    waiting_for_report_owner: int


class VersionView(BaseModel):
    """A version of rules, recommendations or samples."""

    version_id: str
    kind: str
    cycle_id: int
    report_id: int
    report_name: str
    phase_id: int
    number: int
    status: str
    created_by: str
    created_at: datetime


class CountedVersionView(VersionView):
    """A version, and how its entries stand."""

    counts: CountsView


class VersionList(BaseModel):
    """One page of versions, newest first."""

    versions: Sequence[VersionView]
    next_cursor: str | None


class EntryView(BaseModel):
    """An entry to decide on; each kind has further columns."""

    model_config = ConfigDict(extra="allow")

    id: str
    attribute_id: int | None
    attribute: str | None
    status: str
    tester_decision: str | None
    report_owner_decision: str | None


class EntryPage(BaseModel):
    """One page of entries, in the order of the form."""

    kind: str
    entries: Sequence[EntryView]
    counts: CountsView
    next_cursor: str | None


class UnmappedView(TypedDict):
    """An attribute without a column."""

    attribute_id: int
    name: str
    line_no: int
    data_type: str
    format: str
    description: str
    is_rejected: Annotated[bool, Field(description="whether it had a mapping that was rejected")]


class UnmappedPage(TypedDict):
    """One page of attributes without a column, in the order of the form."""

    attributes: Sequence[UnmappedView]
    next_cursor: str | None


_As = TypedDict("_As", {"as": str})


class DecidedView(_As):
    """The result of a request to decide."""

    decided: int
    unchanged: int
    counts: CountsView


class DecisionAuditLine(TypedDict):
    """One line of the audit of an entry, or of the version as a whole."""

    time: datetime
    action: str
    by: str
    entry_id: str | None
    reviewer: str | None
    reason: str
    details: Mapping[str, Any]


class DecisionHistory(TypedDict):
    """One page of an audit, oldest first."""

    audit: Sequence[DecisionAuditLine]
    next_cursor: str | None


class TriggeredJob(TypedDict):
    """The answer of `generate-rules`, as clients of the replaced Celery system read it."""

    job_id: str
    message: str
