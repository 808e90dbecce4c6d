"""Numbers as people read them. Rounding never makes 100 % of less."""

from datetime import UTC, datetime, timedelta
from math import ceil, floor

_HUNDREDTHS = 100
_PER = 1_000
NONE = "–"


def count(number: int | None) -> str:
    """1,234,567."""
    return NONE if number is None else f"{number:,}"


def percent(rate: float | None) -> str:
    """Two decimals, rounded down; 100 % only where nothing failed."""
    if rate is None:
        return NONE
    if 0 < rate < 1 / _HUNDREDTHS:
        return "under 0.01 %"
    shown = floor(rate * _HUNDREDTHS) / _HUNDREDTHS
    return f"{shown:.0f} %" if shown in (0, 100) else f"{shown:.2f} %"


def per_thousand(failed: int, checked: int) -> float | None:
    """Failing values in a thousand checked ones."""
    return _PER * failed / checked if checked else None


def rate(number: float | None) -> str:
    """A rate with as many decimals as have a meaning."""
    if number is None:
        return NONE
    if number == 0:
        return "0"
    if number < 1 / _HUNDREDTHS:
        return "under 0.01"
    if number >= _HUNDREDTHS:
        return f"{number:.0f}"
    return f"{ceil(number * _HUNDREDTHS) / _HUNDREDTHS:.2f}"


def plural(number: int, one: str, many: str | None = None) -> str:
    """1 rule, 2 rules."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def moment(time: datetime | None) -> str:
    """A time in UTC, to the second."""
    return NONE if time is None else time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def duration(length: timedelta | None) -> str:
    """How long something took."""
    if length is None:
        return NONE
    seconds = length.total_seconds()
    if seconds < 1:
        return f"{seconds * 1_000:.0f} ms"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
