"""Requests and answers of the job routes."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from typing_extensions import TypedDict

from longhaul.core.chunks import MAX_CONCURRENCY
from longhaul.core.jobs import MAX_WAIT_SECONDS, JobOptions

Text = Annotated[str, StringConstraints(max_length=500)]
# Not stripped: names and values of other systems may begin with a space.
Verbatim = Annotated[str, StringConstraints(strip_whitespace=False)]
Description = Annotated[str, StringConstraints(max_length=2_000)]
Concurrency = Annotated[int, Field(ge=1, le=MAX_CONCURRENCY)]
Priority = Annotated[int, Field(ge=0, le=10)]
Ratio = Annotated[float, Field(gt=0, le=1)]
Deadline = Annotated[float, Field(gt=0, le=MAX_WAIT_SECONDS)]


_ENDS = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


def _storable(time: datetime) -> datetime:
    """The time in UTC, whose year may then be out of range."""
    try:
        in_utc = time.astimezone(UTC)
    except OverflowError:
        in_utc = _ENDS[0]
    # For the database's driver the first and the last moment are infinity.
    if in_utc in _ENDS:
        raise ValueError("the time is beyond the years 1 to 9999 in UTC")
    return in_utc


StorableTime = Annotated[AwareDatetime, AfterValidator(_storable)]


class Request(BaseModel):
    """A body that a client sends; unknown keys are refused by name."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, str_strip_whitespace=True)


class OptionsRequest(Request):
    """Options for running a job."""

    concurrency: Concurrency = 16
    stop_after_failure_ratio: Ratio | None = None
    deadline_seconds: Deadline | None = None

    def as_options(self) -> JobOptions:
        """The options as the engine knows them."""
        return JobOptions(**self.model_dump())


class JobRequest(Request):
    """Asks for a job. `task_name` may be sent instead of `job_type`."""

    job_type: Text | None = None
    task_name: Text | None = None
    parameters: dict[str, Any] = {}
    priority: Priority = 5
    description: Description = ""
    metadata: dict[str, Any] = {}
    start_delay_seconds: Annotated[float, Field(ge=0, le=MAX_WAIT_SECONDS)] = 0
    start_at: StorableTime | None = None
    options: OptionsRequest = OptionsRequest()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.job_type is None) == (self.task_name is None):
            raise ValueError("send either `job_type` or `task_name`")
        if self.start_at is not None and self.start_delay_seconds:
            raise ValueError("`start_at` and `start_delay_seconds` exclude each other")
        return self

    @property
    def type_name(self) -> str:
        """The name of the job type, from either key."""
        return self.job_type or self.task_name or ""


def _in_the_future(time: datetime) -> datetime:
    if time <= datetime.now(UTC):
        raise ValueError("the time is in the past")
    return time


FutureTime = Annotated[StorableTime, AfterValidator(_in_the_future)]


class PauseRequest(Request):
    """Asks a job to pause."""

    mode: Literal["drain", "now"] = "drain"
    until: FutureTime | None = None
    reason: Text = ""


class RetryOptions(Request):
    """Options that a retry changes; null removes a limit, absent ones stay."""

    concurrency: Concurrency | None = None
    stop_after_failure_ratio: Ratio | None = None
    deadline_seconds: Deadline | None = None

    def over(self, options: JobOptions) -> JobOptions:
        """The options of a job, changed by these."""
        given = self.model_dump(exclude_unset=True)
        if self.concurrency is None:  # there is always one
            given.pop("concurrency", None)
        return replace(options, **given)


class RetryRequest(Request):
    """Asks for another attempt: all failed items, or the named ones of them."""

    items: Literal["failed"] | list[Verbatim] = "failed"
    options: RetryOptions = RetryOptions()

    @property
    def keys(self) -> list[str] | None:
        """The named items; None for all failed ones."""
        return None if isinstance(self.items, str) else self.items


class PatchRequest(Request):
    """Changes the options of a running job."""

    concurrency: Concurrency | None = None
    priority: Priority | None = None
    description: Description | None = None


class ControlRequest(PauseRequest, RetryRequest):
    """The control routes in one."""

    action: Literal["pause", "resume", "cancel", "retry"]


class ApproveRequest(Request):
    """Approves or rejects a step that waits. `step` may be absent while only one does."""

    step: Text | None = None
    decision: Literal["approved", "rejected"]
    reason: Text = ""


# The shapes of answers are what `mypy` checks the services by, and FastAPI what is sent.


class Progress(TypedDict):
    """How far a job is."""

    current: int
    total: int
    percentage: float
    succeeded: int
    failed: int
    skipped: int
    in_flight: int
    rate_per_second: float
    eta_seconds: int | None
    message: str


class ErrorDetail(TypedDict):
    """Why a job failed, for a program."""

    code: str
    message: str
    retryable: bool
    item_count: int


