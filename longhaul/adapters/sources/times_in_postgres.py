"""Reads times from texts in PostgreSQL: a shape, then arithmetic on the digits.

The calendar in one regular expression takes a microsecond a value there, this a third of that.
"""

import ibis
import ibis.expr.types as ir

from longhaul.adapters.sources.calendar import A_DAY, A_SECOND, Writing

_YEAR = 10_000
_FIRST_DAY, _LAST_DAY = 101, 1231
_TOO_LATE = [230, 231, 431, 631, 931, 1131]
_LEAP_DAY = 229
_HOURS, _SIXTY = 24, 60


def written_time(text: ir.StringValue, writing: Writing) -> ir.IntegerValue:
    """A text in a known form as a time; NULL when it is not in that form."""
    day = _day(text, writing).cast("int64")
    exists = _exists(day)
    time = day * A_DAY
    for start, seconds, limit in zip(
        writing.digits[3:], (3_600, 60, 1), (_HOURS, _SIXTY, _SIXTY), strict=False
    ):
        part = text.substr(start, 2).cast("int64")
        exists &= part < limit
        time += part * (seconds * A_SECOND)
    # CASE keeps the casts from what is not a number.
    has_shape = (text.length() == writing.length) & text.re_search(writing.shape)
    return ibis.cases((has_shape, ibis.cases((exists, time), else_=None)), else_=None)


def _day(text: ir.StringValue, writing: Writing) -> ir.StringValue:
    """The eight digits of the day."""
    match writing.digits:
        case (0, 4, 6):
            return text
        case (0, 4, 6, *_):
            return text.substr(0, 8)
        case (0, 4):
            return text + "01"
        case (year, month):
            return text.substr(year, 4) + text.substr(month, 2) + "01"
        case (year, month, day, *_):
            return text.substr(year, 4) + text.substr(month, 2) + text.substr(day, 2)
    raise ValueError("no writing")


def _exists(day: ir.IntegerValue) -> ir.BooleanValue:
    """Whether eight digits are a day of the calendar."""
    month_and_day = day % _YEAR
    is_leap = (day % (4 * _YEAR) < _YEAR) & (
        (day % (100 * _YEAR) >= _YEAR) | (day % (400 * _YEAR) < _YEAR)
    )
    return (
        (day >= _YEAR)
        & month_and_day.between(_FIRST_DAY, _LAST_DAY)
        & (day % 100).between(1, 31)
        & month_and_day.notin(_TOO_LATE)
        & ((month_and_day != _LEAP_DAY) | is_leap)
    )
