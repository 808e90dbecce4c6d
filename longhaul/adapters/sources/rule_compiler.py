"""Turns rules into Ibis expressions: which rows a rule judges, and which of them fail.

A considered row fails if the rule is not true for it or cannot be evaluated: NULL counts
as false.
"""

import json
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from itertools import combinations
from operator import and_, or_
from typing import Any

import ibis
import ibis.expr.types as ir

from longhaul.adapters.sources.readings import (
    Reader,
    Reading,
    Unreadable,
    is_month,
    literal_of,
    month_of,
    reading_for,
    reads_as,
    time_of,
)
from longhaul.core.expectations import (
    BETWEEN,
    COMPOUND_UNIQUE,
    IN_SET,
    LENGTHS,
    MATCH_REGEX,
    MATCH_STRFTIME,
    MEAN,
    NOT_IN_SET,
    NOT_MATCH_REGEX,
    NOT_NULL,
    OF_TYPE,
    PAIR_EQUAL,
    PAIR_GREATER,
    ROW_COUNT,
    UNIQUE,
    UNIQUE_IN_RECORD,
)
from longhaul.core.formats import DataType
from longhaul.core.rule_execution import TableRule, columns_of


@dataclass(frozen=True, slots=True, kw_only=True)
class RowRule:
    """A rule about each row alone.

    Attributes:
        rows: The bound table.
        scope: Which rows `row_condition` selects; None for all.
        considered: Which rows are judged, within the scope; None for all.
        fails: Which rows fail.
        scope_key, considered_key: Equal where the expressions are, so that they are counted once.
        shown: The physical columns that explain a failing row.
    """

    rule: TableRule
    rows: ir.Table
    scope: ir.BooleanValue | None
    considered: ir.BooleanValue | None
    fails: ir.BooleanValue
    scope_key: Hashable
    considered_key: Hashable
    shown: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class UniqueRule:
    """A rule about rows that have the same values."""

    rule: TableRule
    rows: ir.Table
    scope: ir.BooleanValue | None
    considered: ir.BooleanValue
    columns: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureRule:
    """A rule about one figure of the whole table; None is the number of its rows."""

    rule: TableRule
    figure: ir.Value | None


CompiledRule = RowRule | UniqueRule | MeasureRule


def compile_rule(reader: Reader, rule: TableRule) -> CompiledRule:
    """Compile one rule.

    Raises:
        Unreadable: A column is missing or of a type that does not suit the rule.
    """
    names = _Names(reader, rule)
    match rule.expectation:
        case _ if rule.expectation == ROW_COUNT:
            return MeasureRule(rule=rule, figure=None)
        case _ if rule.expectation == MEAN:
            column = names.column(rule.kwargs["column"])
            return MeasureRule(rule=rule, figure=reader.number(column).cast("float64").mean())
    scope, scope_key = _scope(names)
    if rule.expectation in (UNIQUE, COMPOUND_UNIQUE):
        columns = [names.column(name) for name in names.named]
        considered, _ = _considered(names, columns)
        assert considered is not None
        return UniqueRule(
            rule=rule, rows=reader.rows, scope=scope, considered=considered, columns=columns
        )
    columns = [names.column(name) for name in names.named]
    if rule.expectation == NOT_NULL:
        considered, key = None, None
        holds = reader.present(columns[0])
    else:
        considered, key = _considered(names, columns)
        holds = _HOLDS[rule.expectation](names, rule.kwargs)
    judged = _both(scope, considered)
    broken = ~_certain(holds)
    return RowRule(
        rule=rule,
        rows=reader.rows,
        scope=scope,
        considered=considered,
        fails=broken if judged is None else judged & broken,
        scope_key=scope_key,
        considered_key=(scope_key, key),
        shown=columns,
    )


def within(
    value: ir.Value | float, kwargs: Mapping[str, Any], read: Callable[[Any], Any]
) -> ir.BooleanValue | bool:
    """Whether a value lies between the ends of a rule; True where there is none."""
    tests = []
    if kwargs.get("min_value") is not None:
        low = read(kwargs["min_value"])
        tests.append(value > low if kwargs.get("strict_min") else value >= low)
    if kwargs.get("max_value") is not None:
        high = read(kwargs["max_value"])
        tests.append(value < high if kwargs.get("strict_max") else value <= high)
    return reduce(and_, tests)


