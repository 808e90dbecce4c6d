"""A flow: steps one after another, groups of steps side by side, and their results.

A definition is only data: it has no expressions, only references to the results of
earlier steps.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from longhaul.core.approvers import Approvers
from longhaul.core.chunks import MAX_CONCURRENCY
from longhaul.core.errors import InvalidInput
from longhaul.core.items import ItemState
from longhaul.core.jobs import MAX_WAIT_SECONDS, JobOptions

MAX_STEPS = 5_000
DAY_SECONDS = 24 * 3600

FROM = "$from"
PATH = "path"
DEFAULT = "default"
JOB_OF = "$job"

# The parameter of a flow that holds its steps.
STEPS = "steps"

StepName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]*$", max_length=80)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class StepOptions(_Part):
    """Options for the job of a step."""

    concurrency: Annotated[int, Field(ge=1, le=MAX_CONCURRENCY)] = 16
    stop_after_failure_ratio: Annotated[float, Field(gt=0, le=1)] | None = None
    deadline_seconds: Annotated[float, Field(gt=0, le=MAX_WAIT_SECONDS)] | None = None

    def as_options(self) -> JobOptions:
        """The options as the engine knows them."""
        return JobOptions(**self.model_dump())


class _Step(_Part):
    name: StepName
    title: Annotated[str, StringConstraints(max_length=200)] = ""
    required: bool = Field(True, description="whether its failure ends the flow")


class JobStep(_Step):
    """A job of any type of the catalog."""

    kind: Literal["job"]
    job_type: Word
    parameters: dict[str, Any] = {}
    options: StepOptions = StepOptions()


class ActionStep(_Step):
    """A small piece of code that this installation has by name."""

    kind: Literal["action"]
    action: Word
    parameters: dict[str, Any] = {}


class ApprovalStep(_Step):
    """Waits for a person. Without roles and users everybody who may control the flow decides."""

    kind: Literal["approval"]
    message: Annotated[str, StringConstraints(max_length=2_000)] = ""
    about: dict[str, Any] = Field(
        {}, description="what is to be decided on, for people and programs; may hold references"
    )
    timeout_seconds: Annotated[float, Field(gt=0, le=MAX_WAIT_SECONDS)] = 7 * DAY_SECONDS
    remind_after_seconds: Annotated[float, Field(gt=0, le=MAX_WAIT_SECONDS)] | None = Field(
        DAY_SECONDS, description="and again after as long"
    )
    roles: list[Word] = Field(
        [], description="who holds one may see the flow, within its line of business, and decide"
    )
    users: list[Word] = Field([], description="people who may see the flow in order to decide")

    @property
    def approvers(self) -> Approvers:
        """Those whom the step names."""
        return Approvers(users=tuple(self.users), roles=tuple(self.roles))


Leaf: TypeAlias = JobStep | ActionStep | ApprovalStep


def _naming(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """Say which step is wrong, by name."""
    try:
        return check(value)
    except ValidationError as exc:
        name = value.get("name") if isinstance(value, Mapping) else None
        if not isinstance(name, str):
            raise
        found = "; ".join(
            f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}"
            for error in exc.errors(include_url=False, include_input=False, include_context=False)
        )
        raise ValueError(f"step {name[:80]!r}: {found}") from None


NamedLeaf = Annotated[
    Annotated[Leaf, Field(discriminator="kind")],
    WrapValidator(_naming),
]


class Group(_Step):
    """Steps side by side. Later steps wait for all of them."""

    kind: Literal["group"]
    steps: list[NamedLeaf] = Field(min_length=1, max_length=MAX_STEPS)


NamedStep = Annotated[
    Annotated[JobStep | ActionStep | ApprovalStep | Group, Field(discriminator="kind")],
    WrapValidator(_naming),
]


class Definition(_Part):
    """The steps of a flow, in their order."""

    steps: list[NamedStep] = Field(min_length=1, max_length=MAX_STEPS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A step at its place in a flow: an item of the flow's ledger.

    Attributes:
        key: Its name, or `group.name` within a group.
        position: Steps of one position run side by side.
        pointer: Where it is in the flow's parameters, as a JSON pointer.
    """

    key: str
    position: int
    step: Leaf
    required: bool
    pointer: str
    group: str | None = None

    @property
    def label(self) -> str:
        """What people read."""
        return self.step.title or self.key


