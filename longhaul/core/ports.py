"""The ports to the outside world. Adapters implement them; composition roots join them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol, TypedDict, TypeVar, Unpack

from longhaul.core.approvers import Approvers
from longhaul.core.calls import CallPlace, ModelReply, ModelRequest, SentCall
from longhaul.core.controls import Control, Flag
from longhaul.core.flows import ApprovalState
from longhaul.core.items import Item, ItemOutcome, ItemState, NewItem
from longhaul.core.jobs import (
    CallTotals,
    Counts,
    Job,
    JobFault,
    JobOptions,
    JobStatus,
    Outcome,
    Pause,
    Requested,
    RunMode,
)
from longhaul.core.messages import Page
from longhaul.core.notices import Event

Row = Mapping[str, Any]
Answer = TypeVar("Answer")


class Transaction(Protocol):
    """One open transaction; leaving its block commits, an exception rolls back."""

    async def fetch(
        self, sql: str, *values: object, within: timedelta | None = None
    ) -> Sequence[Row]:
        """Run one statement with `$1` parameters and return its rows.

        Lists are sent as arrays, anything as JSON where the parameter is of type jsonb.

        Args:
            within: How long it may take; None for 30 seconds, which is enough for those that
                read some rows only.

        Raises:
            Unavailable: The database did not answer.
        """

    async def execute(self, sql: str, *values: object, within: timedelta | None = None) -> int:
        """Run one statement and return how many rows it touched.

        Raises:
            Unavailable: The database did not answer.
        """

    async def copy(
        self, table: str, columns: Sequence[str], records: Iterable[tuple[object, ...]]
    ) -> None:
        """Append many rows at once.

        Raises:
            Unavailable: The database did not answer.
        """

    def nested(self) -> AbstractAsyncContextManager[None]:
        """A part that can fail without failing the rest of the transaction."""


class Database(Protocol):
    """Opens transactions."""

    def begin(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a transaction that may write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job that does not exist yet.

    Attributes:
        start_at: Not started before this; None for at once.
        singleton_key: Only one live job may hold it.
        parent_id: The flow that it is a step of; `step` says which.
        owner_roles: The owner's roles now, for what the job starts later.
        approvers: Who besides the owner may see it.
    """

    id: str
    job_type: str
    owner: str
    parameters: Mapping[str, Any]
    options: JobOptions
    priority: int
    description: str
    metadata: Mapping[str, Any]
    cycle_id: int | None = None
    report_id: int | None = None
    start_at: datetime | None = None
    singleton_key: str | None = None
    parent_id: str | None = None
    step: str | None = None
    owner_roles: Sequence[str] = ()
    owner_lob: str | None = None
    approvers: Approvers = Approvers()


class JobChanges(TypedDict, total=False):
    """What `Jobs.update` may set; the times follow from the status."""

    status: JobStatus
    outcome: Outcome | None
    attempt: int
    epoch: int
    generation: int
    mode: RunMode
    pause: Pause | None
    requested: Requested | None
    priority: int
    description: str
    concurrency: int
    stop_after_failure_ratio: float | None
    deadline_seconds: float | None
    frozen: Mapping[str, Any]
    counts: Counts
    calls: CallTotals
    planned: bool
    result: Mapping[str, Any] | None
    fault: JobFault | None
    run_id: str | None
    current_step: str
    waiting_for: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CountChanges:
    """What one batch adds to a job's counters."""

    done: int = 0
    failed: int = 0
    skipped: int = 0
    calls_made: int = 0
    calls_repeated: int = 0
    calls_retried: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: Decimal | None = None
    current_step: str | None = None


class Jobs(Protocol):
    """The job table. Every change is one UPDATE that raises `version` by one."""

    async def insert(self, tx: Transaction, job: NewJob) -> Job | None:
        """Store a job and the audit of its creation; None when its singleton key is taken."""

    async def lock(self, tx: Transaction, job_id: str) -> Job | None:
        """Read a job and hold its row until the transaction ends."""

    async def read(self, tx: Transaction, job_id: str) -> Job | None:
        """Read a job."""

    async def read_singleton(self, tx: Transaction, key: str) -> Job | None:
        """Read the live job that holds a singleton key."""

    async def has_live_steps(self, tx: Transaction, job_id: str) -> bool:
        """Whether a job below this one has not ended."""

    async def update(self, tx: Transaction, job: Job, **changes: Unpack[JobChanges]) -> Job:
        """Change a job that was locked in this transaction.

        An end or a pause queues an event for the owner's webhooks.

        Raises:
            SingletonBusy: Another live job holds the same singleton key.
        """

    async def count(
        self, tx: Transaction, job_id: str, epoch: int, changes: CountChanges
    ) -> Job | None:
        """Add to the counters; None when the epoch has moved on or the job has ended."""

    async def announce(
        self,
        tx: Transaction,
        job: Job,
        event: Event,
        details: Mapping[str, Any],
        asked: Approvers = Approvers(),
    ) -> None:
        """Queue an event that is not a status change, for the owner and the approvers."""

    async def audit(
        self, tx: Transaction, job: Job, action: str, by: str, details: Mapping[str, Any]
    ) -> None:
        """Write the audit, in the same transaction as the change."""

    async def controls_noted(self, tx: Transaction, job: Job, generation: int) -> int:
        """How many requests to pause or resume have been noted under a generation."""


