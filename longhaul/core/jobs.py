"""A job: its states, how it may move between them, and how it ends."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from longhaul.core.approvers import Approvers
from longhaul.core.errors import WrongState


class JobStatus(StrEnum):
    """Where a job stands."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    RESUMING = "resuming"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Whether only a retry can move the job again."""
        return self in TERMINAL


class Outcome(StrEnum):
    """How a terminal job ended."""

    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"


class RunMode(StrEnum):
    """What chunks may do: go on, finish what is in flight, or stop at once."""

    RUN = "run"
    DRAIN = "drain"
    NOW = "now"


class Requested(StrEnum):
    """A control that is on its way to the workflow."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"


TERMINAL = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED})

_ENDS = {JobStatus.FAILED, JobStatus.CANCELLED}
_MOVES: Mapping[JobStatus, frozenset[JobStatus]] = {
    JobStatus.PENDING: frozenset({JobStatus.RUNNING} | _ENDS),
    JobStatus.RUNNING: frozenset({JobStatus.PAUSING, JobStatus.COMPLETED} | _ENDS),
    JobStatus.PAUSING: frozenset(
        {JobStatus.PAUSED, JobStatus.RESUMING, JobStatus.COMPLETED} | _ENDS
    ),
    JobStatus.PAUSED: frozenset({JobStatus.RESUMING} | _ENDS),
    JobStatus.RESUMING: frozenset({JobStatus.RUNNING, JobStatus.PAUSING} | _ENDS),
    JobStatus.COMPLETED: frozenset({JobStatus.PENDING}),
    JobStatus.FAILED: frozenset({JobStatus.PENDING}),
    JobStatus.CANCELLED: frozenset({JobStatus.PENDING}),
}


def can_move(current: JobStatus, to: JobStatus, *, outcome: Outcome | None = None) -> bool:
    """Whether a job may go from one status to another.

    A completed job goes back to pending only when it is partial: a retry of one that
    succeeded would have nothing to do.
    """
    if current is JobStatus.COMPLETED and outcome is not Outcome.PARTIAL:
        return False
    return to in _MOVES[current]


def move(current: JobStatus, to: JobStatus, *, outcome: Outcome | None = None) -> JobStatus:
    """Return the new status.

    Raises:
        WrongState: The state table has no such move.
    """
    if not can_move(current, to, outcome=outcome):
        raise WrongState(f"A job that is {current} cannot become {to}.")
    return to


def path(current: JobStatus, to: JobStatus) -> list[JobStatus]:
    """The moves that lead a live job to another status; none when it has it.

    A pause that finds nothing in flight goes through `pausing` without stopping there, and
    a resume through `resuming`; both are still moves of the table. So are those of a paused job
    that has nothing left to do when somebody cancels it.

    Raises:
        WrongState: No moves lead there.
    """
    # The shortest way, breadth first: to each status that was reached, the moves that lead there.
    moves: dict[JobStatus, list[JobStatus]] = {} if current in TERMINAL else {current: []}
    passable = set(_MOVES) - TERMINAL - {JobStatus.PENDING} | {to}
    reached = deque(moves)
    while reached:
        status = reached.popleft()
        if status is to:
            return moves[status]
        for following in sorted(_MOVES[status] & passable - moves.keys()):
            moves[following] = [*moves[status], following]
            reached.append(following)
    raise WrongState(f"A job that is {current} cannot become {to}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The items of a job by state; they add up to `total`."""

    total: int = 0
    done: int = 0
    failed: int = 0
    skipped: int = 0

    @property
    def ended(self) -> int:
        """Items that need nothing more in this attempt."""
        return self.done + self.failed + self.skipped

    @property
    def open(self) -> int:
        """Items still to do."""
        return self.total - self.ended

    @property
    def percentage(self) -> float:
        """0-100 with one decimal; 100 only when every item has ended."""
        if not self.total:
            return 0.0
        rounded = round(self.ended * 100 / self.total, 1)
        return rounded if not self.open else min(rounded, 99.9)

    @property
    def sentence(self) -> str:
        """The counts in words."""
        parts = [f"{self.done} done"]
        if self.failed:
            parts.append(f"{self.failed} failed")
        if self.skipped:
            parts.append(f"{self.skipped} skipped")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFault:
    """Why a job failed, for a person and for a program."""

    code: str
    sentence: str
    retryable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a job ends; decided once, from the ledger."""

    status: JobStatus
    outcome: Outcome
    fault: JobFault | None = None


CANCELLED = Ending(status=JobStatus.CANCELLED, outcome=Outcome.CANCELLED)


def failed(fault: JobFault) -> Ending:
    """The ending of a job that could not go on."""
    return Ending(status=JobStatus.FAILED, outcome=Outcome.FAILED, fault=fault)


def ending(counts: Counts) -> Ending:
    """Decide how a job without open items ends."""
    if counts.total == 0:
        return failed(
            JobFault(code="no_items", sentence="There was nothing to do: the job has no items.")
        )
    if counts.done + counts.skipped == counts.total:
        return Ending(status=JobStatus.COMPLETED, outcome=Outcome.SUCCEEDED)
    if counts.done == 0:
        return failed(
            JobFault(
                code="all_items_failed",
                sentence=f"None of the {counts.total} items could be done.",
                retryable=True,
            )
        )
    return Ending(
        status=JobStatus.COMPLETED,
        outcome=Outcome.PARTIAL,
        fault=JobFault(
            code="items_failed",
            sentence=f"{counts.failed} of {counts.total} items failed.",
            retryable=True,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Why and until when a job pauses."""

    mode: RunMode
    by: str = ""
    reason: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTotals:
    """The model calls of a job; `repeated` ones may have been paid for twice."""

    made: int = 0
    repeated: int = 0
    retried: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: Decimal | None = None


