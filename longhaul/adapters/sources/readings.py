"""Reads a column as the type that a rule compares: a number, a time, a truth value or a text.

A value that cannot be read becomes NULL, which no comparison accepts; it fails the rule,
never the query.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from functools import cache, partial
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from longhaul.adapters.sources import times_in_postgres
from longhaul.adapters.sources.calendar import A_DAY, A_SECOND, WRITINGS, Writing
from longhaul.adapters.sources.session import Dialect
from longhaul.adapters.sources.values import as_double, as_text
from longhaul.core.formats import DataType
from longhaul.core.sources import SourceTable

# Without counted repetition, which is several times slower in PostgreSQL.
NUMBER = r"^[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9][0-9]?)?$"
WHOLE = "^[-+]?[0-9]+$"
WHOLE_DECIMAL = r"^[-+]?[0-9]+(\.0*)?$"

# From here on a double has no digits after the point.
_ALL_WHOLE = 2**53

# A longer one could overflow a double, which is an error in PostgreSQL.
LONGEST_NUMBER = 100
YES, NO = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")


class Reading(StrEnum):
    """The type as which a column is read."""

    NUMBER = "number"
    TIME = "time"
    TRUTH = "truth"
    TEXT = "text"


class Unreadable(Exception):
    """A rule cannot be evaluated on a column.

    Attributes:
        code: `column_missing` or `type_mismatch`.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


_DECLARED: Mapping[DataType, Reading] = {
    DataType.STRING: Reading.TEXT,
    DataType.JSON: Reading.TEXT,
    DataType.INTEGER: Reading.NUMBER,
    DataType.DECIMAL: Reading.NUMBER,
    DataType.DATE: Reading.TIME,
    DataType.DATE_TIME: Reading.TIME,
    DataType.BOOLEAN: Reading.TRUTH,
}


