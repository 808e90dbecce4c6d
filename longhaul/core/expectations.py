"""The rule vocabulary as data, and the check that a rule fits its attribute.

Names, kwargs and null semantics are Great Expectations'; what differs is noted in place.
Columns are named by attribute; which physical column that is, is decided when rules run.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, TypeGuard

from longhaul.core.attributes import Attribute
from longhaul.core.formats import DataType

MAX_PATTERN = 500
MAX_TEXT = 500
MAX_VALUES = 500
MIN_COLUMNS, MAX_COLUMNS = 2, 20
MAX_CONDITIONS = 20
MAX_DEPTH = 4

# Beyond what any amount, count or rate in a report reaches, and within bigint and double.
_LARGEST = 10**18

STRFTIME_FORMATS: Mapping[DataType, tuple[str, ...]] = {
    DataType.DATE: ("%Y%m%d", "%Y-%m-%d", "%Y%m", "%Y-%m", "%m/%d/%Y"),
    DataType.DATE_TIME: ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y%m%d%H%M%S"),
}

COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
MEMBERSHIPS = ("IN", "NOT_IN")


class BadExpectation(ValueError):
    """A rule does not fit its attribute; the sentence tells a model what to fix."""


class Kind(StrEnum):
    """The kind of value of a kwarg."""

    OWN_COLUMN = "own_column"
    COLUMN = "column"
    COLUMNS = "columns"
    BOUND = "bound"
    NUMBER = "number"
    COUNT = "count"
    VALUES = "values"
    REGEX = "regex"
    STRFTIME = "strftime"
    DATA_TYPE = "data_type"
    FLAG = "flag"
    SHARE = "share"
    CONDITION = "condition"
    IGNORE_PAIR = "ignore_pair"
    IGNORE_LIST = "ignore_list"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """One word of the vocabulary.

    Attributes:
        suits: The data types of attributes that it can be used for.
        one_of: Optional kwargs of which at least one is needed.
        by_row: Whether it judges each row, and so accepts `mostly` and `row_condition`.
    """

    required: Mapping[str, Kind] = field(default_factory=dict)
    optional: Mapping[str, Kind] = field(default_factory=dict)
    suits: frozenset[DataType] = frozenset(DataType)
    one_of: tuple[str, ...] = ()
    by_row: bool = True

    @property
    def kwargs(self) -> Mapping[str, Kind]:
        """Every kwarg that it accepts."""
        rows = {"mostly": Kind.SHARE, "row_condition": Kind.CONDITION} if self.by_row else {}
        return {**self.required, **self.optional, **rows}


_NUMBERS = frozenset({DataType.INTEGER, DataType.DECIMAL})
_TIMES = frozenset({DataType.DATE, DataType.DATE_TIME})
# Types with one spelling as text on every source; a Decimal or a Date has several.
_SPELT = frozenset({DataType.STRING, DataType.INTEGER, DataType.JSON})
_PLAIN = frozenset(DataType) - {DataType.JSON}

_COLUMN = {"column": Kind.OWN_COLUMN}
_PAIR = {"column_A": Kind.COLUMN, "column_B": Kind.COLUMN}
_LIST = {"column_list": Kind.COLUMNS}
_BETWEEN = ("min_value", "max_value")
_STRICT = {"strict_min": Kind.FLAG, "strict_max": Kind.FLAG}


def _between(kind: Kind) -> Mapping[str, Kind]:
    return dict.fromkeys(_BETWEEN, kind)


NOT_NULL = "expect_column_values_to_not_be_null"
BETWEEN = "expect_column_values_to_be_between"
IN_SET = "expect_column_values_to_be_in_set"
NOT_IN_SET = "expect_column_values_to_not_be_in_set"
MATCH_REGEX = "expect_column_values_to_match_regex"
NOT_MATCH_REGEX = "expect_column_values_to_not_match_regex"
UNIQUE = "expect_column_values_to_be_unique"
OF_TYPE = "expect_column_values_to_be_of_type"
LENGTHS = "expect_column_value_lengths_to_be_between"
MATCH_STRFTIME = "expect_column_values_to_match_strftime_format"
PAIR_GREATER = "expect_column_pair_values_a_to_be_greater_than_b"
PAIR_EQUAL = "expect_column_pair_values_to_be_equal"
COMPOUND_UNIQUE = "expect_compound_columns_to_be_unique"
UNIQUE_IN_RECORD = "expect_select_column_values_to_be_unique_within_record"
ROW_COUNT = "expect_table_row_count_to_be_between"
MEAN = "expect_column_mean_to_be_between"

VOCABULARY: Mapping[str, Expectation] = {
    NOT_NULL: Expectation(required=_COLUMN),
    BETWEEN: Expectation(
        required=_COLUMN,
        optional={**_between(Kind.BOUND), **_STRICT},
        one_of=_BETWEEN,
        suits=_NUMBERS | _TIMES,
    ),
    IN_SET: Expectation(required={**_COLUMN, "value_set": Kind.VALUES}, suits=_PLAIN),
    NOT_IN_SET: Expectation(required={**_COLUMN, "value_set": Kind.VALUES}, suits=_PLAIN),
    MATCH_REGEX: Expectation(required={**_COLUMN, "regex": Kind.REGEX}, suits=_SPELT),
    NOT_MATCH_REGEX: Expectation(required={**_COLUMN, "regex": Kind.REGEX}, suits=_SPELT),
    UNIQUE: Expectation(required=_COLUMN, suits=_PLAIN),
    # In Great Expectations a check of the schema; here each value must read as the type.
    OF_TYPE: Expectation(required={**_COLUMN, "type_": Kind.DATA_TYPE}, suits=_PLAIN),
    LENGTHS: Expectation(
        required=_COLUMN,
        optional={**_between(Kind.COUNT), **_STRICT},
        one_of=_BETWEEN,
        suits=_SPELT,
    ),
    MATCH_STRFTIME: Expectation(
        required={**_COLUMN, "strftime_format": Kind.STRFTIME}, suits=_TIMES
    ),
    PAIR_GREATER: Expectation(
        required=_PAIR,
        optional={"or_equal": Kind.FLAG, "ignore_row_if": Kind.IGNORE_PAIR},
        suits=_NUMBERS | _TIMES,
    ),
    PAIR_EQUAL: Expectation(
        required=_PAIR, optional={"ignore_row_if": Kind.IGNORE_PAIR}, suits=_PLAIN
    ),
    COMPOUND_UNIQUE: Expectation(
        required=_LIST, optional={"ignore_row_if": Kind.IGNORE_LIST}, suits=_PLAIN
    ),
    UNIQUE_IN_RECORD: Expectation(
        required=_LIST, optional={"ignore_row_if": Kind.IGNORE_LIST}, suits=_PLAIN
    ),
    ROW_COUNT: Expectation(optional=_between(Kind.COUNT), one_of=_BETWEEN, by_row=False),
    MEAN: Expectation(
        required=_COLUMN,
        optional={**_between(Kind.NUMBER), **_STRICT},
        one_of=_BETWEEN,
        suits=_NUMBERS,
        by_row=False,
    ),
}

IGNORE_PAIR = ("both_values_are_missing", "either_value_is_missing", "neither")
IGNORE_LIST = ("all_values_are_missing", "any_value_is_missing", "never")

# The types as which values of a type can be read; everything can be read as a String.
_READS_AS: Mapping[DataType, tuple[DataType, ...]] = {
    DataType.STRING: (DataType.INTEGER, DataType.DECIMAL, DataType.DATE, DataType.BOOLEAN),
    DataType.INTEGER: (DataType.INTEGER,),
    DataType.DECIMAL: (DataType.DECIMAL, DataType.INTEGER),
    DataType.DATE: (DataType.DATE,),
    DataType.DATE_TIME: (DataType.DATE_TIME,),
    DataType.BOOLEAN: (DataType.BOOLEAN,),
}


def check_expectation(
    expectation: str, kwargs: Mapping[str, Any], attribute: Attribute, siblings: Sequence[str]
) -> None:
    """Refuse a rule that does not fit an attribute.

    The syntax of regular expressions is not checked: see the port `RegexDialects`.

    Args:
        siblings: Names of the report's other attributes.

    Raises:
        BadExpectation: What is wrong, for a model to fix.
    """
    known = VOCABULARY.get(expectation)
    if known is None:
        raise BadExpectation(
            f"Unknown expectation {_shown(expectation)}{_meant(expectation, VOCABULARY)}."
        )
    if attribute.data_type not in known.suits:
        raise BadExpectation(
            f"{expectation} does not suit the data type {attribute.data_type}; it is for "
            f"{_listed(sorted(known.suits))}."
        )
    if not isinstance(kwargs, Mapping):
        raise BadExpectation("kwargs must be a JSON object.")
    check_names(expectation, known, kwargs)
    scope = _Scope(attribute, frozenset({*siblings, attribute.name}))
    for name, value in kwargs.items():
        _CHECKS[known.kwargs[name]](name, value, scope)
    _check_order(known, kwargs, scope)
    _check_pair(kwargs, scope)


def kwargs_hash(kwargs: Mapping[str, Any]) -> str:
    """A hash that is equal for kwargs with the same meaning: part of a rule's natural key.

    Stored rules keep their hash, so a change of this result needs a migration of
    them.
    """
    meant = {
        name: value
        for name, value in kwargs.items()
        if _written(_canonical(value)) not in _DEFAULTS.get(name, ())
    }
    return hashlib.sha256(_written(_canonical(meant)).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class _Scope:
    attribute: Attribute
    columns: frozenset[str]


def check_names(expectation: str, known: Expectation, kwargs: Mapping[str, Any]) -> None:
    """Refuse kwargs that an expectation does not accept, and missing ones that it needs.

    Raises:
        BadExpectation: Which they are.
    """
    unknown = [name for name in kwargs if name not in known.kwargs]
    if unknown:
        raise BadExpectation(
            f"{expectation} has no kwargs {_listed(map(_shown, unknown))}; it accepts "
            f"{_listed(known.kwargs)}."
        )
    missing = [name for name in known.required if name not in kwargs]
    if missing:
        raise BadExpectation(f"{expectation} needs the kwargs {_listed(missing)}.")
    if known.one_of and not any(name in kwargs for name in known.one_of):
        raise BadExpectation(f"{expectation} needs {' or '.join(known.one_of)}.")


def _check_order(known: Expectation, kwargs: Mapping[str, Any], scope: _Scope) -> None:
    if not all(name in kwargs for name in _BETWEEN):
        return
    low, high = kwargs["min_value"], kwargs["max_value"]
    if known.kwargs["min_value"] is Kind.BOUND:
        low, high = (_read(name, kwargs[name], scope.attribute.data_type) for name in _BETWEEN)
    if low > high:
        raise BadExpectation("min_value must not be greater than max_value.")
    if low == high and (kwargs.get("strict_min") or kwargs.get("strict_max")):
        raise BadExpectation("With min_value equal to max_value neither end can be strict.")


def _check_pair(kwargs: Mapping[str, Any], scope: _Scope) -> None:
    names = [kwargs[name] for name in _PAIR if name in kwargs]
    if names and len(set(names)) < len(names):
        raise BadExpectation("column_A and column_B must be two different attributes.")
    if names and scope.attribute.name not in names:
        raise BadExpectation(
            f"column_A or column_B must be the attribute itself, {_shown(scope.attribute.name)}."
        )


def _check_own_column(name: str, value: object, scope: _Scope) -> None:
    if value != scope.attribute.name:
        raise BadExpectation(
            f"{name} must be the attribute's own name, {_shown(scope.attribute.name)}."
        )


def _check_column(name: str, value: object, scope: _Scope) -> None:
    if not isinstance(value, str) or value not in scope.columns:
        raise BadExpectation(
            f"{name} must be the exact name of an attribute of the report, and "
            f"{_shown(value)} is not one{_meant(value, scope.columns)}."
        )


def _check_columns(name: str, value: object, scope: _Scope) -> None:
    if not isinstance(value, list) or not MIN_COLUMNS <= len(value) <= MAX_COLUMNS:
        raise BadExpectation(
            f"{name} must be a list of {MIN_COLUMNS} to {MAX_COLUMNS} attribute names."
        )
    for one in value:
        _check_column(name, one, scope)
    if len(set(value)) < len(value):
        raise BadExpectation(f"{name} must not name an attribute twice.")
    if scope.attribute.name not in value:
        raise BadExpectation(
            f"{name} must contain the attribute itself, {_shown(scope.attribute.name)}."
        )


def _check_bound(name: str, value: object, scope: _Scope) -> None:
    _read(name, value, scope.attribute.data_type)


def _check_number(name: str, value: object, scope: _Scope) -> None:
    if not is_number(value):
        raise BadExpectation(f"{name} must be a number.")


def _check_count(name: str, value: object, scope: _Scope) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST:
        raise BadExpectation(f"{name} must be a whole number of 0 or more.")


def _check_values(name: str, value: object, scope: _Scope) -> None:
    _read_list(name, value, lambda one: _read(name, one, scope.attribute.data_type))


def _check_regex(name: str, value: object, scope: _Scope) -> None:
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_PATTERN or not is_clean(value):
        raise BadExpectation(f"{name} must be a text of 1 to {MAX_PATTERN} characters.")


def _check_strftime(name: str, value: object, scope: _Scope) -> None:
    supported = STRFTIME_FORMATS[scope.attribute.data_type]
    if value not in supported:
        raise BadExpectation(f"{name} must be one of {_listed(supported)}.")


def _check_data_type(name: str, value: object, scope: _Scope) -> None:
    possible = _READS_AS[scope.attribute.data_type]
    if value not in possible:
        raise BadExpectation(f"{name} must be one of {_listed(possible)}.")


def _check_flag(name: str, value: object, scope: _Scope) -> None:
    if not isinstance(value, bool):
        raise BadExpectation(f"{name} must be true or false.")


def _check_share(name: str, value: Any, scope: _Scope) -> None:
    if not is_number(value) or not 0 < value <= 1:
        raise BadExpectation(f"{name} must be a number above 0 and at most 1.")


def _check_ignore_pair(name: str, value: object, scope: _Scope) -> None:
    if value not in IGNORE_PAIR:
        raise BadExpectation(f"{name} must be one of {_listed(IGNORE_PAIR)}.")


def _check_ignore_list(name: str, value: object, scope: _Scope) -> None:
    if value not in IGNORE_LIST:
        raise BadExpectation(f"{name} must be one of {_listed(IGNORE_LIST)}.")


def _check_condition(name: str, value: object, scope: _Scope) -> None:
    count = _count_conditions(name, value, scope, depth=1)
    if count > MAX_CONDITIONS:
        raise BadExpectation(f"{name} must not hold more than {MAX_CONDITIONS} conditions.")


def _count_conditions(name: str, value: object, scope: _Scope, depth: int) -> int:
    if depth > MAX_DEPTH:
        raise BadExpectation(f"{name} must not be nested deeper than {MAX_DEPTH} levels.")
    match value:
        case {"type": "and" | "or", "conditions": list(parts), **rest} if not rest:
            if not 1 <= len(parts) <= MAX_CONDITIONS:
                raise BadExpectation(
                    f'"conditions" of {name} must be a list of at least one condition.'
                )
            return sum(_count_conditions(name, part, scope, depth + 1) for part in parts)
        case {"type": "nullity", "column": column, "is_null": bool(), **rest} if not rest:
            _condition_column(name, column, scope)
        case {
            "type": "comparison",
            "column": column,
            "operator": str(operator),
            "parameter": parameter,
            **rest,
        } if not rest:
            _check_comparison(name, column, operator, parameter, scope)
        case _:
            raise BadExpectation(
                f"{name} must be built of "
                '{"type":"comparison","column":{"name":…},"operator":…,"parameter":…}, '
                '{"type":"nullity","column":{"name":…},"is_null":…} and '
                '{"type":"and" or "or","conditions":[…]}.'
            )
    return 1


def _condition_column(name: str, value: object, scope: _Scope) -> str:
    match value:
        case {"name": str(column), **rest} if not rest:
            _check_column(f"a column of {name}", column, scope)
            return column
    raise BadExpectation(f'A column of {name} must be written as {{"name": "…"}}.')


def _check_comparison(
    name: str, column: object, operator: str, parameter: object, scope: _Scope
) -> None:
    own = _condition_column(name, column, scope) == scope.attribute.name
    where = f"a parameter of {name}"

    def read(value: object) -> object:
        return _read(where, value, scope.attribute.data_type) if own else _scalar(where, value)

    if operator in MEMBERSHIPS:
        _read_list(where, parameter, read)
    elif operator in COMPARISONS:
        read(parameter)
    else:
        raise BadExpectation(
            f"An operator of {name} must be one of {_listed((*COMPARISONS, *MEMBERSHIPS))}."
        )


_CHECKS: Mapping[Kind, Callable[[str, Any, _Scope], None]] = {
    Kind.OWN_COLUMN: _check_own_column,
    Kind.COLUMN: _check_column,
    Kind.COLUMNS: _check_columns,
    Kind.BOUND: _check_bound,
    Kind.NUMBER: _check_number,
    Kind.COUNT: _check_count,
    Kind.VALUES: _check_values,
    Kind.REGEX: _check_regex,
    Kind.STRFTIME: _check_strftime,
    Kind.DATA_TYPE: _check_data_type,
    Kind.FLAG: _check_flag,
    Kind.SHARE: _check_share,
    Kind.CONDITION: _check_condition,
    Kind.IGNORE_PAIR: _check_ignore_pair,
    Kind.IGNORE_LIST: _check_ignore_list,
}


def _read_list(name: str, value: object, read: Callable[[object], object]) -> None:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_VALUES:
        raise BadExpectation(f"{name} must be a list of 1 to {MAX_VALUES} values.")
    # true equals 1 in Python, and neither in JSON nor in a database.
    seen = {(float if is_number(one) else type(one), one) for one in map(read, value)}
    if len(seen) < len(value):
        raise BadExpectation(f"{name} must not name a value twice.")
    if len({kind for kind, _ in seen}) > 1:
        raise BadExpectation(f"{name} must hold values of one type.")


def _read(name: str, value: object, data_type: DataType) -> Any:
    """Read a value of the attribute's type as something comparable."""
    read, wanted = _READERS.get(data_type, (_text, f"a text of at most {MAX_TEXT} characters"))
    known = read(value)
    if known is None:
        raise BadExpectation(
            f"{name} must be {wanted}, because the attribute is of type {data_type}."
        )
    return known


