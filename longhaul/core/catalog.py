"""The catalog: which job types there are, by every name that clients may use."""

from collections.abc import Iterable, Iterator
from typing import Any

from longhaul.core.errors import UnknownJobType
from longhaul.core.job_types import JobType

AnyJobType = JobType[Any]


class Catalog:
    """Job types by name, alias and older task name.

    Raises:
        ValueError: Two types claim the same name.
    """

    def __init__(self, job_types: Iterable[AnyJobType]) -> None:
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

    def resolve(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the canonical names for a filter."""
        return tuple(self.get(name).name for name in names)
