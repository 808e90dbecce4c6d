"""Judges rules row by row in plain Python: slow, obvious, and written without the compiler."""

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

Row = Mapping[str, Any]

_NUMBER = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]{1,2})?")
_WRITTEN = {
    "%Y%m%d": "[0-9]{8}",
    "%Y-%m-%d": "[0-9]{4}-[0-9]{2}-[0-9]{2}",
    "%Y%m": "[0-9]{6}",
    "%Y-%m": "[0-9]{4}-[0-9]{2}",
    "%m/%d/%Y": "[0-9]{2}/[0-9]{2}/[0-9]{4}",
    "%Y-%m-%d %H:%M:%S": "[0-9-]{10} [0-9:]{8}",
    "%Y-%m-%dT%H:%M:%S": "[0-9-]{10}T[0-9:]{8}",
    "%Y%m%d%H%M%S": "[0-9]{14}",
}
_DAYS_ONLY = ("%Y%m%d", "%Y-%m-%d", "%Y%m", "%Y-%m", "%m/%d/%Y")


class Month(str):
    """A text whose attribute is a month, such as 202402."""


class Mismatch(Exception):
    """The rule does not fit the column."""


def judge(
    expectation: str, kwargs: Mapping[str, Any], rows: Sequence[Row]
) -> tuple[int, int, int, bool]:
    """Total, considered, failed, success."""
    condition = kwargs.get("row_condition")
    scope = [row for row in rows if condition is None or _selects(condition, row)]
    name = expectation.removeprefix("expect_").removeprefix("column_values_to_")
    if name == "table_row_count_to_be_between":
        success = bool(_within(len(rows), kwargs, lambda end: end))
        return len(rows), 1, int(not success), success
    if name == "column_mean_to_be_between":
        numbers = [float(n) for row in rows if (n := _number(row[kwargs["column"]])) is not None]
        success = bool(numbers) and bool(
            _within(sum(numbers) / len(numbers), kwargs, lambda end: end)
        )
        return len(rows), 1, int(not success), success
    considered = [row for row in scope if _is_considered(name, kwargs, row)]
    if name in ("be_unique", "compound_columns_to_be_unique"):
        columns = kwargs.get("column_list") or [kwargs["column"]]
        keys = [tuple(_same(row[column]) for column in columns) for row in considered]
        counts = Counter(keys)
        failed = sum(counts[key] > 1 for key in keys)
    else:
        failed = sum(not _HOLDS[name](kwargs, row) for row in considered)
    mostly = kwargs.get("mostly", 1)
    success = not considered or (len(considered) - failed) / len(considered) >= mostly
    return len(scope), len(considered), failed, success


def _is_considered(name: str, kwargs: Mapping[str, Any], row: Row) -> bool:
    if name == "not_be_null":
        return True
    columns = kwargs.get("column_list") or [
        kwargs[each] for each in ("column", "column_A", "column_B") if each in kwargs
    ]
    present = [row[column] is not None for column in columns]
    match kwargs.get("ignore_row_if"):
        case "neither" | "never":
            return True
        case "either_value_is_missing" | "any_value_is_missing":
            return all(present)
        case _:
            return any(present)


def _number(value: Any) -> Any:
    match value:
        case bool() | date():
            raise Mismatch
        case float():
            return None if math.isnan(value) else value
        case int() | Decimal() | None:
            return value
        case str():
            is_number = len(value) <= 100 and _NUMBER.fullmatch(value)
            return float(value) if is_number else None


def _time(value: Any) -> datetime | None:
    match value:
        case None:
            return None
        case datetime():
            return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
        case date():
            return datetime(value.year, value.month, value.day)
        case bool() | float() | Decimal():
            raise Mismatch
        case Month():
            return _written(value, "%Y%m")
    text = str(value)
    return next((time for form in _WRITTEN if (time := _written(text, form)) is not None), None)


def _by_month(time: datetime | None) -> datetime | None:
    return None if time is None else datetime(time.year, time.month, 1)


