"""Schedules: when jobs start by themselves, and the result of each firing."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from longhaul.core.errors import InvalidInput
from longhaul.core.ports import Transaction
from longhaul.core.principals import Principal

# The workflow that a schedule starts, by the name that Temporal knows.
START_SCHEDULED_JOB = "StartScheduledJob"


class FiringOutcome(StrEnum):
    """The result of one firing."""

    STARTED = "started"
    SKIPPED = "skipped"
    REFUSED = "refused"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Which job to start, for whom, and when.

    Attributes:
        owner: The owner of its jobs, with the roles of when it was made.
        request: The rest of the job: parameters, priority, description, metadata, options.
        cron: Five fields; None where `every_seconds` is given.
        time_zone: The time zone of `cron`.
        deleted: It is kept until Temporal has deleted it too.
    """

    id: str
    owner: Principal
    job_type: str
    request: Mapping[str, Any]
    cron: str | None
    every_seconds: int | None
    time_zone: str
    paused: bool
    deleted: bool
    version: int
    is_synced: bool
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledStart:
    """The input of `StartScheduledJob`."""

    schedule_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FiringRequest:
    """Asks for the job of one firing; the same time twice is one firing."""

    schedule_id: str
    scheduled_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """The result of a firing.

    Attributes:
        job_id: The job that was started, or the one that was still running.
        detail: Why no job was started; empty otherwise.
    """

    scheduled_at: datetime
    outcome: FiringOutcome
    job_id: str | None = None
    detail: str = ""


class Firings(Protocol):
    """The schedules and their firings, as the activity that starts jobs needs them."""

    async def lock(self, tx: Transaction, schedule_id: str) -> Schedule | None:
        """Read a schedule and keep other firings of it out until the transaction ends."""

    async def fired(self, tx: Transaction, schedule_id: str, at: datetime) -> Firing | None:
        """The result of the firing of a time, if there was one."""

    async def live_job(self, tx: Transaction, schedule_id: str) -> str | None:
        """The job of an earlier firing that has not ended."""

    async def note(self, tx: Transaction, schedule_id: str, firing: Firing) -> None:
        """Store the result of a firing."""


_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_FIELDS: tuple[tuple[str, int, int, Mapping[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, start=1)}),
    ("day of the week", 0, 6, {name: number for number, name in enumerate(_DAYS)}),
)
_PART = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/(\d+))?")


def check_cron(text: str) -> None:
    """Refuse a text that is not a cron expression of five fields.

    Raises:
        InvalidInput: It has another shape, or a value out of range; it says which.
    """
    fields = text.lower().split()
    if len(fields) != len(_FIELDS):
        raise InvalidInput(
            "A cron expression has five fields: minute, hour, day of the month, month, day of "
            "the week."
        )
    for field, (name, first, last, names) in zip(fields, _FIELDS, strict=True):
        if not all(_is_good(part, first, last, names) for part in field.split(",")):
            raise InvalidInput(f"The {name} of the cron expression cannot be read.")


def _is_good(part: str, first: int, last: int, names: Mapping[str, int]) -> bool:
    found = _PART.fullmatch(part)
    if found is None:
        return False
    start, end, step = found.groups()
    values = [_number(text, names) for text in (start, end) if text is not None]
    in_range = all(value is not None and first <= value <= last for value in values)
    in_order = len(values) < 2 or (values[0] or 0) <= (values[1] or 0)  # noqa: PLR2004 - a pair
    return in_range and in_order and (step is None or 1 <= int(step) <= last)


def _number(text: str, names: Mapping[str, int]) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else names.get(text)