def _scalar(name: str, value: object) -> Any:
    if isinstance(value, bool) or is_number(value) or _text(value) is not None:
        return value
    raise BadExpectation(f"{name} must be a text, a number, true or false.")


def is_number(value: Any) -> TypeGuard[int | float]:
    """Whether every source can compare it: not a truth value, and within the bounds."""
    # NaN and the infinities, which JSON in Python may hold, fail the comparison.
    is_one = isinstance(value, int | float) and not isinstance(value, bool)
    return is_one and -_LARGEST <= value <= _LARGEST


def _text(value: object) -> str | None:
    if not isinstance(value, str) or len(value) > MAX_TEXT or not is_clean(value):
        return None
    return value


def _whole_number(value: object) -> int | None:
    return int(value) if is_number(value) and value == int(value) else None


def _decimal(value: object) -> float | None:
    return float(value) if is_number(value) else None


def _truth(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


_ISO_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ISO_TIME = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?)?")


def _iso_date(value: object) -> date | None:
    if not isinstance(value, str) or not _ISO_DATE.fullmatch(value):
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None


def _iso_time(value: object) -> datetime | None:
    if not isinstance(value, str) or not _ISO_TIME.fullmatch(value):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


_READERS: Mapping[DataType, tuple[Callable[[object], Any], str]] = {
    DataType.INTEGER: (_whole_number, "a whole number"),
    DataType.DECIMAL: (_decimal, "a number"),
    DataType.DATE: (_iso_date, 'a date as "YYYY-MM-DD"'),
    DataType.DATE_TIME: (_iso_time, 'a time as "YYYY-MM-DDTHH:MM:SS"'),
    DataType.BOOLEAN: (_truth, "true or false"),
}


def is_clean(text: str) -> bool:
    """Whether PostgreSQL can store it: no NUL, no half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


# Values of kwargs that mean the same as leaving them out.
_DEFAULTS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("strict_min", "strict_max", "or_equal"), ("false",)),
    "mostly": ("1",),
    "ignore_row_if": ('"both_values_are_missing"', '"all_values_are_missing"'),
}

# Lists whose order and duplicates have no meaning.
_SETS = frozenset({"value_set", "column_list", "parameter", "conditions"})


def _canonical(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: _as_set(one) if key in _SETS else _canonical(one) for key, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [_canonical(one) for one in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _as_set(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        return _canonical(value)
    found = {_written(one): one for one in map(_canonical, value)}
    return [found[key] for key in sorted(found)]


def _written(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _shown(value: object) -> str:
    return json.dumps(value[:80]) if isinstance(value, str) else "that"


def _meant(value: object, known: Iterable[str]) -> str:
    close = get_close_matches(value[:200], sorted(known), n=1) if isinstance(value, str) else []
    return f"; perhaps {_shown(close[0])} is meant" if close else ""


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)