class Ledger(Protocol):
    """The job_item table: one row per item, frozen when the job is planned."""

    async def hold_plan(self, tx: Transaction, job_id: str) -> None:
        """Keep other planners of the job out until the transaction ends.

        The job's own row stays free meanwhile: listing a million items takes a while, and
        controls must not wait for it.
        """

    async def add(self, tx: Transaction, job_id: str, items: AsyncIterator[NewItem]) -> int:
        """Store the items of a job in their order and return how many there are.

        Raises:
            InvalidInput: Two items have the same key.
        """

    async def open_page(self, tx: Transaction, job_id: str, after: int) -> Page:
        """The open spans from ordinal `after` on, as many as fit into one message."""

    async def open_items(
        self, job_id: str, first: int, last: int, limit: int | None
    ) -> Sequence[Item]:
        """The open items between two ordinals, in order."""

    async def end(self, tx: Transaction, job_id: str, ended: Sequence[ItemOutcome]) -> set[int]:
        """Write results over open items and return the ordinals that were still open."""

    async def count(self, tx: Transaction, job_id: str) -> tuple[Counts, CallTotals]:
        """Count the items of a job by state, and add up its calls."""

    async def count_items(self, tx: Transaction, job_id: str) -> Counts:
        """Count the items of a job by state."""

    async def reopen_failed(self, tx: Transaction, job_id: str) -> int:
        """Open all failed items again and return how many there were."""

    async def reopen(self, tx: Transaction, job_id: str, keys: Sequence[str]) -> Sequence[str]:
        """Open the named failed items again.

        Returns:
            Their keys, and those of named items that are already open.
        """

    async def find(self, tx: Transaction, job_id: str, key: str) -> Item | None:
        """An item, whatever its state."""

    async def note_losses(self, job_id: str, ordinal: int, losses: int) -> None:
        """Note how often a worker may have died over an item, if it is still open."""

    async def take_loss_back(self, job_id: str, ordinal: int, losses: int) -> None:
        """Count one loss less, if it is still `losses`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow:
    """A step of a flow as its ledger has it."""

    ordinal: int
    key: str
    label: str
    state: ItemState
    code: str | None
    sentence: str | None
    output: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """What a person was asked in one attempt of a flow, and the answer."""

    step: str
    attempt: int
    state: ApprovalState
    asked_at: datetime
    deadline: datetime
    remind_at: datetime | None
    decided_at: datetime | None
    decided_by: str | None
    reason: str


class Flows(Protocol):
    """The rows of flows: their steps, the jobs of these, and what people were asked."""

    async def steps(self, tx: Transaction, job_id: str) -> Sequence[StepRow]:
        """The ledger of a flow, in order."""

    async def children(self, tx: Transaction, job_id: str) -> Mapping[str, Job]:
        """The jobs of a flow by step."""

    async def now(self, tx: Transaction) -> datetime:
        """The time that deadlines are compared with."""

    async def approvals(self, tx: Transaction, job_id: str, attempt: int) -> Mapping[str, Approval]:
        """What was asked in an attempt, by step."""

    async def ask(
        self, tx: Transaction, job: Job, step: str, *, wait: timedelta, remind: timedelta | None
    ) -> Approval:
        """Begin to wait for a person."""

    async def remind(self, tx: Transaction, job: Job, step: str, again_at: datetime | None) -> None:
        """Note that a reminder went out, and when the next is due."""

    async def decide(
        self,
        tx: Transaction,
        job: Job,
        step: str,
        state: ApprovalState,
        *,
        by: str | None = None,
        reason: str = "",
    ) -> None:
        """End an approval that was waiting."""


class CallJournal(Protocol):
    """The llm_call table. Every method may be repeated with the same call."""

    async def reusable(self, place: CallPlace, fingerprint: str) -> ModelReply | None:
        """The earlier answer to an equal request in this place, if there is one."""

    async def sent(self, call: SentCall, request: ModelRequest, fingerprint: str) -> None:
        """Commit that a request is about to be sent.

        Raises:
            Fenced: The epoch has moved on or the job has ended; send nothing.
        """

    async def answered(self, call: SentCall, reply: ModelReply, duration_ms: int) -> None:
        """Commit the answer, its tokens and its cost."""

    async def failed(self, call: SentCall, reason: str, duration_ms: int) -> None:
        """Commit that the provider gave no answer."""


class ModelClient(Protocol):
    """Sends one request to a model; never retries by itself."""

    async def complete(self, request: ModelRequest, within: timedelta) -> ModelReply:
        """Return the model's answer.

        Raises:
            ProviderBusy: Rate limit, overload, server error, time-out or lost connection.
            ProviderRejected: Credentials, model or quota are refused.
            ItemFailed: The provider refuses this one request, or cut its answer off.
        """


class RateLimiter(Protocol):
    """Requests and tokens a minute, shared by all workers."""

    async def acquire(self, tokens: int, still: Callable[[], Awaitable[bool]]) -> "Permit | None":
        """Wait in line, then for the turn of one request of about this many tokens.

        Args:
            still: Asked when it is our turn; if it says no, there is no permit.
        """

    async def close(self, wait: timedelta) -> None:
        """Let no request through for a while, because the provider asks for that."""


class Permit(Protocol):
    """A turn that was given."""

    async def settle(self, tokens: int) -> None:
        """Return the difference to the estimate, or take it."""


class Breaker(Protocol):
    """Stops calls to a provider that keeps failing, for all workers at once."""

    async def enter(self) -> "Trial":
        """Wait until a call may be tried; while the breaker is open only one probe may."""


class Trial(Protocol):
    """A call that may be tried. Its outcome does not count once the breaker has opened."""

    async def stands(self) -> bool:
        """Whether the call may still be tried after a wait; if so, it counts as under way."""

    async def succeeded(self) -> None:
        """The provider answered."""

    async def failed(self) -> None:
        """The provider failed."""

    async def abandoned(self) -> None:
        """The call ended without showing whether the provider works."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What one worker does for a job right now; only stored in Redis."""

    in_flight: int
    rate_per_second: float
    waiting_for: str | None = None