class PauseView(TypedDict):
    """Who paused a job, how, why and until when."""

    mode: str
    by: str
    reason: str
    until: datetime | None


class CallsView(TypedDict):
    """The model calls of a job; repeated ones may have been paid for twice."""

    made: int
    repeated: int
    retried: int


class TokensView(TypedDict):
    """Tokens used."""

    input: int | None
    output: int | None


class JobView(TypedDict):
    """The job object: all keys always present."""

    job_id: str
    job_type: str
    task_name: str
    status: str
    outcome: str | None
    progress_percentage: int
    current_step: str
    total_steps: int
    completed_steps: int
    message: str
    progress: Progress
    result: Mapping[str, Any] | None
    error: str | None
    error_detail: ErrorDetail | None
    priority: int
    description: str
    owner: str
    attempt: int
    version: int
    requested: str | None
    waiting_for: str | None
    pause: PauseView | None
    parameters: Mapping[str, Any]
    options: Mapping[str, Any]
    calls: CallsView
    tokens: TokensView
    cost_usd: float | None
    created_at: datetime
    started_at: datetime | None
    paused_at: datetime | None
    completed_at: datetime | None
    updated_at: datetime
    metadata: Mapping[str, Any]
    parent_id: str | None
    step: str | None


class ResumedJobView(JobView):
    """A resumed job keeps its id; clients of the replaced Celery system read it here."""

    original_job_id: str


class JobList(TypedDict):
    """One page of jobs, newest first."""

    jobs: list[JobView]
    total: int
    total_exact: bool
    next_cursor: str | None


class ApprovalView(TypedDict):
    """An approval of a step, and its answer; `about` is what to decide on."""

    step: str
    title: str
    message: str
    about: Mapping[str, Any]
    state: str
    attempt: int
    roles: list[str]
    users: list[str]
    asked_at: datetime
    deadline: datetime
    remind_at: datetime | None
    decided_at: datetime | None
    decided_by: str | None
    reason: str


class Approvals(TypedDict):
    """The approvals of a flow, oldest first."""

    approvals: list[ApprovalView]


class ActiveJobs(TypedDict):
    """One page of the jobs that have not ended."""

    active_jobs: list[JobView]
    next_cursor: str | None


class ItemError(TypedDict):
    """Why an item failed."""

    code: str
    message: str


class ItemView(TypedDict):
    """One row of the ledger."""

    item_key: str
    ordinal: int
    state: str
    attempts: int
    error: ItemError | None
    output: Mapping[str, Any] | None
    calls: int
    tokens: TokensView
    cost_usd: float | None
    duration_ms: int | None
    updated_at: datetime | None


_Try = TypedDict("_Try", {"try": int})


class CallView(_Try):
    """One model call of an item."""

    attempt: int
    step: str
    state: str
    failure: str | None
    provider: str
    model: str
    tokens: TokensView
    cost_usd: float | None
    duration_ms: int | None
    sent_at: datetime
    ended_at: datetime | None


class ItemDetail(ItemView):
    """One item with its calls."""

    call_list: list[CallView]


class ItemList(TypedDict):
    """One page of the ledger."""

    items: list[ItemView]
    total: int
    total_exact: bool
    next_cursor: str | None


class Attempt(TypedDict):
    """One run over the items that were open."""

    attempt: int
    started_at: datetime | None
    ended_at: datetime | None
    status: str | None
    outcome: str | None
    counts: dict[str, int]


class AuditLine(TypedDict):
    """One line of an audit."""

    time: datetime
    attempt: int
    action: str
    by: str
    details: Mapping[str, Any]


class History(TypedDict):
    """The attempts of a job and its audit."""

    attempts: list[Attempt]
    audit: list[AuditLine]


class ObjectAuditLine(TypedDict):
    """One line of the audit of a schedule, a webhook or a report."""

    time: datetime
    action: str
    by: str
    details: Mapping[str, Any]


class ObjectHistory(TypedDict):
    """One page of an audit, oldest first."""

    audit: list[ObjectAuditLine]
    next_cursor: str | None


class LogLine(TypedDict):
    """One line of a job's log."""

    time: datetime
    level: str
    event: str
    item_key: str | None
    fields: Mapping[str, Any]


class LogPage(TypedDict):
    """Log lines, oldest first."""

    logs: list[LogLine]
    next_cursor: str | None


class JobTypeView(TypedDict):
    """One entry of the catalog."""

    job_type: str
    title: str
    task_name: str
    aliases: list[str]
    parameters: Mapping[str, Any]
    roles: list[str]


class JobTypes(TypedDict):
    """The catalog."""

    job_types: list[JobTypeView]


class Validated(TypedDict):
    """The result of a dry run."""

    valid: bool
    job_type: str
    parameters: Mapping[str, Any]
    items: int


class Problem(BaseModel):
    """An error as in RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str
    trace_id: str
