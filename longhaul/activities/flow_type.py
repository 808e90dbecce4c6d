"""Flows as a job type: their items are steps, and each step that is a job has its own row."""

from collections.abc import AsyncIterator, Mapping
from functools import reduce
from operator import or_
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from longhaul.activities.flow_look import fault_of
from longhaul.core.approvers import Approvers
from longhaul.core.errors import Forbidden, InvalidInput, ItemFailed, JobError
from longhaul.core.flows import (
    ActionStep,
    ApprovalStep,
    Definition,
    JobStep,
    Placed,
    check,
    frontier,
    own_references,
    placed,
)
from longhaul.core.items import Item, ItemResult, ItemState, NewItem
from longhaul.core.job_types import CatalogView, ItemContext, JobType, Prepared
from longhaul.core.jobs import Counts, Ending, Job, JobFault, ending, failed
from longhaul.core.ports import Flows, StepRow, Transaction
from longhaul.core.principals import Principal, check_may_start
from longhaul.services.flow_steps import steps_of

P = TypeVar("P", bound=BaseModel)


class FlowType(JobType[P], Generic[P]):
    """The base of all flows; their steps are in the parameters under `steps`.

    Args:
        flows: Reads the rows of flows.
    """

    is_flow = True

    def __init__(self, flows: Flows) -> None:
        self._flows = flows
        self._catalog: CatalogView | None = None

    def join(self, catalog: CatalogView) -> None:
        """Remember the catalog that steps refer to."""
        self._catalog = catalog

    def definition(self, parameters: P) -> Definition:
        """The steps in parameters."""
        return Definition(steps=getattr(parameters, "steps"))  # noqa: B009 - each has them

    async def prepare(self, tx: Transaction, parameters: P, principal: Principal) -> Prepared[P]:
        """Check everything about the steps that is known before they run.

        Raises:
            InvalidInput: It names each step that is wrong.
            Forbidden: The caller may not start the job of a step.
        """
        definition = self.definition(parameters)
        check(definition)
        steps = placed(definition)
        complaints = [found for step in steps for found in self._complaints(step, principal)]
        if complaints:
            raise InvalidInput(f"The flow cannot run. {complaints[0][1]}", tuple(complaints))
        approvers = reduce(
            or_,
            (one.step.approvers for one in steps if isinstance(one.step, ApprovalStep)),
            Approvers(),
        )
        return Prepared(parameters=parameters, approvers=approvers)

    def _complaints(self, step: Placed, principal: Principal) -> list[tuple[str, str]]:
        try:
            match step.step:
                case JobStep(job_type=name, parameters=given):
                    job_type = self._types.get(name)
                    check_may_start(principal, job_type.roles, job_type.title)
                    model = job_type.parameters
                case ActionStep(action=name, parameters=given):
                    action = self._types.action(name)
                    check_may_start(principal, action.roles, action.title)
                    model = action.parameters
                case _:
                    return []
        except Forbidden as exc:
            raise Forbidden(f"Step {step.key!r}: {exc.sentence}") from None
        except JobError as exc:
            return [(step.pointer, f"Step {step.key!r}: {exc.sentence}")]
        return [
            (f"{step.pointer}/parameters{pointer}", f"Step {step.key!r}: {why}")
            for pointer, why in _misfits(model, given)
        ]

    @property
    def _types(self) -> CatalogView:
        assert self._catalog is not None, "a flow type is asked before it is in a catalog"
        return self._catalog

    async def items(self, tx: Transaction, parameters: P) -> AsyncIterator[NewItem]:
        """List the steps in their order."""
        for step in placed(self.definition(parameters)):
            yield NewItem(key=step.key, label=step.label, payload={"kind": step.step.kind})

    async def do(self, item: Item, context: ItemContext[P]) -> ItemResult:
        """Steps are not run in chunks."""
        raise ItemFailed("not_an_item", "The step of a flow is not run as an item.")

    async def ending(self, tx: Transaction, job: Job, counts: Counts) -> Ending:
        """Failed if a required step has failed."""
        rows = {row.key: row for row in await self._flows.steps(tx, job.id)}
        steps = steps_of(job)
        fault = frontier(steps, {key: row.state for key, row in rows.items()}).failed
        if fault is None:
            return ending(counts)
        code, sentence = fault_of(rows[fault.key])
        return failed(JobFault(code=code, sentence=sentence, retryable=True))

    async def summarise(self, tx: Transaction, job: Job, counts: Counts) -> Mapping[str, Any]:
        """Each step with its job and its result, and the totals."""
        rows = await self._flows.steps(tx, job.id)
        children = await self._flows.children(tx, job.id)
        spent = [child.calls.cost_usd for child in children.values() if child.calls.cost_usd]
        return {
            "steps": {row.key: _step_object(row, children.get(row.key)) for row in rows},
            "done": counts.done,
            "failed": counts.failed,
            "not_run": counts.open,
            "partial_steps": [key for key, child in children.items() if child.outcome == "partial"],
            "calls_made": sum(child.calls.made for child in children.values()),
            "cost_usd": float(sum(spent)) if spent else None,
        }


def _step_object(row: StepRow, child: Job | None) -> dict[str, Any]:
    is_over = row.state is not ItemState.OPEN
    return {
        "state": row.state,
        "job_id": child.id if child else None,
        "outcome": child.outcome if child and is_over else None,
        "result": row.output.get("result") if row.output else None,
        "error": {"code": row.code, "message": row.sentence} if row.code else None,
    }


def _misfits(model: type[BaseModel], given: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is wrong with parameters, as far as that is known before references are filled."""
    if not any(True for _ in own_references(given)):
        return _errors_of(model, given, ())
    unknown = set(given) - _names(model) if model.model_config.get("extra") == "forbid" else set()
    open_names = tuple(
        name for name in given if any(True for _ in own_references({name: given[name]}))
    )
    found = [(f"/{name}", f"unknown parameter {name!r}.") for name in sorted(unknown)]
    return found or _errors_of(model, given, open_names)


def _errors_of(
    model: type[BaseModel], given: Mapping[str, Any], still_open: tuple[str, ...]
) -> list[tuple[str, str]]:
    try:
        model.model_validate({key: one for key, one in given.items() if key not in still_open})
    except ValidationError as exc:
        return [
            ("".join(f"/{part}" for part in error["loc"]), f"{error['msg']}.")
            for error in exc.errors(include_url=False, include_input=False, include_context=False)
            # Values of references, and what depends on them, are checked when they are there.
            if not still_open or (error["loc"] and error["type"] != "missing")
        ]
    return []


def _names(model: type[BaseModel]) -> set[str]:
    aliases = {field.alias for field in model.model_fields.values() if field.alias}
    return set(model.model_fields) | aliases
