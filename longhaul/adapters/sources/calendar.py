"""Dates and times as texts: how each way of writing them is recognised.

Both engines fail on the first text that is not a date. RE2 is quick at patterns with the
whole calendar: lengths of months, leap years, and no year 0000. PostgreSQL is not; there the
pattern is only a shape, and the calendar is computed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

_YEAR = "([0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)"
_FOURTH = "(0[48]|[2468][048]|[13579][26])"
_LEAP = f"([0-9]{{2}}{_FOURTH}|{_FOURTH}00)"
_MONTH = "(0[1-9]|1[0-2])"

# Each month with the days that it has in every year.
_DAYS = (
    ("(0[13578]|1[02])", "(0[1-9]|[12][0-9]|3[01])"),
    ("(0[469]|11)", "(0[1-9]|[12][0-9]|30)"),
    ("02", "(0[1-9]|1[0-9]|2[0-8])"),
)
_CLOCK = "([01][0-9]|2[0-3]){0}[0-5][0-9]{0}[0-5][0-9]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """One way to write a date or a time.

    Attributes:
        pattern: Matches texts in this form that exist in the calendar.
        shape: Matches texts of the right length that may have this form.
        length: In characters.
        digits: Where year, month, day, hour, minute and second begin, from 0; a month
            has no day, a day no hour.
    """

    pattern: str
    shape: str
    length: int
    digits: tuple[int, ...]

    @property
    def has_day(self) -> bool:
        """Whether it has a day, not just a month."""
        return len(self.digits) >= _DAY_DIGITS

    @property
    def has_clock(self) -> bool:
        """Whether it has a time of the day."""
        return len(self.digits) > _DAY_DIGITS


_DAY_DIGITS = 3

# A time as a number that sorts like it: the day in eight digits, then microseconds.
A_DAY = 86_400_000_000
A_SECOND = 1_000_000


def _days(form: str, clock: str = "") -> str:
    days = [form.format(y=_YEAR, m=month, d=day) for month, day in _DAYS]
    days.append(form.format(y=_LEAP, m="02", d="29"))
    return f"^({'|'.join(days)}){clock}$"


_D, _T = "[0-9]+-[0-9][0-9]-[0-9][0-9]", "[0-9][0-9]:[0-9][0-9]:[0-9][0-9]"

WRITINGS: Mapping[str, Writing] = {
    "%Y%m%d": Writing(pattern=_days("{y}{m}{d}"), shape="^[0-9]+$", length=8, digits=(0, 4, 6)),
    "%Y-%m-%d": Writing(pattern=_days("{y}-{m}-{d}"), shape=f"^{_D}$", length=10, digits=(0, 5, 8)),
    "%Y%m": Writing(pattern=f"^{_YEAR}{_MONTH}$", shape="^[0-9]+$", length=6, digits=(0, 4)),
    "%Y-%m": Writing(
        pattern=f"^{_YEAR}-{_MONTH}$", shape="^[0-9]+-[0-9][0-9]$", length=7, digits=(0, 5)
    ),
    "%m/%d/%Y": Writing(
        pattern=_days("{m}/{d}/{y}"),
        shape="^[0-9][0-9]/[0-9][0-9]/[0-9]+$",
        length=10,
        digits=(6, 0, 3),
    ),
    "%Y-%m-%d %H:%M:%S": Writing(
        pattern=_days("{y}-{m}-{d}", " " + _CLOCK.format(":")),
        shape=f"^{_D} {_T}$",
        length=19,
        digits=(0, 5, 8, 11, 14, 17),
    ),
    "%Y-%m-%dT%H:%M:%S": Writing(
        pattern=_days("{y}-{m}-{d}", "T" + _CLOCK.format(":")),
        shape=f"^{_D}T{_T}$",
        length=19,
        digits=(0, 5, 8, 11, 14, 17),
    ),
    "%Y%m%d%H%M%S": Writing(
        pattern=_days("{y}{m}{d}", _CLOCK.format("")),
        shape="^[0-9]+$",
        length=14,
        digits=(0, 4, 6, 8, 10, 12),
    ),
}
