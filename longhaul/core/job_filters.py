"""Filters for lists of jobs and of a job's items."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from longhaul.core.items import ItemState
from longhaul.core.jobs import JobStatus
from longhaul.core.principals import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs to list; fields that are empty or None do not filter.

    Attributes:
        visible_to: Only jobs that this caller may see: their own, and those that ask them.
        waiting_for: Only running flows with this value.
    """

    visible_to: Principal | None = None
    owner: str | None = None
    parent_id: str | None = None
    statuses: Sequence[JobStatus] = ()
    job_types: Sequence[str] = ()
    cycle_id: int | None = None
    report_id: int | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    waiting_for: str | None = None
    live_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemFilter:
    """Which items to list."""

    states: Sequence[ItemState] = ()
    error_code: str | None = None
