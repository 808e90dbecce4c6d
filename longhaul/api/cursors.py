"""Cursors: opaque to clients; a place in a list, not a right to see it."""

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import wraps
from typing import TypeVar
from uuid import UUID

from longhaul.core.errors import MalformedRequest

_SENTENCE = "The cursor cannot be read; use the `next_cursor` of the page before, unchanged."

_INTEGER = 2**31
_BIGINT = 2**63

T = TypeVar("T")


def write_cursor(*parts: object) -> str:
    """Write a cursor of some parts."""
    text = "\n".join(
        part.isoformat() if isinstance(part, datetime) else str(part) for part in parts
    )
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def cut(
    found: Sequence[T], limit: int, place: Callable[[T], object]
) -> tuple[Sequence[T], str | None]:
    """A page of rows, and the cursor of the next one if there are more.

    Args:
        found: The rows, at most one more than a page.
        place: A row's place in the list: one part of a cursor, or a tuple of parts.
    """
    page = found[:limit]
    if len(found) <= limit:
        return page, None
    last = place(page[-1])
    return page, write_cursor(*last) if isinstance(last, tuple) else write_cursor(last)


def _reader(read: Callable[..., T]) -> Callable[[str | None], T | None]:
    """Make a reader of cursors from a reader of parts; no cursor means the beginning.

    The reader raises `MalformedRequest` for a cursor that is not ours.
    """

    @wraps(read)
    def read_cursor(cursor: str | None) -> T | None:
        if cursor is None:
            return None
        try:
            return read(*_parts(cursor))
        except (ValueError, TypeError):  # TypeError: too many parts, or too few
            raise MalformedRequest(_SENTENCE) from None

    return read_cursor


@_reader
def read_job_cursor(time: str, job_id: str) -> tuple[datetime, str]:
    """The (created_at, id) after which a page of jobs continues."""
    return _time(time), str(UUID(job_id))


@_reader
def read_ordinal_cursor(ordinal: str) -> int:
    """The ordinal after which a page of items continues."""
    number = _bounded(ordinal, _INTEGER)
    if number < -1:
        raise ValueError("no item is before the first")
    return number


@_reader
def read_entry_cursor(line_no: str, place: str, entry_id: str) -> tuple[int, int, str]:
    """The (line number, place, id) after which a page of entries continues."""
    return _bounded(line_no, _INTEGER), _bounded(place, _INTEGER), entry_id


@_reader
def read_case_cursor(
    cycle_id: str, report_id: str, line_no: str, sample: str, case_id: str
) -> tuple[int, int, int, int, int]:
    """The place after which a page of test cases continues."""
    return (
        _bounded(cycle_id, _INTEGER),
        _bounded(report_id, _INTEGER),
        _bounded(line_no, _INTEGER),
        _bounded(sample, _INTEGER),
        _bounded(case_id, _INTEGER),
    )


@_reader
def read_form_cursor(line_no: str, attribute_id: str) -> tuple[int, int]:
    """The (line number, id) after which a page of a form continues."""
    return _bounded(line_no, _INTEGER), _bounded(attribute_id, _INTEGER)


@_reader
def read_audit_cursor(number: str) -> int:
    """The number of the line after which a page of an audit continues."""
    return _bounded(number, _BIGINT)


@_reader
def read_time_cursor(time: str) -> datetime:
    """The time after which log lines continue."""
    return _time(time)


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
