"""What an attribute's sample values and description show."""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from longhaul.core.attributes import Attribute
from longhaul.core.expectations import (
    BETWEEN,
    IN_SET,
    LENGTHS,
    MATCH_REGEX,
    MATCH_STRFTIME,
    NOT_IN_SET,
    NOT_MATCH_REGEX,
    NOT_NULL,
    STRFTIME_FORMATS,
    UNIQUE,
)
from longhaul.core.formats import DataType, Format, UnknownFormat, parse_format

# One planted or real error among a handful of values refutes nothing.
TOLERATED = 0.25

FEWEST_FOR_CODES = 10
LONGEST_CODE = 4
LARGEST_FRACTION = 1.5


def read_format(attribute: Attribute) -> Format | None:
    """How the attribute's values are written, if its format can be read."""
    try:
        return parse_format(attribute.format)
    except UnknownFormat:
        return None


def present(attribute: Attribute) -> list[Any]:
    """The sample values that are not missing."""
    return [value for value in attribute.sample_values if value not in (None, "")]


def texts(attribute: Attribute) -> list[str]:
    """The sample values as they are written."""
    return [str(value) for value in present(attribute)]


def numbers(attribute: Attribute) -> list[float]:
    """The sample values that are numbers."""
    found = (_number(value) for value in present(attribute))
    return [number for number in found if number is not None]


def is_fraction(attribute: Attribute) -> bool | None:
    """Whether a share is written as a fraction rather than in percent; None if unknown."""
    said = attribute.description.lower()
    if "fraction" in said:
        return True
    if "percent" in said or "percent" in attribute.name.lower():
        return False
    values = [abs(value) for value in numbers(attribute) if value]
    return max(values) <= LARGEST_FRACTION if values else None


_CODE = re.compile(r"(?<![\w.%$-])([0-9]{1,2}|[A-Z])(?![\w%-]|[.,][0-9])")
_BEFORE_A_CODE = re.compile(r"(?:[:;,] |\(|\b(?:codes?|numbers?) )$")
_JOINED = re.compile(r"^,? (?:to|and|or) $|^, $")


def documented_codes(description: str) -> list[str]:
    """The codes that a description explains: "1 the owner, 2 a tenant, U unknown".

    None if a number in it may be something else than a code.
    """
    codes: list[str] = []
    end = -1
    for found in _CODE.finditer(description):
        code, start = found[1], found.start()
        between = description[end:start] if end >= 0 else ""
        if codes and _JOINED.match(between):
            codes += _span(codes[-1], code) if " to " in between else [code]
        elif _BEFORE_A_CODE.search(description[:start]):
            codes.append(code)
        elif code.isdigit():
            return []
        else:
            continue
        end = found.end()
    distinct = sorted(set(codes))
    return distinct if len(distinct) > 1 else []


def recurring_codes(attribute: Attribute) -> list[str]:
    """The few short values that recur among many; none if there are too few values."""
    values = texts(attribute)
    distinct = sorted(set(values))
    is_enough = len(values) >= FEWEST_FOR_CODES and len(distinct) * 3 <= len(values)
    is_short = all(len(value) <= LONGEST_CODE for value in distinct)
    return distinct if is_enough and is_short and len(distinct) > 1 else []


def contradicted(expectation: str, kwargs: Mapping[str, Any], attribute: Attribute) -> bool:
    """Whether more sample values break a rule than chance explains."""
    test = _TESTS.get(expectation)
    if test is None or "row_condition" in kwargs:
        return False
    if expectation == NOT_NULL:
        verdicts = [value not in (None, "") for value in attribute.sample_values]
    else:
        found = (test(value, kwargs, attribute) for value in present(attribute))
        verdicts = [verdict for verdict in found if verdict is not None]
    if not verdicts:
        return False
    broken = verdicts.count(False)
    # The values are distinct ones, so that one error among few looks like many.
    if broken == 1 and len(verdicts) > 1:
        return False
    return broken / len(verdicts) > max(TOLERATED, 1 - float(kwargs.get("mostly", 1)))


def _span(first: str, last: str) -> list[str]:
    if not first.isdigit() or not last.isdigit() or int(last) <= int(first):
        return [last]
    return [str(code).zfill(len(first)) for code in range(int(first) + 1, int(last) + 1)]


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (OverflowError, TypeError, ValueError):
        return None


def _time(value: Any, attribute: Attribute) -> datetime | None:
    form = read_format(attribute)
    # "202412" can also be read as the second of January if the form of days is tried first.
    first = [form.strftime] if form and form.strftime else []
    for written in (
        *first,
        *STRFTIME_FORMATS[DataType.DATE],
        *STRFTIME_FORMATS[DataType.DATE_TIME],
    ):
        try:
            return datetime.strptime(str(value), written)  # noqa: DTZ007 - compared among its own
        except ValueError:
            continue
    return None


def _between(value: Any, kwargs: Mapping[str, Any], attribute: Attribute) -> bool | None:
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    known: Any
    if attribute.data_type in (DataType.DATE, DataType.DATE_TIME):
        known = _time(value, attribute)
        low, high = (datetime.fromisoformat(end) if end else None for end in (low, high))
    else:
        known = _number(value)
    if known is None:
        return None
    return bool((low is None or low <= known) and (high is None or known <= high))


def _in_set(value: Any, kwargs: Mapping[str, Any], attribute: Attribute) -> bool | None:
    known = kwargs["value_set"]
    if isinstance(known[0], bool):
        return value in known if isinstance(value, bool) else None
    if isinstance(known[0], int | float):
        return _number(value) in known
    if attribute.data_type in (DataType.DATE, DataType.DATE_TIME):
        time = _time(value, attribute)
        return None if time is None else time in map(datetime.fromisoformat, known)
    return str(value) in known


def _not(test: Callable[..., bool | None]) -> Callable[..., bool | None]:
    def refuted(value: Any, kwargs: Mapping[str, Any], attribute: Attribute) -> bool | None:
        verdict = test(value, kwargs, attribute)
        return None if verdict is None else not verdict

    return refuted


def _matches(value: Any, kwargs: Mapping[str, Any], attribute: Attribute) -> bool | None:
    return re.search(kwargs["regex"], str(value)) is not None


def _has_length(value: Any, kwargs: Mapping[str, Any], attribute: Attribute) -> bool | None:
    length = len(str(value))
    return bool(kwargs.get("min_value", 0) <= length <= kwargs.get("max_value", length))


def _is_written(value: Any, kwargs: Mapping[str, Any], attribute: Attribute) -> bool | None:
    if isinstance(value, date):
        return None
    try:
        datetime.strptime(str(value), kwargs["strftime_format"])  # noqa: DTZ007 - only read
    except ValueError:
        return False
    return True


def _is_once(value: Any, kwargs: Mapping[str, Any], attribute: Attribute) -> bool | None:
    return present(attribute).count(value) == 1


_TESTS: Mapping[str, Callable[[Any, Mapping[str, Any], Attribute], bool | None]] = {
    NOT_NULL: lambda *_: None,
    BETWEEN: _between,
    IN_SET: _in_set,
    NOT_IN_SET: _not(_in_set),
    MATCH_REGEX: _matches,
    NOT_MATCH_REGEX: _not(_matches),
    LENGTHS: _has_length,
    MATCH_STRFTIME: _is_written,
    UNIQUE: _is_once,
}