class JobBoard(Protocol):
    """The hot copy of job rows. Losing it costs a moment of live detail."""

    async def post(self, job: Job) -> None:
        """Show a row, unless it shows a newer one. Never raises."""

    async def post_live(self, job_id: str, live: Live) -> None:
        """Show what this worker does for a job. Never raises."""

    async def read(self, job_id: str) -> "Shown":
        """What is shown of a job."""

    async def read_live(self, job_ids: Sequence[str]) -> Sequence["Shown"]:
        """What is shown of several jobs, in one round trip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The board's answer; `known` is False when the board could not be asked."""

    known: bool
    job: Job | None = None
    live: tuple[Live, ...] = ()


class Flags(Protocol):
    """The pause flags that running chunks read; they only make a pause faster."""

    async def raise_flag(self, job_id: str, flag: Flag) -> None:
        """Show a flag, unless it shows a newer one. Never raises."""

    async def read(self, job_ids: Sequence[str]) -> Sequence[Flag | None]:
        """The flags of several jobs, in one round trip; None where there is none."""


class LogTail(Protocol):
    """The live tail of a job's log lines; capped, and gone with Redis."""

    def write(self, job_id: str, level: str, event: str, **fields: object) -> None:
        """Append a line without waiting for it. Never raises."""

    async def read(self, job_id: str, limit: int) -> Sequence[Mapping[str, Any]]:
        """The newest lines, oldest first; empty when the tail cannot be read."""


class RunStatus(StrEnum):
    """The status of a workflow, as far as a job's row needs it."""

    RUNNING = "running"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"
    TERMINATED = "terminated"
    TIMED_OUT = "timed_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowRun:
    """What Temporal says about the newest run of a job's workflow.

    Attributes:
        run_id: The first run of its chain of continue-as-new, as the job row has it.
    """

    run_id: str
    status: RunStatus
    started_at: datetime


class Workflows(Protocol):
    """Starts and controls the workflows of jobs.

    Every method raises:
        TemporalUnavailable: Temporal cannot be reached.
    """

    async def start(self, job: Job, workflow: type, queue: str, summary: str) -> bool:
        """Start the workflow of an attempt; False when the old run is still closing."""

    async def control(self, job_id: str, control: Control) -> bool:
        """Send a pause or resume as a signal; False when there is no running workflow."""

    async def cancel(self, job_id: str) -> bool:
        """Request cancellation; False when Temporal knows of no workflow.

        Temporal accepts the request for a closed one too, without effect.
        """

    async def nudge(self, job_id: str) -> bool:
        """Make a flow look at its rows; False when there is no running workflow."""

    async def describe(self, job_id: str) -> WorkflowRun | None:
        """The latest run of a job's workflow, or None when Temporal knows of none."""


class RegexDialects(Protocol):
    """Says whether a regular expression means the same on every source."""

    async def refusal(self, pattern: str) -> str | None:
        """Why a source would refuse the pattern, or None when all accept it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """What every step of a job needs: the stores, and the board that shows them."""

    database: Database
    jobs: Jobs
    ledger: Ledger
    board: JobBoard


class ErrorReporter(Protocol):
    """Logs unexpected errors for operators, without quoting any data."""

    def file(self, error: BaseException, **where: object) -> str:
        """Log an exception's kind and place under a new error id, and return the id."""