# How far in the future a start, an approval's end or a deadline may be.
MAX_WAIT_SECONDS = 366 * 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """Options for running a job.

    Attributes:
        concurrency: Items in flight at once, 1-1,000.
        stop_after_failure_ratio: Pause when more than this share of the latest items failed.
        deadline_seconds: Give up this long after the attempt started.
    """

    concurrency: int = 16
    stop_after_failure_ratio: float | None = None
    deadline_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One row of the job table: the truth about a job at one version.

    Attributes:
        dispatched_at: When the attempt was leased to be started; leasing makes no new version.
        parent_id: The flow that this job is a step of.
        step: The key of that step.
        waiting_for: What a flow waits for, where only the row can say so.
        owner_roles: The owner's roles when the job was created, for the steps of a flow.
        approvers: Who may see the job because they are asked to approve it.
        lob: The line of business of the job's report, else of its owner; None for all.
    """

    id: str
    job_type: str
    status: JobStatus
    outcome: Outcome | None
    owner: str
    attempt: int
    epoch: int
    version: int
    generation: int
    mode: RunMode
    pause: Pause | None
    requested: Requested | None
    priority: int
    description: str
    parameters: Mapping[str, Any]
    frozen: Mapping[str, Any]
    options: JobOptions
    metadata: Mapping[str, Any]
    cycle_id: int | None
    report_id: int | None
    counts: Counts
    calls: CallTotals
    current_step: str
    result: Mapping[str, Any] | None
    fault: JobFault | None
    run_id: str | None
    created_at: datetime
    updated_at: datetime
    start_at: datetime | None
    started_at: datetime | None
    planned_at: datetime | None
    paused_at: datetime | None
    completed_at: datetime | None
    dispatched_at: datetime | None = None
    parent_id: str | None = None
    step: str | None = None
    waiting_for: str | None = None
    owner_roles: tuple[str, ...] = ()
    owner_lob: str | None = None
    approvers: Approvers = Approvers()
    lob: str | None = None

    @property
    def deadline(self) -> datetime | None:
        """When the attempt gives up."""
        seconds = self.options.deadline_seconds
        if seconds is None or self.started_at is None:
            return None
        return self.started_at + timedelta(seconds=min(seconds, MAX_WAIT_SECONDS))
