"""The catalog: which job types and step actions there are, by every name in use."""

from collections.abc import Iterable, Iterator
from typing import Any

from longhaul.core.errors import InvalidInput, UnknownJobType
from longhaul.core.job_types import JobType
from longhaul.core.step_actions import AnyAction

AnyJobType = JobType[Any]


class Catalog:
    """Job types by name, alias and older task name; the actions of flows by name.

    Raises:
        ValueError: Two types or two actions claim the same name.
    """

    def __init__(self, job_types: Iterable[AnyJobType], actions: Iterable[AnyAction] = ()) -> None:
        self._types: dict[str, AnyJobType] = {}
        self._names: dict[str, AnyJobType] = {}
        for job_type in job_types:
            self._types[job_type.name] = job_type
            for name in {job_type.name, job_type.task_name or job_type.name, *job_type.aliases}:
                other = self._names.setdefault(name, job_type)
                if other is not job_type:
                    raise ValueError(
                        f"Job types {other.name!r} and {job_type.name!r} both claim {name!r}."
                    )
        self._actions: dict[str, AnyAction] = {}
        for action in actions:
            if self._actions.setdefault(action.name, action) is not action:
                raise ValueError(f"Two step actions claim the name {action.name!r}.")
        for job_type in self._types.values():
            job_type.join(self)

    def __iter__(self) -> Iterator[AnyJobType]:
        return iter(self._types.values())

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def get(self, name: str) -> AnyJobType:
        """Return the type of a name, an alias or an older task name.

        Raises:
            UnknownJobType: The catalog has no such name.
        """
        job_type = self._names.get(name)
        if job_type is None:
            known = ", ".join(sorted(self._types))
            raise UnknownJobType(f"Unknown job type {name[:80]!r}. Known types: {known}.")
        return job_type

    def is_flow(self, name: str) -> bool:
        """Whether the jobs of a type are flows; False for a type that is not installed."""
        return name in self and self.get(name).is_flow

    def action(self, name: str) -> AnyAction:
        """Return the step action of a name.

        Raises:
            InvalidInput: The catalog has no such action.
        """
        action = self._actions.get(name)
        if action is None:
            known = ", ".join(sorted(self._actions)) or "none"
            raise InvalidInput(f"Unknown action {name[:80]!r}. Known actions: {known}.")
        return action

    def resolve(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the canonical names for a filter."""
        return tuple(self.get(name).name for name in names)
