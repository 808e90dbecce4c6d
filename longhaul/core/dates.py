"""Reads the many ways in which sources and documents write a date."""

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import IntEnum


class Precision(IntEnum):
    """How exactly a moment was written."""

    MONTH = 1
    DAY = 2
    TIME = 3


@dataclass(frozen=True, slots=True)
class Moment:
    """A date or time as it was written; parts that were not written are their first value."""

    at: datetime
    precision: Precision

    def cut(self, precision: Precision) -> "Moment":
        """The same moment, cut to a precision."""
        at = self.at
        if precision <= Precision.DAY:
            at = at.replace(hour=0, minute=0, second=0, microsecond=0)
        if precision is Precision.MONTH:
            at = at.replace(day=1)
        return replace(self, at=at, precision=min(self.precision, precision))

    def __str__(self) -> str:
        forms = {Precision.MONTH: "%Y-%m", Precision.DAY: "%Y-%m-%d"}
        form = forms.get(self.precision)
        if form is None:
            return self.at.isoformat()
        # strftime writes the years before 1000 without their zeros.
        return f"{self.at.year:04}" + self.at.strftime(form.removeprefix("%Y"))


# Month before day where both are possible: the forms and their banks are American.
_DAYS = (
    ("%Y%m%d", r"[0-9]{8}"),
    ("%Y-%m-%d", r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"),
    ("%Y/%m/%d", r"[0-9]{4}/[0-9]{1,2}/[0-9]{1,2}"),
    ("%m/%d/%Y", r"[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}"),
    ("%d/%m/%Y", r"[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}"),
    ("%m-%d-%Y", r"[0-9]{1,2}-[0-9]{1,2}-[0-9]{4}"),
    ("%d-%m-%Y", r"[0-9]{1,2}-[0-9]{1,2}-[0-9]{4}"),
    ("%d.%m.%Y", r"[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{4}"),
)
_MONTHS = (
    ("%Y%m", r"[0-9]{6}"),
    ("%Y-%m", r"[0-9]{4}-[0-9]{1,2}"),
    ("%m/%Y", r"[0-9]{1,2}/[0-9]{4}"),
)
# Names of months are read here: strptime knows those of the machine's language only.
_NAMES = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_NAMED = (
    re.compile(
        r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th)?[ -](?P<month>[a-z]{3,9})\.?,?[ -](?P<year>[0-9]{4})"
    ),
    re.compile(
        r"(?P<month>[a-z]{3,9})\.? (?P<day>[0-9]{1,2})(?:st|nd|rd|th)?,? (?P<year>[0-9]{4})"
    ),
    re.compile(r"(?P<month>[a-z]{3,9})\.?,?[ -](?P<year>[0-9]{4})"),
)
_FULL_NAMES = (
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
)
_TIMED = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?"
    r"(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)
_STAMP = re.compile(r"[0-9]{14}")


def read_moment(text: str) -> Moment | None:
    """Read a date, a month or a time; None when the text is none of them.

    A time with a zone is converted to UTC; without one it is taken as it is.
    """
    text = " ".join(text.split())
    for forms, precision in ((_DAYS, Precision.DAY), (_MONTHS, Precision.MONTH)):
        for form, pattern in forms:
            if re.fullmatch(pattern, text, re.ASCII) and (at := _parse(text, form)):
                return Moment(at, precision)
    return _read_time(text) or _read_named(text.lower())


def _read_time(text: str) -> Moment | None:
    if _STAMP.fullmatch(text):
        at = _parse(text, "%Y%m%d%H%M%S")
        return Moment(at, Precision.TIME) if at else None
    if not _TIMED.fullmatch(text):
        return None
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None:
            at = at.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None
    return Moment(at, Precision.TIME)


def _read_named(text: str) -> Moment | None:
    for pattern in _NAMED:
        found = pattern.fullmatch(text)
        if found is None:
            continue
        parts = found.groupdict()
        name = parts["month"]
        month = _NAMES.index(name[:3]) + 1 if name[:3] in _NAMES else 0
        if not month or not _FULL_NAMES[month - 1].startswith(
            name.removesuffix("t") if name == "sept" else name
        ):
            return None
        try:
            at = datetime(int(parts["year"]), month, int(parts.get("day") or 1))  # noqa: DTZ001
        except ValueError:
            return None
        return Moment(at, Precision.DAY if parts.get("day") else Precision.MONTH)
    return None


def _parse(text: str, form: str) -> datetime | None:
    try:
        # Dates of a form have no zone.
        return datetime.strptime(text, form)  # noqa: DTZ007
    except ValueError:
        return None