def placed(definition: Definition) -> list[Placed]:
    """Every step that is carried out, in the order of the definition."""
    found = []
    for position, step in enumerate(definition.steps):
        pointer = f"/parameters/steps/{position}"
        if not isinstance(step, Group):
            found.append(
                Placed(
                    key=step.name,
                    position=position,
                    step=step,
                    required=step.required,
                    pointer=pointer,
                )
            )
            continue
        found += [
            Placed(
                key=f"{step.name}.{member.name}",
                position=position,
                step=member,
                required=step.required and member.required,
                pointer=f"{pointer}/steps/{number}",
                group=step.name,
            )
            for number, member in enumerate(step.steps)
        ]
    return found


# References to results of steps.


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A place in a step's parameters that is filled from an earlier step."""

    step: str
    path: tuple[str, ...] = ()
    wants_job: bool = False
    has_default: bool = False
    default: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """The result of a step that has ended, for later ones; `result` is None if it failed."""

    result: Any = None
    job_id: str | None = None


class Unresolved(Exception):
    """A reference that cannot be filled; the text says which."""


def read_reference(value: Mapping[str, Any]) -> Reference | None:
    """Read a mapping as a reference; None when it is an ordinary value.

    Raises:
        ValueError: It looks like a reference and is not one.
    """
    if JOB_OF in value:
        if set(value) != {JOB_OF} or not isinstance(value[JOB_OF], str):
            raise ValueError(f'a reference to a job is {{"{JOB_OF}": step}} and nothing else')
        return Reference(step=value[JOB_OF], wants_job=True)
    if FROM not in value:
        return None
    step, path = value[FROM], value.get(PATH, "")
    if not set(value) <= {FROM, PATH, DEFAULT} or not isinstance(step, str):
        raise ValueError(
            f'a reference is {{"{FROM}": step, "{PATH}": "a.b"}}, with "{DEFAULT}" if need be'
        )
    if not isinstance(path, str):
        raise ValueError(f'"{PATH}" is text such as "version_id" or "summary.total_rules"')
    return Reference(
        step=step,
        path=tuple(path.split(".")) if path else (),
        has_default=DEFAULT in value,
        default=value.get(DEFAULT),
    )


def references(value: Any, pointer: str = "") -> Iterator[tuple[str, Reference | str]]:
    """Every reference within a value, by JSON pointer; a text says what is wrong with one."""
    match value:
        case Mapping():
            try:
                found = read_reference(value)
            except ValueError as exc:
                yield pointer, str(exc)
                return
            if found is not None:
                yield pointer, found
                return
            for key, inner in value.items():
                yield from references(inner, f"{pointer}/{key}")
        case list() | tuple():
            for number, inner in enumerate(value):
                yield from references(inner, f"{pointer}/{number}")
        case _:
            return


def own_references(
    parameters: Mapping[str, Any], pointer: str = ""
) -> Iterator[tuple[str, Reference | str]]:
    """The references in a step's parameters, without those of a nested flow."""
    for key, value in parameters.items():
        if key != STEPS:
            yield from references(value, f"{pointer}/{key}")


def fill(parameters: Mapping[str, Any], results: Mapping[str, Any]) -> dict[str, Any]:
    """A step's parameters with their references filled in.

    Raises:
        Unresolved: A step that it refers to has failed, or its result has no such value.
    """
    return {
        key: value if key == STEPS else resolve(value, results) for key, value in parameters.items()
    }


def resolve(value: Any, results: Mapping[str, Any]) -> Any:
    """A value with its references filled in.

    Args:
        value: JSON with references in it.
        results: By step: a `StepResult`; by group: its members' by name.

    Raises:
        Unresolved: A step that it refers to has failed, or its result has no such value.
    """
    match value:
        case Mapping():
            reference = read_reference(value)
            if reference is not None:
                return _fill(reference, results)
            return {key: resolve(inner, results) for key, inner in value.items()}
        case list() | tuple():
            return [resolve(inner, results) for inner in value]
        case _:
            return value


