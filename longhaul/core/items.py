"""An item: the unit of durability. Its result and its ledger row commit together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, TypeAlias


class ItemState(StrEnum):
    """Where an item stands in the ledger."""

    OPEN = "open"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewItem:
    """What a job type lists when a job is planned.

    Attributes:
        key: Identifies the item within its job.
        label: What a person reads while it runs, such as "Rules for Current Credit limit".
        payload: What `do` needs to find its input; references rather than contents.
    """

    key: str
    label: str = ""
    payload: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One open row of the ledger.

    Attributes:
        losses: How often the item was started after workers had died over its chunk, this time
            included, without an end; otherwise 0.
    """

    ordinal: int
    key: str
    label: str = ""
    payload: Mapping[str, Any] = field(default_factory=dict)
    losses: int = 0


@dataclass(frozen=True, slots=True)
class Done:
    """The item is done.

    Attributes:
        output: Small JSON kept in the ledger and shown by the API.
        rows: What the type's `save` stores in the same transaction.
    """

    state: ClassVar = ItemState.DONE

    output: Mapping[str, Any] | None = None
    rows: Any = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """There was nothing to do for the item; it counts as ended and not as failed."""

    state: ClassVar = ItemState.SKIPPED

    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The item cannot be done.

    Attributes:
        code: Stable word for programs, snake_case.
        sentence: For a person; quotes no prompt, row or document.
    """

    state: ClassVar = ItemState.FAILED

    code: str
    sentence: str


ItemResult: TypeAlias = Done | Skipped | Failed


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """An item's result on its way into the ledger."""

    item: Item
    result: ItemResult
    duration_ms: int = 0
    tries: int = 1

    @property
    def state(self) -> ItemState:
        """The ledger state that the result stands for."""
        return self.result.state
