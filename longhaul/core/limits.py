"""How many jobs of a type may run at once, and how many may start in a minute."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from longhaul.core.catalog import AnyJobType


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeLimit:
    """The limits of one job type; None is no limit.

    Attributes:
        max_running: Attempts that have been started and have not ended. A paused job keeps
            its place, so that a resume never exceeds the limit.
        starts_per_minute: Starts within any 60 seconds.
    """

    job_type: str
    max_running: int | None = None
    starts_per_minute: int | None = None


def type_limits(
    job_types: Iterable[AnyJobType],
    max_running: Mapping[str, int],
    starts_per_minute: Mapping[str, int],
) -> list[TypeLimit]:
    """The limits of those types that have any.

    Args:
        job_types: What each type says of itself.
        max_running: What the installation says instead; 0 lifts the type's own limit.
        starts_per_minute: As `max_running`.
    """
    found = [
        TypeLimit(
            job_type=one.name,
            max_running=max_running.get(one.name, one.max_running) or None,
            starts_per_minute=starts_per_minute.get(one.name, one.starts_per_minute) or None,
        )
        for one in job_types
    ]
    return [one for one in found if one.max_running or one.starts_per_minute]