def _fill(reference: Reference, results: Mapping[str, Any]) -> Any:
    found = results.get(reference.step)
    if reference.wants_job:
        if not isinstance(found, StepResult) or found.job_id is None:
            raise Unresolved(f"step {reference.step!r} has no job")
        return found.job_id
    value = _plain(found)
    try:
        for part in reference.path:
            value = value[int(part)] if isinstance(value, list) else value[part]
    except (KeyError, IndexError, TypeError, ValueError):
        if reference.has_default:
            return reference.default
        wanted = ".".join(reference.path)
        raise Unresolved(f"step {reference.step!r} left no {wanted!r}") from None
    if value is None and reference.has_default:
        return reference.default
    if found is None or (isinstance(found, StepResult) and value is None and not reference.path):
        raise Unresolved(f"step {reference.step!r} left no result")
    return value


def _plain(found: Any) -> Any:
    if isinstance(found, StepResult):
        return found.result
    if isinstance(found, Mapping):
        return {name: _plain(inner) for name, inner in found.items()}
    return found


def results_of(steps: Iterable[Placed], ended: Mapping[str, StepResult]) -> dict[str, Any]:
    """The results by the names that references use: of each step, and of each group."""
    found: dict[str, Any] = {}
    for one in steps:
        result = ended.get(one.key, StepResult())
        found[one.key] = result
        if one.group is not None:
            found.setdefault(one.group, {})[one.step.name] = result
    return found


# What is wrong with a definition, beyond its form.


def check(definition: Definition) -> None:
    """Refuse a flow with two steps of one name, or with references to later steps.

    Raises:
        InvalidInput: It names each step that is wrong.
    """
    steps = placed(definition)
    complaints = [*_doubles(definition), *_wrong_references(definition, steps)]
    if complaints:
        raise InvalidInput(f"The flow cannot run. {complaints[0][1]}", tuple(complaints))


def _doubles(definition: Definition) -> Iterator[tuple[str, str]]:
    yield from _doubles_of("/parameters/steps", definition.steps)
    for position, step in enumerate(definition.steps):
        if isinstance(step, Group):
            yield from _doubles_of(f"/parameters/steps/{position}/steps", step.steps)


def _doubles_of(pointer: str, steps: Sequence[_Step]) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for number, step in enumerate(steps):
        if step.name in seen:
            yield f"{pointer}/{number}/name", f"Step {step.name!r} occurs twice."
        seen.add(step.name)


def _wrong_references(definition: Definition, steps: Sequence[Placed]) -> Iterator[tuple[str, str]]:
    known: set[str] = set()
    for position, members in groupby(steps, lambda one: one.position):
        here = list(members)
        for one in here:
            for pointer, found in _references_of(one):
                if isinstance(found, str):
                    yield pointer, f"Step {one.key!r}: {found}."
                elif found.step not in known:
                    yield (
                        pointer,
                        f"Step {one.key!r} refers to {found.step!r}, which is not an earlier step.",
                    )
        known |= {one.key for one in here} | {definition.steps[position].name}


def _references_of(one: Placed) -> Iterator[tuple[str, Reference | str]]:
    if isinstance(one.step, ApprovalStep):
        return references(one.step.about, f"{one.pointer}/about")
    return own_references(one.step.parameters, f"{one.pointer}/parameters")


# What may be done next.


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """How far a flow has come.

    Attributes:
        open: Steps that may run now, or are running; none of a later position.
        failed: A required step that failed: nothing more may start.
    """

    open: tuple[Placed, ...] = ()
    failed: Placed | None = None


def frontier(steps: Sequence[Placed], states: Mapping[str, ItemState]) -> Frontier:
    """The first position that has not ended, unless a required step failed before its end."""
    for _, members in groupby(steps, lambda one: one.position):
        here = list(members)
        failed = next((s for s in here if s.required and states[s.key] is ItemState.FAILED), None)
        still_open = tuple(one for one in here if states[one.key] is ItemState.OPEN)
        if failed is not None or still_open:
            return Frontier(open=still_open, failed=failed)
    return Frontier()


# Approvals.


class ApprovalState(StrEnum):
    """Where an approval stands."""

    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"
    TIMED_OUT = "timed_out"


APPROVAL_REJECTED = "approval_rejected"
APPROVAL_TIMED_OUT = "approval_timed_out"
STEP_FAILED = "step_failed"

# Failures that a flow passes on with their own code.
OWN_CODES = frozenset({APPROVAL_REJECTED, APPROVAL_TIMED_OUT})