class _Names:
    """A rule's attributes as columns of a table."""

    def __init__(self, reader: Reader, rule: TableRule) -> None:
        self.reader = reader
        self.rule = rule

    @property
    def named(self) -> Sequence[str]:
        """The attributes that the rule is about, in its own order."""
        kwargs = self.rule.kwargs
        if "column_list" in kwargs:
            return list(kwargs["column_list"])
        return [kwargs[name] for name in ("column", "column_A", "column_B") if name in kwargs]

    def column(self, name: str) -> str:
        column = self.rule.columns.get(name, name)
        self.reader.raw(column)
        return column

    def natural(self, name: str) -> Reading | None:
        return self.reader.natural(self.column(name), self.rule.types.get(name))

    def as_(self, reading: Reading, name: str) -> ir.Value:
        return self.reader.as_(reading, self.column(name), self.rule.written.get(name))

    def read(self, name: str, values: Sequence[Any]) -> tuple[ir.Value, Callable[[Any], Any]]:
        """A column in the reading that it shares with some values, and a reader of those."""
        reading = self._reading(name, values[0])
        value, read = self.as_(reading, name), partial(literal_of, reading, name=name)
        if reading is Reading.TIME and is_month(self.rule.written.get(name)):
            return month_of(value), lambda day: month_of(read(day))
        return value, read

    def pair(self, reading: Reading, one: str, other: str) -> tuple[ir.Value, ir.Value]:
        """Two columns in a reading; as months if one of them has no days."""
        left, right = (self.as_(reading, name) for name in (one, other))
        by_month = any(is_month(self.rule.written.get(name)) for name in (one, other))
        if by_month and reading is Reading.TIME:
            # A month is before none of its days, and after none.
            return month_of(left), month_of(right)
        return left, right

    def _reading(self, name: str, value: Any) -> Reading:
        natural = self.natural(name)
        is_time = isinstance(value, str) and time_of(value) is not None
        if natural in (None, Reading.NUMBER) and is_time and self.rule.expectation == BETWEEN:
            # The ends are days, so that 20240229 is one too.
            return Reading.TIME
        return reading_for(value, natural)


def _scope(names: _Names) -> tuple[ir.BooleanValue | None, Hashable]:
    condition = names.rule.kwargs.get("row_condition")
    if condition is None:
        return None, None
    key = json.dumps(
        [condition, *map(names.column, columns_of({"row_condition": condition}))], sort_keys=True
    )
    return _certain(_condition(names, condition)), key


def _condition(names: _Names, condition: Mapping[str, Any]) -> ir.BooleanValue:
    match condition:
        case {"type": "and" | "or" as joint, "conditions": parts}:
            tests = [_condition(names, part) for part in parts]
            return reduce(and_ if joint == "and" else or_, tests)
        case {"type": "nullity", "column": {"name": name}, "is_null": is_null}:
            present = names.reader.present(names.column(name))
            return ~present if is_null else present
        case {"column": {"name": name}, "operator": operator, "parameter": parameter}:
            return _comparison(names, name, operator, parameter)
    raise Unreadable("bad_rule", "The rule's row_condition cannot be read.")


_COMPARE: Mapping[str, Callable[[ir.Value, Any], ir.BooleanValue]] = {
    "==": lambda value, other: value == other,
    "!=": lambda value, other: value != other,
    "<": lambda value, other: value < other,
    "<=": lambda value, other: value <= other,
    ">": lambda value, other: value > other,
    ">=": lambda value, other: value >= other,
    "IN": lambda value, others: value.isin(others),
    "NOT_IN": lambda value, others: value.notin(others),
}


def _comparison(names: _Names, name: str, operator: str, parameter: Any) -> ir.BooleanValue:
    values = parameter if isinstance(parameter, list) else [parameter]
    value, read = names.read(name, values)
    known = [read(one) for one in values]
    return _COMPARE[operator](value, known if isinstance(parameter, list) else known[0])


_DEFAULT_IGNORE = {
    "column_A": "both_values_are_missing",
    "column_list": "all_values_are_missing",
}


def _considered(names: _Names, columns: Sequence[str]) -> tuple[ir.BooleanValue | None, Hashable]:
    """Which rows are judged: those with a value, or with the values that a rule needs."""
    kwargs = names.rule.kwargs
    default = next((how for name, how in _DEFAULT_IGNORE.items() if name in kwargs), None)
    ignore = kwargs.get("ignore_row_if", default)
    present = [names.reader.present(column) for column in columns]
    key = (ignore, *columns)
    match ignore:
        case None:
            return present[0], key
        case "either_value_is_missing" | "any_value_is_missing":
            return reduce(and_, present), key
        case "both_values_are_missing" | "all_values_are_missing":
            return reduce(or_, present), key
        case _ if names.rule.expectation == COMPOUND_UNIQUE:
            return ibis.literal(True), key
        case _:
            return None, key