class Reader:
    """The columns of one bound table, each readable in all ways that its type allows."""

    def __init__(self, rows: ir.Table, table: SourceTable, dialect: Dialect) -> None:
        self.rows = rows
        self.dialect = dialect
        self._names = {column.name for column in table.columns}
        self._dates = table.dates
        self.number = cache(self._number)
        self.time = cache(self._time)
        self.truth = cache(self._truth)
        self.text = cache(self._text)

    def raw(self, name: str) -> ir.Column:
        """The column as it is.

        Raises:
            Unreadable: There is no such column.
        """
        if name not in self._names:
            raise Unreadable("column_missing", f"The table has no column {name[:200]!r}.")
        return self.rows[name]

    def present(self, name: str) -> ir.BooleanValue:
        """Whether there is a value."""
        return self.raw(name).notnull()

    def as_(self, reading: Reading, name: str, written: str | None = None) -> ir.Value:
        """The column in a reading.

        Args:
            written: How its times are written; in any form if None.
        """
        how: Mapping[Reading, Callable[[str], ir.Value]] = {
            Reading.NUMBER: self.number,
            Reading.TIME: partial(self.time, written=written),
            Reading.TRUTH: self.truth,
            Reading.TEXT: self.text,
        }
        return how[reading](name)

    def natural(self, name: str, declared: DataType | None) -> Reading | None:
        """The type as which the column is compared; None for a text without a known type."""
        if declared is not None:
            return _DECLARED[declared]
        kind = self.raw(name).type()
        if kind.is_numeric():
            return Reading.NUMBER
        if kind.is_date() or kind.is_timestamp():
            return Reading.TIME
        return Reading.TRUTH if kind.is_boolean() else None

    def matches(self, name: str, pattern: str) -> ir.BooleanValue:
        """Whether a regular expression is found in the text; a dot matches a new line too."""
        wanted = f"(?s){pattern}" if self.dialect is Dialect.DUCKDB else pattern
        return self.text(name).re_search(wanted)

    def _text(self, name: str) -> ir.StringValue:
        column = self.raw(name)
        if column.type().is_binary():
            raise _mismatch(name, "a text")
        return as_text(column)

    def _number(self, name: str) -> ir.NumericValue:
        column = self.raw(name)
        kind = column.type()
        if kind.is_integer():
            return column
        if kind.is_floating():
            return ibis.cases((~column.isnan(), as_double(column)), else_=None)
        if kind.is_decimal():
            if self.dialect is Dialect.DUCKDB:
                return column
            not_a_number = ibis.literal("NaN").cast("decimal")
            return ibis.cases((column != not_a_number, column), else_=None)
        if kind.is_boolean() or kind.is_temporal():
            raise _mismatch(name, "a number")
        text = self.text(name)
        is_duckdb = self.dialect is Dialect.DUCKDB
        number = text.try_cast("float64") if is_duckdb else text.cast("float64")
        is_number = (text.length() <= LONGEST_NUMBER) & text.re_search(NUMBER)
        return ibis.cases((is_number, number), else_=None)

    def _time(self, name: str, written: str | None) -> ir.IntegerValue:
        column = self.raw(name)
        kind = column.type()
        if kind.is_date():
            return _day(column) * A_DAY
        if kind.is_timestamp():
            return _day(column) * A_DAY + _clock(column)
        if kind.is_boolean() or kind.is_time():
            raise _mismatch(name, "a time")
        text = self._digits(name)
        if written is not None:
            return ibis.coalesce(*(self._written_time(text, one) for one in self._forms(written)))
        cases = [
            (text.re_search(one.pattern), self._taken_apart(text, one)) for one in WRITINGS.values()
        ]
        return ibis.cases(*cases, else_=None)

    def _written_time(self, text: ir.StringValue, writing: Writing) -> ir.IntegerValue:
        if self.dialect is Dialect.POSTGRESQL:
            return times_in_postgres.written_time(text, writing)
        time = self._taken_apart(text, writing)
        return ibis.cases((text.re_search(writing.pattern), time), else_=None)

    def _taken_apart(self, text: ir.StringValue, writing: Writing) -> ir.IntegerValue:
        """A text in a known form as a time."""

        def part(start: int, length: int) -> ir.IntegerValue:
            digits = text.substr(start, length)
            is_duckdb = self.dialect is Dialect.DUCKDB
            return digits.try_cast("int64") if is_duckdb else digits.cast("int64")

        year, month, *rest = writing.digits
        day = part(rest[0], 2) if rest else 1
        time = (part(year, 4) * 10_000 + part(month, 2) * 100 + day) * A_DAY
        for start, seconds in zip(rest[1:], (3_600, 60, 1), strict=False):
            time += part(start, 2) * (seconds * A_SECOND)
        return time

    def _forms(self, written: str) -> list[Writing]:
        return [WRITINGS[form] for form in dict.fromkeys((written, *self._dates))]

    def _digits(self, name: str) -> ir.StringValue:
        """The column as text; a whole number without its decimals."""
        kind, text = self.raw(name).type(), self.text(name)
        if not kind.is_decimal() or kind.scale == 0:
            return text
        return text.re_replace(r"\.0*$", "")

    def is_time_in(self, name: str, written: str) -> ir.BooleanValue:
        """Whether a text is a time in this form, or as the source writes times."""
        tests = [self.is_written(name, form).fill_null(False) for form in self._forms(written)]
        return ibis.or_(*tests)

    def is_written(self, name: str, writing: Writing) -> ir.BooleanValue:
        """Whether a text has a form, and exists in the calendar."""
        text = self._digits(name)
        if self.dialect is Dialect.POSTGRESQL:
            return times_in_postgres.written_time(text, writing).notnull()
        return text.re_search(writing.pattern)

    def _truth(self, name: str) -> ir.BooleanValue:
        column = self.raw(name)
        kind = column.type()
        if kind.is_boolean():
            return column
        if kind.is_temporal() or kind.is_floating() or kind.is_decimal():
            raise _mismatch(name, "true or false")
        text = self.text(name).lower()
        return ibis.cases((text.isin(YES), True), (text.isin(NO), False), else_=None)


