"""Messages through Temporal: ids, ranges and counters; never items, results or prompts.

Every message is one dataclass so that fields can be added with a default. Fields are
never renamed or removed: histories of earlier releases are replayed with them.
"""

from dataclasses import dataclass, field
from datetime import datetime

from longhaul.core.chunks import Span
from longhaul.core.controls import Control
from longhaul.core.jobs import Counts, JobStatus, Outcome, Pause, RunMode


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """The input of a job's workflow, and what it carries when it continues as new.

    Attributes:
        queue: Where its chunks run.
        searchable: The namespace knows our search attributes, so that they may be set.
        epoch: 0 until the first plan of this attempt has answered.
        cursor: Ordinals below it were handed out before this run began.
        item_seconds: How long one item took lately.
        failures: The marks of a `FailureWindow`.
        seen: The last request ids, so that a repeated signal counts once.
        deadline: When the attempt gives up.
    """

    job_id: str
    job_type: str
    attempt: int
    queue: str
    searchable: bool = False
    epoch: int = 0
    generation: int = 0
    status: JobStatus = JobStatus.PENDING
    pause: Pause | None = None
    cancel_requested: bool = False
    cursor: int = 0
    item_seconds: float | None = None
    failures: str = ""
    seen: list[str] = field(default_factory=list)
    counts: Counts = Counts()
    concurrency: int = 1
    stop_ratio: float | None = None
    deadline: datetime | None = None
    faults: int = 0
    priority: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """Asks for an attempt to begin.

    Attributes:
        run_id: The first run of the workflow; it makes a repeated plan harmless.
    """

    job_id: str
    attempt: int
    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some open spans, coalesced.

    Attributes:
        after: Where the next page starts, or None when this was the last.
    """

    spans: list[Span]
    after: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A planned attempt, or `stale` when another run has it.

    Attributes:
        pause: A pause that was asked for before the workflow ran.
    """

    stale: bool = False
    epoch: int = 0
    generation: int = 0
    counts: Counts = Counts()
    page: Page | None = None
    concurrency: int = 1
    stop_ratio: float | None = None
    deadline: datetime | None = None
    pause: Pause | None = None
    cancel_requested: bool = False
    priority: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpansRequest:
    """Asks for a page of open spans from ordinal `after` on."""

    job_id: str
    epoch: int
    after: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSpans:
    """The answer to a `SpansRequest`; `stale` when the epoch has moved on."""

    stale: bool = False
    page: Page | None = None
    concurrency: int = 1
    counts: Counts = Counts()
    priority: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkRequest:
    """Asks for the open items between two ordinals, `at_once` of them at a time.

    Attributes:
        careful: One item at a time, each marked before it starts, because workers died
            over this range.
        limit: End after this many open items; None for all.
    """

    job_id: str
    attempt: int
    epoch: int
    generation: int
    first: int
    last: int
    at_once: int
    careful: bool = False
    limit: int | None = None