def _month(value: Any) -> datetime | None:
    return _by_month(_time(value))


def _end_month(end: str) -> datetime | None:
    return _by_month(datetime.fromisoformat(end))


def _written(text: str, form: str) -> datetime | None:
    if not re.fullmatch(_WRITTEN[form], text, re.ASCII):
        return None
    try:
        return datetime.strptime(text, form)
    except ValueError:
        return None


def _truth(value: Any) -> bool | None:
    match value:
        case bool() | None:
            return value
        case float() | Decimal() | date():
            raise Mismatch
    text = str(value).lower()
    if text in ("true", "t", "yes", "y", "1"):
        return True
    return False if text in ("false", "f", "no", "n", "0") else None


def _text(value: Any) -> str | None:
    match value:
        case bool():
            return "true" if value else "false"
        case None:
            return None
        case float() if value.is_integer() and abs(value) < 1e18:
            return str(int(value))
        case float() if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        case Decimal():
            return f"{value:.2f}"
    return str(value)


def _same(value: Any) -> Any:
    return "NaN" if isinstance(value, float) and math.isnan(value) else value


def _compared(value: Any, other: Any) -> tuple[Any, Callable[[Any], Any]]:
    """A cell in the reading of a rule's value, and what reads such values."""
    if isinstance(other, bool):
        return _truth(value), lambda one: one
    if isinstance(other, int | float):
        return _number(value), lambda one: one
    if isinstance(value, Month):
        return _month(value), _end_month
    if isinstance(value, date):
        return _time(value), datetime.fromisoformat
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        raise Mismatch
    return value, lambda one: one


def _within(value: Any, kwargs: Mapping[str, Any], read: Callable[[Any], Any]) -> bool:
    if value is None:
        return False
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    above = low is None or (value > read(low) if kwargs.get("strict_min") else value >= read(low))
    below = high is None or (
        value < read(high) if kwargs.get("strict_max") else value <= read(high)
    )
    return bool(above and below)


def _between(kwargs: Mapping[str, Any], row: Row) -> bool:
    value = row[kwargs["column"]]
    end = kwargs.get("min_value", kwargs.get("max_value"))
    if isinstance(value, Month):
        return _within(_month(value), kwargs, _end_month)
    if isinstance(end, str):
        return _within(_time(value), kwargs, datetime.fromisoformat)
    return _within(_number(value), kwargs, lambda one: one)


def _in_set(kwargs: Mapping[str, Any], row: Row) -> bool:
    value, read = _compared(row[kwargs["column"]], kwargs["value_set"][0])
    return value is not None and value in [read(one) for one in kwargs["value_set"]]


def _found(kwargs: Mapping[str, Any], row: Row) -> bool:
    text = _text(row[kwargs["column"]])
    # In Python alone `$` also matches before a last new line.
    pattern = kwargs["regex"].replace("$", r"\Z")
    return re.search(pattern, text or "", re.DOTALL | re.ASCII) is not None


def _pair(kwargs: Mapping[str, Any], row: Row) -> tuple[Any, Any]:
    return row[kwargs["column_A"]], row[kwargs["column_B"]]


def _greater(kwargs: Mapping[str, Any], row: Row) -> bool:
    one, other = _pair(kwargs, row)
    readings: list[Callable[[Any], Any]]
    if isinstance(one, Month) or isinstance(other, Month):
        readings = [_month]
    elif isinstance(one, str) and isinstance(other, str):
        readings = [_number, _time, _text]
    elif isinstance(one, date) or isinstance(other, date):
        readings = [_time]
    else:
        readings = [_number]
    for read in readings:
        a, b = _as_doubles(read(one), read(other))
        if a is not None and b is not None:
            return bool(a >= b if kwargs.get("or_equal") else a > b)
    return False


