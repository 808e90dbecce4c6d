"""How many jobs of a type may run at once, and how many may start in a minute."""

from collections.abc import Mapping
from dataclasses import dataclass

from longhaul.core.catalog import Catalog
from longhaul.core.errors import UnknownJobType


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeLimit:
    """The limits of one job type; None is no limit.

    Attributes:
        max_running: Attempts that have been started and have not ended. A paused job
            counts too, so that a resume never exceeds the limit.
        starts_per_minute: Starts within any 60 seconds.
    """

    job_type: str
    max_running: int | None = None
    starts_per_minute: int | None = None


def type_limits(
    catalog: Catalog,
    max_running: Mapping[str, int],
    starts_per_minute: Mapping[str, int],
) -> list[TypeLimit]:
    """The limits of the types that have any.

    Args:
        catalog: The types with their own limits.
        max_running: Overrides from the settings, by any name of a type; 0 is no
            limit.
        starts_per_minute: As `max_running`.

    Raises:
        ValueError: A name is unknown, or two names are of one type.
    """
    max_running = _by_type(catalog, max_running)
    starts_per_minute = _by_type(catalog, starts_per_minute)
    found = [
        TypeLimit(
            job_type=one.name,
            max_running=max_running.get(one.name, one.max_running) or None,
            starts_per_minute=starts_per_minute.get(one.name, one.starts_per_minute) or None,
        )
        for one in catalog
    ]
    return [one for one in found if one.max_running or one.starts_per_minute]


def _by_type(catalog: Catalog, limits: Mapping[str, int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, limit in limits.items():
        try:
            job_type = catalog.get(name).name
        except UnknownJobType as exc:
            raise ValueError(f"A limit cannot be kept. {exc.sentence}") from None
        if job_type in found:
            raise ValueError(f"Job type {job_type!r} is given two limits of one kind.")
        found[job_type] = limit
    return found
