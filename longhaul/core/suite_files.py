"""Suites: rules in a file, in the format of Great Expectations."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from longhaul.core.expectations import (
    COMPARISONS,
    IGNORE_LIST,
    IGNORE_PAIR,
    MAX_CONDITIONS,
    MAX_DEPTH,
    MEMBERSHIPS,
    STRFTIME_FORMATS,
    VOCABULARY,
    BadExpectation,
    Kind,
    check_names,
    is_clean,
    is_number,
)
from longhaul.core.formats import DataType

FORMAT_VERSION = 1
OURS = "longhaul"

# How Great Expectations runs a rule, not what the rule says.
_HOUSEKEEPING = frozenset({"result_format", "catch_exceptions", "include_config", "batch_id"})


class BadSuite(ValueError):
    """The text is not a suite; the sentence says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteRule:
    """One expectation of a suite.

    Attributes:
        about: What Longhaul itself has written into `meta`.
    """

    type: str
    kwargs: Mapping[str, Any]
    severity: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)


def read_suite(text: str) -> Sequence[SuiteRule]:
    """Read a suite file, or a bare list of `{"type", "kwargs"}`.

    Raises:
        BadSuite: It is neither.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise BadSuite("The rules are not JSON.") from None
    return suite_rules(found)


def suite_rules(found: Any) -> Sequence[SuiteRule]:
    """The expectations of a suite that is JSON already.

    Raises:
        BadSuite: It is not a suite.
    """
    listed = found.get("expectations") if isinstance(found, dict) else found
    if not isinstance(listed, list):
        raise BadSuite('The rules must be a list, or a suite with a list of "expectations".')
    return [_rule(number, one) for number, one in enumerate(listed, start=1)]


def write_suite(name: str, rules: Sequence[SuiteRule]) -> dict[str, Any]:
    """A suite as JSON."""
    return {
        "name": name,
        "expectations": [
            {
                "type": rule.type,
                "kwargs": dict(rule.kwargs),
                "meta": {OURS: dict(rule.about)},
                "severity": _GX_SEVERITIES.get(rule.severity, "warning"),
            }
            for rule in rules
        ],
        "meta": {OURS: {"format": FORMAT_VERSION}},
    }


_GX_SEVERITIES = {"low": "info", "medium": "warning", "high": "critical", "critical": "critical"}
SEVERITIES = {"info": "low", "warning": "medium", "critical": "critical"}


def _rule(number: int, found: Any) -> SuiteRule:
    if not isinstance(found, dict):
        raise BadSuite(f"Rule {number} is not a JSON object.")
    name = found.get("type", found.get("expectation_type"))
    kwargs = found.get("kwargs", {})
    if not isinstance(name, str) or not isinstance(kwargs, dict):
        raise BadSuite(f'Rule {number} needs a "type" and "kwargs".')
    meta = found.get("meta")
    about = meta.get(OURS) if isinstance(meta, dict) else None
    severity = found.get("severity")
    return SuiteRule(
        type=name,
        kwargs={
            key: value
            for key, value in kwargs.items()
            if value is not None and key not in _HOUSEKEEPING
        },
        severity=severity if isinstance(severity, str) else "",
        about=about if isinstance(about, dict) else {},
    )


def check_shape(rule: SuiteRule) -> None:
    """Refuse a rule that fits no table; columns are not checked here.

    Raises:
        BadExpectation: What is wrong.
    """
    known = VOCABULARY.get(rule.type)
    if known is None:
        raise BadExpectation(f"Unknown expectation {rule.type[:80]!r}.")
    check_names(rule.type, known, rule.kwargs)
    for name, value in rule.kwargs.items():
        if not _SHAPES[known.kwargs[name]](value):
            raise BadExpectation(f"{rule.type}: {name} has the wrong form or size.")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and is_clean(value)


def _is_name(value: Any) -> bool:
    return _is_text(value) and bool(value)


def _is_scalar(value: Any) -> bool:
    return isinstance(value, bool) or is_number(value) or _is_text(value)


def _are_values(value: Any) -> bool:
    if not isinstance(value, list) or not value or not all(map(_is_scalar, value)):
        return False
    return len({"number" if is_number(one) else type(one).__name__ for one in value}) == 1


def _is_condition(value: Any, depth: int = 1) -> bool:
    if depth > MAX_DEPTH:
        return False
    match value:
        case {"type": "and" | "or", "conditions": list(parts)}:
            return 1 <= len(parts) <= MAX_CONDITIONS and all(
                _is_condition(part, depth + 1) for part in parts
            )
        case {"type": "nullity", "column": {"name": str()}, "is_null": bool()}:
            return True
        case {"type": "comparison", "column": {"name": str()}, "operator": str(operator)}:
            parameter = value.get("parameter")
            if operator in MEMBERSHIPS:
                return _are_values(parameter)
            return operator in COMPARISONS and _is_scalar(parameter)
    return False


_FORMS = [form for forms in STRFTIME_FORMATS.values() for form in forms]

_SHAPES: Mapping[Kind, Callable[[Any], bool]] = {
    Kind.OWN_COLUMN: _is_name,
    Kind.COLUMN: _is_name,
    Kind.COLUMNS: lambda value: (
        isinstance(value, list)
        and len(value) > 1
        and all(map(_is_name, value))
        and len(set(value)) == len(value)
    ),
    Kind.BOUND: lambda value: is_number(value) or _is_text(value),
    Kind.NUMBER: is_number,
    Kind.COUNT: lambda value: isinstance(value, int) and is_number(value),
    Kind.VALUES: _are_values,
    Kind.REGEX: _is_name,
    Kind.STRFTIME: lambda value: value in _FORMS,
    Kind.DATA_TYPE: lambda value: value in list(DataType),
    Kind.FLAG: lambda value: isinstance(value, bool),
    Kind.SHARE: lambda value: is_number(value) and 0 < value <= 1,
    Kind.CONDITION: _is_condition,
    Kind.IGNORE_PAIR: lambda value: value in IGNORE_PAIR,
    Kind.IGNORE_LIST: lambda value: value in IGNORE_LIST,
}
