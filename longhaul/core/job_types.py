"""What a job type is: its parameters, how it lists items, does one, and sums up.

A user's job type is a subclass of `JobType` and a thin workflow class, found through the
entry point group `longhaul.job_types`. See docs/adding_a_job.md.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from pydantic import BaseModel

from longhaul.core.approvers import Approvers
from longhaul.core.blobs import BlobStore
from longhaul.core.items import Failed, Item, ItemOutcome, ItemResult, NewItem
from longhaul.core.jobs import Counts, Ending, Job, ending
from longhaul.core.ports import Database, RegexDialects, Transaction
from longhaul.core.principals import Principal, Role
from longhaul.core.sources import SourceAccess

if TYPE_CHECKING:  # an action is built from what a job type is built from
    from longhaul.core.step_actions import StepAction

OFFLINE = "offline"

ENTRY_POINT_GROUP = "longhaul.job_types"

P = TypeVar("P", bound=BaseModel)
A = TypeVar("A", bound=BaseModel)


class Queue(StrEnum):
    """Task queues: one for workflows, one for each kind of load that items bring."""

    WORKFLOWS = "longhaul"
    LLM = "longhaul-llm"
    DATA = "longhaul-data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a job type may build itself from.

    Attributes:
        provider: The configured model provider: `offline`, `openai` or `anthropic`.
        model: The configured model's name; empty for `offline`.
        offline_seconds_per_item: How long the offline analyst waits for each item.
        blobs: Where documents are kept; None where there are none.
        sources: How data sources are reached, for adapters that read them.
    """

    database: Database
    regexes: RegexDialects
    provider: str = OFFLINE
    model: str = ""
    offline_seconds_per_item: float = 0.0
    blobs: BlobStore | None = None
    sources: SourceAccess = field(default_factory=SourceAccess)


W = TypeVar("W")


def for_provider(frozen: Mapping[str, Any], *, offline: W, model: W) -> W:
    """Choose by the provider that the job was planned with."""
    return offline if frozen["provider"] == OFFLINE else model


class Calls(Protocol):
    """The model calls of one item: paced, journalled, validated, never paid twice knowingly."""

    async def ask(
        self,
        *,
        step: str,
        provider: str,
        model: str,
        instructions: str,
        prompt: str,
        answer: type[A],
        check: Callable[[A], Awaitable[None]] | None = None,
    ) -> A:
        """Ask a model for an answer of a given shape.

        A bad answer is asked for again, with what was wrong about it, at most twice.

        Args:
            step: Names the question within the item; its answers are re-used under it.
            check: Raises `BadAnswer` for faults that the shape does not exclude.

        Raises:
            ItemFailed: No usable answer came.
        """


class BadAnswer(Exception):
    """A model's answer cannot be used; the text tells the model what to fix."""


# Not frozen: each item has its own, and freezing doubles the cost.
@dataclass(slots=True, kw_only=True)
class ItemContext(Generic[P]):
    """What `do` gets besides the item."""

    job: Job
    parameters: P
    calls: Calls
    database: Database
    log: Callable[..., None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared(Generic[P]):
    """Parameters, with everything resolved that must not change later.

    Attributes:
        singleton: Whether only one live job of this type may exist for the report.
        report_name: For titles; empty where the type has no report.
        approvers: Who besides the owner may see the job, to approve what it asks.
    """

    parameters: P
    cycle_id: int | None = None
    report_id: int | None = None
    phase_id: int | None = None
    singleton: bool = False
    report_name: str = ""
    approvers: Approvers = Approvers()


class CatalogView(Protocol):
    """The part of the catalog that a job type may need."""

    def get(self, name: str) -> "JobType[Any]":
        """Return the type of a name.

        Raises:
            UnknownJobType: The catalog has no such name.
        """

    def action(self, name: str) -> "StepAction[Any]":
        """Return the step action of a name.

        Raises:
            InvalidInput: The catalog has no such action.
        """


class JobType(ABC, Generic[P]):
    """One kind of job. Override what differs; the engine does the rest.

    Attributes:
        name: What clients send as `job_type`; never changes.
        task_name: Its name in the Celery system that Longhaul replaces.
        parameters: The pydantic model of its parameters; unknown keys are refused.
        workflow: Its workflow class, a thin subclass of `ItemJob`.
        queue: Where its items run.
        item_timeout: How long one item may take; waiting for a rate limit is not counted.
        max_attempts: How often an item is tried when it says that it may succeed again.
        max_running: How many such jobs may run at once; settings override it.
        starts_per_minute: How many may start in a minute; settings override it.
        is_flow: Its items are steps that other jobs carry out, so they are in no chunk.
        roles: Who may start it; empty means everyone who is authenticated.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    parameters: type[P]
    workflow: ClassVar[type]
    task_name: ClassVar[str | None] = None
    aliases: ClassVar[tuple[str, ...]] = ()
    queue: ClassVar[Queue] = Queue.DATA
    item_timeout: ClassVar[timedelta] = timedelta(minutes=2)
    max_attempts: ClassVar[int] = 3
    max_running: ClassVar[int | None] = None
    starts_per_minute: ClassVar[int | None] = None
    is_flow: ClassVar[bool] = False
    roles: ClassVar[frozenset[Role]] = frozenset()

    def __init__(self, resources: Resources | None = None) -> None:
        """Build the type; one that needs nothing from outside need not override this."""

    def join(self, catalog: "CatalogView") -> None:
        """Called with the catalog that the type is part of."""

    async def prepare(self, tx: Transaction, parameters: P, principal: Principal) -> Prepared[P]:
        """Resolve the parameters in the transaction that creates the job.

        Raises:
            InvalidInput: They name something that does not exist or cannot be used.
        """
        return Prepared(parameters=parameters)

    def freeze(self) -> Mapping[str, Any]:
        """What must not change until the job ends: prompt version, model."""
        return {}

    @abstractmethod
    def items(self, tx: Transaction, parameters: P) -> AsyncIterator[NewItem]:
        """List the items, in a stable order."""

    @abstractmethod
    async def do(self, item: Item, context: ItemContext[P]) -> ItemResult:
        """Do one item. It may be done again after a crash, so put effects into `save`.

        Raises:
            ItemFailed: The item cannot be done.
        """

    async def refuse(
        self, tx: Transaction, job: Job, ended: Sequence[ItemOutcome]
    ) -> Mapping[int, Failed]:
        """Name the results that may no longer be stored, by ordinal; lock what `save` needs."""
        return {}

    async def save(self, tx: Transaction, job: Job, ended: Sequence[ItemOutcome]) -> None:
        """Store the rows of items in the transaction that ends them."""

    async def ending(self, tx: Transaction, job: Job, counts: Counts) -> Ending:
        """How a job ends whose items have all ended."""
        return ending(counts)

    async def summarise(self, tx: Transaction, job: Job, counts: Counts) -> Mapping[str, Any]:
        """Sum up a job whose items have ended, from what is stored."""
        return {"done": counts.done, "failed": counts.failed, "skipped": counts.skipped}