def literal_of(reading: Reading, value: object, name: str) -> bool | int | float | str:
    """A rule's value in the form that its column is compared in.

    Raises:
        Unreadable: It is not such a value.
    """
    match reading, value:
        case Reading.TRUTH, bool():
            return value
        case Reading.NUMBER, int() | float() if not isinstance(value, bool):
            return value
        case Reading.TIME, str():
            time = time_of(value)
            if time is not None:
                return time
        case Reading.TEXT, str():
            return value
    raise Unreadable(
        "type_mismatch", f"Column {name[:200]!r} is compared with a value of another type."
    )


def reading_for(value: object, natural: Reading | None) -> Reading:
    """The type as which a column is compared with a value: the value's type decides."""
    if isinstance(value, bool):
        return Reading.TRUTH
    if isinstance(value, int | float):
        return Reading.NUMBER
    return natural or Reading.TEXT


def is_month(written: str | None) -> bool:
    """Whether a time is known to be written without its day."""
    return written is not None and not WRITINGS[written].has_day


def month_of(time: Any) -> Any:
    """A time without its day."""
    return time - time % (100 * A_DAY)


def time_of(value: str) -> int | None:
    """A time in ISO form as a number that sorts like it: the day in digits, then microseconds."""
    try:
        known = datetime.fromisoformat(value)
    except ValueError:
        return None
    day = known.year * 10_000 + known.month * 100 + known.day
    clock = known - datetime(known.year, known.month, known.day, tzinfo=known.tzinfo)
    return day * A_DAY + clock.seconds * A_SECOND + clock.microseconds


def reads_as(reader: Reader, name: str, wanted: DataType) -> ir.BooleanValue:
    """Whether a value can be read as a type; only used where the column is not null.

    Raises:
        Unreadable: There is no such column.
    """
    kind: dt.DataType = reader.raw(name).type()
    if wanted in (DataType.STRING, DataType.JSON):
        return ibis.literal(True)
    if wanted is DataType.INTEGER and kind.is_floating():
        return _is_whole(reader.number(name))
    if wanted is DataType.INTEGER and kind.is_decimal():
        return reader.text(name).re_search(WHOLE_DECIMAL)
    if wanted is DataType.INTEGER and not kind.is_integer():
        return reader.text(name).re_search(WHOLE)
    if wanted is DataType.DATE and kind.is_timestamp():
        return _clock(reader.raw(name)) == 0
    if wanted is DataType.DATE and not kind.is_date():
        forms = [one for one in WRITINGS.values() if not one.has_clock]
        return ibis.or_(*(reader.is_written(name, form).fill_null(False) for form in forms))
    return reader.as_(_DECLARED[wanted], name).notnull()


def _is_whole(number: ir.NumericValue) -> ir.BooleanValue:
    # Ibis casts a floor to bigint, which is too small for the largest doubles.
    return ibis.cases(
        (number.isinf(), False),
        (number.abs() >= _ALL_WHOLE, True),
        else_=number == number.floor(),
    )


def _day(column: ir.Column) -> ir.IntegerValue:
    parts = (column.year() * 10_000, column.month() * 100, column.day())
    return sum(part.cast("int64") for part in parts)


def _clock(column: ir.Column) -> ir.IntegerValue:
    seconds = (
        column.hour().cast("int64") * 3_600
        + column.minute().cast("int64") * 60
        + column.second().cast("int64")
    )
    return seconds * A_SECOND + column.microsecond().cast("int64")


def _mismatch(name: str, wanted: str) -> Unreadable:
    return Unreadable("type_mismatch", f"Column {name[:200]!r} cannot be read as {wanted}.")
