"""Actions: small things that a flow does between its jobs, by name.

They are found through the entry point group `longhaul.step_actions`; each entry names a
class, or any callable, that takes `Resources` and returns a `StepAction`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel

from longhaul.core.job_types import Resources
from longhaul.core.jobs import Job
from longhaul.core.ports import Database, Transaction
from longhaul.core.principals import Principal, Role

ENTRY_POINT_GROUP = "longhaul.step_actions"

P = TypeVar("P", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionContext:
    """What an action gets.

    Attributes:
        job: The flow.
        step: The key of the step in it.
        principal: Who started the flow, with the roles of that moment.
        log: Writes a line into the flow's live log.
    """

    job: Job
    step: str
    principal: Principal
    database: Database
    log: Callable[..., None]


class StepAction(ABC, Generic[P]):
    """One action.

    Attributes:
        name: The `action` in definitions; never changes.
        parameters: The pydantic model of its parameters; unknown keys are refused.
        roles: Who may start a flow with it; empty means everyone who may start the flow.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    parameters: type[P]
    roles: ClassVar[frozenset[Role]] = frozenset()

    def __init__(self, resources: Resources | None = None) -> None:
        """Build the action; one that needs nothing from outside need not override this."""

    @abstractmethod
    async def do(self, context: ActionContext, parameters: P) -> Mapping[str, Any]:
        """Do it, and return the result that later steps may refer to.

        It may be done again after a crash, so put effects into `save`, or make
        them harmless to repeat.

        Raises:
            ItemFailed: It cannot be done.
        """

    async def save(
        self, tx: Transaction, context: ActionContext, parameters: P, output: Mapping[str, Any]
    ) -> None:
        """Store its effects in the transaction that ends the step."""


AnyAction = StepAction[Any]