def _are_equal(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return False
    if isinstance(one, Month) or isinstance(other, Month):
        return one == other or _month(one) == _month(other) is not None
    if isinstance(one, str) and isinstance(other, str):
        return one == other
    if isinstance(one, date) or isinstance(other, date):
        return _time(one) == _time(other) is not None
    if isinstance(one, bool) or isinstance(other, bool):
        return _truth(one) is not None and _truth(one) == _truth(other)
    a, b = _as_doubles(_number(one), _number(other))
    return a is not None and a == b


def _as_doubles(one: Any, other: Any) -> tuple[Any, Any]:
    """Two values as they are compared: where one is a double, the other is read as one too."""
    if isinstance(one, float) and other is not None:
        return one, float(other)
    if isinstance(other, float) and one is not None:
        return float(one), other
    return one, other


def _differ(kwargs: Mapping[str, Any], row: Row) -> bool:
    values = [row[name] for name in kwargs["column_list"]]
    # As in Great Expectations, whose Pandas engine counts the different values with NULL as one.
    return not any(
        _are_equal(one, other) or one is other is None
        for at, one in enumerate(values)
        for other in values[at + 1 :]
    )


def _reads(kwargs: Mapping[str, Any], row: Row) -> bool:  # noqa: PLR0911 - one a type
    value = row[kwargs["column"]]
    match kwargs["type_"]:
        case "String":
            return True
        case "Integer":
            if isinstance(value, float | Decimal):
                return math.isfinite(value) and value == int(value)
            return re.fullmatch("[-+]?[0-9]+", _text(value) or "", re.ASCII) is not None
        case "Decimal":
            return _number(value) is not None
        case "Date":
            if isinstance(value, datetime):
                known = _time(value)
                return known is not None and known.time() == time()
            if isinstance(value, date):
                return True
            return any(_written(_text(value) or "", form) for form in _DAYS_ONLY)
        case "DateTime":
            return _time(value) is not None
        case _:
            return _truth(value) is not None


def _has_form(kwargs: Mapping[str, Any], row: Row) -> bool:
    value = row[kwargs["column"]]
    if isinstance(value, date):
        return True
    return _written(_text(value) or "", kwargs["strftime_format"]) is not None


_HOLDS: Mapping[str, Callable[[Mapping[str, Any], Row], bool]] = {
    "not_be_null": lambda kwargs, row: row[kwargs["column"]] is not None,
    "be_between": _between,
    "be_in_set": _in_set,
    "not_be_in_set": lambda kwargs, row: not _in_set(kwargs, row),
    "match_regex": _found,
    "not_match_regex": lambda kwargs, row: not _found(kwargs, row),
    "be_of_type": _reads,
    "column_value_lengths_to_be_between": lambda kwargs, row: _within(
        len(_text(row[kwargs["column"]]) or ""), kwargs, lambda end: end
    ),
    "match_strftime_format": _has_form,
    "column_pair_values_a_to_be_greater_than_b": _greater,
    "column_pair_values_to_be_equal": lambda kwargs, row: _are_equal(*_pair(kwargs, row)),
    "select_column_values_to_be_unique_within_record": _differ,
}


def _selects(condition: Mapping[str, Any], row: Row) -> bool:
    match condition:
        case {"type": "and", "conditions": parts}:
            return all(_selects(part, row) for part in parts)
        case {"type": "or", "conditions": parts}:
            return any(_selects(part, row) for part in parts)
        case {"type": "nullity", "column": {"name": name}, "is_null": is_null}:
            return bool((row[name] is None) == is_null)
    value = row[condition["column"]["name"]]
    operator, parameter = condition["operator"], condition["parameter"]
    first = parameter[0] if isinstance(parameter, list) else parameter
    value, read = _compared(value, first)
    if value is None:
        return False
    match operator:
        case "IN":
            return value in [read(one) for one in parameter]
        case "NOT_IN":
            return value not in [read(one) for one in parameter]
    other = read(parameter)
    return bool(
        {
            "==": value == other,
            "!=": value != other,
            "<": value < other,
            "<=": value <= other,
            ">": value > other,
            ">=": value >= other,
        }[operator]
    )