def _between(names: _Names, kwargs: Mapping[str, Any]) -> ir.BooleanValue:
    ends = [kwargs[name] for name in ("min_value", "max_value") if kwargs.get(name) is not None]
    value, read = names.read(kwargs["column"], ends)
    return within(value, kwargs, read)


def _in_set(names: _Names, kwargs: Mapping[str, Any]) -> ir.BooleanValue:
    value, read = names.read(kwargs["column"], kwargs["value_set"])
    return value.isin([read(one) for one in kwargs["value_set"]])


def _not_in_set(names: _Names, kwargs: Mapping[str, Any]) -> ir.BooleanValue:
    # A value that cannot be read in this way is not in the set.
    return ~_certain(_in_set(names, kwargs))


def _lengths(names: _Names, kwargs: Mapping[str, Any]) -> ir.BooleanValue:
    length = names.reader.text(names.column(kwargs["column"])).length()
    return within(length, kwargs, lambda end: end)


def _matches(names: _Names, kwargs: Mapping[str, Any]) -> ir.BooleanValue:
    return names.reader.matches(names.column(kwargs["column"]), kwargs["regex"])


def _not_matches(names: _Names, kwargs: Mapping[str, Any]) -> ir.BooleanValue:
    return ~_matches(names, kwargs)


def _of_type(names: _Names, kwargs: Mapping[str, Any]) -> ir.BooleanValue:
    return reads_as(names.reader, names.column(kwargs["column"]), DataType(kwargs["type_"]))


def _strftime(names: _Names, kwargs: Mapping[str, Any]) -> ir.BooleanValue:
    column = names.column(kwargs["column"])
    if names.reader.raw(column).type().is_temporal():
        return ibis.literal(True)
    return names.reader.is_time_in(column, kwargs["strftime_format"])


def _greater(names: _Names, kwargs: Mapping[str, Any]) -> ir.BooleanValue:
    pair = [kwargs["column_A"], kwargs["column_B"]]

    def above(reading: Reading) -> ir.BooleanValue:
        greater, smaller = names.pair(reading, *pair)
        return greater >= smaller if kwargs.get("or_equal") else greater > smaller

    known = {names.natural(name) for name in pair}
    if known == {None}:
        # Texts without a known type: compared as what both can be read as.
        return ibis.coalesce(above(Reading.NUMBER), above(Reading.TIME), above(Reading.TEXT))
    shared = _only(known)
    if shared is None:
        raise Unreadable("type_mismatch", "The rule compares columns of different types.")
    return above(shared)


def _equal(names: _Names, kwargs: Mapping[str, Any]) -> ir.BooleanValue:
    pair = [kwargs["column_A"], kwargs["column_B"]]
    return _are_equal(names, *pair)


def _are_equal(names: _Names, one: str, other: str) -> ir.BooleanValue:
    known = {names.natural(name) for name in (one, other)}
    reading = _only(known) or Reading.TEXT
    left, right = names.pair(reading, one, other)
    raw = [names.reader.raw(names.column(name)) for name in (one, other)]
    if reading is Reading.TEXT or not all(column.type().is_string() for column in raw):
        return left == right
    # "N/A" is not a number and still the same as "N/A".
    return _certain(left == right) | (raw[0] == raw[1])


def _unique_in_record(names: _Names, kwargs: Mapping[str, Any]) -> ir.BooleanValue:
    return ~reduce(or_, [_clash(names, *pair) for pair in combinations(kwargs["column_list"], 2)])


def _clash(names: _Names, one: str, other: str) -> ir.BooleanValue:
    # Two missing values are the same value, as they are to Great Expectations.
    are_missing = (~names.reader.present(names.column(name)) for name in (one, other))
    return _certain(_are_equal(names, one, other)) | reduce(and_, are_missing)


def _only(known: Iterable[Reading | None]) -> Reading | None:
    """The one reading among the known ones; None when there is none or more than one."""
    readings = {one for one in known if one is not None}
    return readings.pop() if len(readings) == 1 else None


_HOLDS: Mapping[str, Callable[[_Names, Mapping[str, Any]], ir.BooleanValue]] = {
    BETWEEN: _between,
    IN_SET: _in_set,
    NOT_IN_SET: _not_in_set,
    LENGTHS: _lengths,
    MATCH_REGEX: _matches,
    NOT_MATCH_REGEX: _not_matches,
    OF_TYPE: _of_type,
    MATCH_STRFTIME: _strftime,
    PAIR_GREATER: _greater,
    PAIR_EQUAL: _equal,
    UNIQUE_IN_RECORD: _unique_in_record,
}


def _certain(answer: ir.BooleanValue) -> ir.BooleanValue:
    return answer.fill_null(False)


def _both(one: ir.BooleanValue | None, other: ir.BooleanValue | None) -> ir.BooleanValue | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other