STOPPED_BY_PAUSE = "pause"
STOPPED_BY_SHUTDOWN = "shutdown"
STOPPED_BY_LOSS = "stop_loss"
STOPPED_BY_PROVIDER = "provider_rejected"
STOPPED_BY_OUTAGE = "outage"
STOPPED_BY_EPOCH = "epoch"
STOPPED_BY_LIMIT = "limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkResult:
    """The result of a chunk; the truth about its items is in the ledger.

    Attributes:
        stopped: Why it ended before its last open item, or "".
        generation: The newest generation that the chunk had seen when it stopped.
        busy_seconds: From its first item's start to its last item's end.
        marks: Its results in the order they ended, for the `FailureWindow`.
        concurrency: The job's concurrency as the row has it now.
        priority: The job's priority as the row has it now.
        counts: The job's counters as the row has them now.
        reason: A sentence for a person if the chunk stopped by itself.
    """

    ended: int = 0
    stopped: str = ""
    generation: int = 0
    busy_seconds: float = 0.0
    marks: str = ""
    concurrency: int = 0
    counts: Counts = Counts()
    reason: str = ""
    priority: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlWrite:
    """Asks for a new generation on the job row, and then for the flag.

    Attributes:
        status: The new status; None leaves it as it is.
        cancel: The job is being cancelled.
        controls: The requests that led here, for the audit.
    """

    job_id: str
    attempt: int
    epoch: int
    generation: int
    mode: RunMode
    status: JobStatus | None = None
    pause: Pause | None = None
    cancel: bool = False
    controls: list[Control] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlWritten:
    """The row after a `ControlWrite`.

    Attributes:
        generation: The row's, which may be newer than the one in the request.
        open: Items still open; 0 means that the job finishes instead of pausing.
    """

    stale: bool = False
    status: JobStatus = JobStatus.RUNNING
    generation: int = 0
    open: int = 0
    counts: Counts = Counts()


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishRequest:
    """Asks for the end of an attempt.

    Attributes:
        epoch: None when the attempt could not be planned.
        cancelled: What is still open stays open and the job becomes cancelled.
        fault_code: The job failed for this reason; what is still open stays open.
    """

    job_id: str
    attempt: int
    epoch: int | None = None
    cancelled: bool = False
    fault_code: str = ""
    fault_sentence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """How the attempt ended, or `open` items that still have to be done first.

    Attributes:
        stale: Another run has the attempt.
    """

    status: JobStatus
    stale: bool = False
    outcome: Outcome | None = None
    counts: Counts = Counts()
    open: int = 0
    code: str = ""
    sentence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """The workflow's result: the row's ending in short."""

    job_id: str
    status: JobStatus
    outcome: Outcome | None = None
    counts: Counts = Counts()
    code: str = ""
    sentence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What the `progress` query and the `control` update answer."""

    job_id: str
    job_type: str
    attempt: int
    status: JobStatus
    counts: Counts
    percentage: float
    generation: int
    in_flight: list[list[int]]
    pause: Pause | None = None
    cancel_requested: bool = False
    last_fault: str = ""


MOST_FAIRNESS_BYTES = 64


def fairness_key(owner: str) -> str:
    """The key by which Temporal distributes its workers: the owner's id, cut to its limit."""
    return owner.encode()[:MOST_FAIRNESS_BYTES].decode(errors="ignore")


def priority_key(priority: int) -> int:
    """Temporal's priority, 1 first, for ours, 10 first."""
    for key, lowest in enumerate((9, 7, 4, 2), start=1):
        if priority >= lowest:
            return key
    return 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildStart:
    """Asks a flow's workflow to start the workflow of one of its jobs as its child.

    Attributes:
        workflow: The name of the workflow type.
    """

    workflow: str
    state: JobState
    summary: str = ""
    owner: str = ""
    priority_key: int = 3
    cycle_id: int | None = None
    report_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalWish:
    """A person's decision on a step, not yet in the rows."""

    step: str
    decision: str
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowRequest:
    """Asks for the state of a flow, and what can be done next.

    Attributes:
        starting: Whether new steps may begin; not while the flow pauses.
        now: The workflow's time, so that its own alarms are never too early.
        wishes: Decisions that came as messages.
        lost: Actions over which workers died too often.
    """

    job_id: str
    epoch: int
    now: datetime
    starting: bool = True
    wishes: list[ApprovalWish] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveChild:
    """A job of a flow that has not ended."""

    job_id: str
    step: str
    status: JobStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowView:
    """The state of a flow; the truth is in its rows.

    Attributes:
        stale: The epoch has moved on or the flow has ended.
        actions: Actions to run now.
        waiting: Steps that wait for a person.
        wake_at: When a reminder or a deadline is due.
        over: Nothing more can be done in this attempt.
        code: Why the flow fails although steps are open, or "".
        refusals: For each wish, why it was refused, or "".
    """

    stale: bool = False
    counts: Counts = Counts()
    children: list[LiveChild] = field(default_factory=list)
    actions: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    wake_at: datetime | None = None
    over: bool = False
    code: str = ""
    sentence: str = ""
    refusals: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRequest:
    """Asks for one action of a flow."""

    job_id: str
    epoch: int
    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SteerRequest:
    """Asks to pass a control on to the jobs of a flow; no control means cancel."""

    job_id: str
    epoch: int
    generation: int
    control: Control | None = None
