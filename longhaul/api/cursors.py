"""Cursors: opaque to clients, and only ever a place in a list, never a right to see it."""

import base64
import binascii
from datetime import datetime
from uuid import UUID

from longhaul.core.errors import MalformedRequest

_SENTENCE = "The cursor cannot be read; use the `next_cursor` of the page before, unchanged."

_INTEGER = 2**31
_BIGINT = 2**63


def write_cursor(*parts: object) -> str:
    """Write a cursor of some parts."""
    text = "\n".join(
        part.isoformat() if isinstance(part, datetime) else str(part) for part in parts
    )
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_job_cursor(cursor: str | None) -> tuple[datetime, str] | None:
    """The (created_at, id) that a page of jobs goes on after.

    Raises:
        MalformedRequest: It is no cursor of ours.
    """
    if cursor is None:
        return None
    try:
        time, job_id = _parts(cursor)
        return _time(time), str(UUID(job_id))
    except ValueError:
        raise MalformedRequest(_SENTENCE) from None


def read_ordinal_cursor(cursor: str | None) -> int | None:
    """The ordinal that a page of items goes on after.

    Raises:
        MalformedRequest: It is no cursor of ours.
    """
    if cursor is None:
        return None
    try:
        (ordinal,) = _parts(cursor)
        value = int(ordinal)
    except ValueError:
        raise MalformedRequest(_SENTENCE) from None
    if not -1 <= value < 2**31:
        raise MalformedRequest(_SENTENCE)
    return value


def read_entry_cursor(cursor: str | None) -> tuple[int, int, str] | None:
    """The (line number, place, id) that a page of decided entries goes on after.

    Raises:
        MalformedRequest: It is no cursor of ours.
    """
    if cursor is None:
        return None
    try:
        line_no, place, entry_id = _parts(cursor)
        return _bounded(line_no, _INTEGER), _bounded(place, _INTEGER), entry_id
    except ValueError:
        raise MalformedRequest(_SENTENCE) from None


def read_case_cursor(cursor: str | None) -> tuple[int, int, int, int, int] | None:
    """The place among test cases that a page of them goes on after.

    Raises:
        MalformedRequest: It is no cursor of ours.
    """
    if cursor is None:
        return None
    try:
        cycle_id, report_id, line_no, sample, case_id = (
            _bounded(part, _INTEGER) for part in _parts(cursor)
        )
    except ValueError:
        raise MalformedRequest(_SENTENCE) from None
    return cycle_id, report_id, line_no, sample, case_id


def read_audit_cursor(cursor: str | None) -> int | None:
    """The number of the line that a page of an audit goes on after.

    Raises:
        MalformedRequest: It is no cursor of ours.
    """
    if cursor is None:
        return None
    try:
        (number,) = _parts(cursor)
        return _bounded(number, _BIGINT)
    except ValueError:
        raise MalformedRequest(_SENTENCE) from None


def read_time_cursor(cursor: str | None) -> datetime | None:
    """The time that log lines go on after.

    Raises:
        MalformedRequest: It is no cursor of ours.
    """
    if cursor is None:
        return None
    try:
        (time,) = _parts(cursor)
        return _time(time)
    except ValueError:
        raise MalformedRequest(_SENTENCE) from None


def _bounded(text: str, bound: int) -> int:
    number = int(text)
    if not -bound <= number < bound:
        raise ValueError("beyond what the database counts with")
    return number


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError("a cursor's time has a zone")
    return time


def _parts(cursor: str) -> list[str]:
    padded = cursor + "=" * (-len(cursor) % 4)
    try:
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode().split("\n")
    except (binascii.Error, UnicodeDecodeError):
        raise ValueError("no base64") from None
