"""Import and export of suites of a rule version."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from longhaul.core.attributes import AttributeStore
from longhaul.core.expectations import (
    COMPOUND_UNIQUE,
    MEAN,
    NOT_NULL,
    PAIR_EQUAL,
    PAIR_GREATER,
    ROW_COUNT,
    UNIQUE,
    UNIQUE_IN_RECORD,
)
from longhaul.core.ports import Transaction
from longhaul.core.rules import (
    FORMAT_EXPECTATIONS,
    NewRules,
    ProposedRule,
    RuleType,
)
from longhaul.core.suite_files import SEVERITIES, SuiteRule

PROVIDER = "import"
MOST_RULES = 5_000

_NAMED = {"name": 200, "description": 1_000, "rationale": 2_000, "regulatory_reference": 500}

_DIMENSIONS: Mapping[str, RuleType] = {
    NOT_NULL: RuleType.COMPLETENESS,
    ROW_COUNT: RuleType.COMPLETENESS,
    UNIQUE: RuleType.UNIQUENESS,
    COMPOUND_UNIQUE: RuleType.UNIQUENESS,
    UNIQUE_IN_RECORD: RuleType.CONSISTENCY,
    PAIR_EQUAL: RuleType.CONSISTENCY,
    PAIR_GREATER: RuleType.CONSISTENCY,
    MEAN: RuleType.ACCURACY,
    **dict.fromkeys(FORMAT_EXPECTATIONS, RuleType.FORMAT),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """The result of an import.

    Attributes:
        known: Rules that the version had already.
    """

    added: int
    known: int


class SuiteStore(AttributeStore, Protocol):
    """The rules of versions as suites."""

    async def rules(self, tx: Transaction, version_id: str) -> Sequence[SuiteRule]:
        """The rules of a version in the order of the form, with the name of their attribute."""

    async def attribute_ids(
        self, tx: Transaction, cycle_id: int, report_id: int
    ) -> Mapping[str, int]:
        """The ids of the report's active attributes by their names."""

    async def add(
        self, tx: Transaction, version_id: str, rules: Sequence[NewRules]
    ) -> Sequence[str]:
        """Add rules to those that a version has, and return the ids of the new ones."""


def attribute_of(rule: SuiteRule) -> str | None:
    """The attribute that a rule belongs to: the one in `meta`, or the first it names."""
    known = rule.about.get("attribute")
    for name in (known, *(rule.kwargs.get(key) for key in ("column", "column_A"))):
        if isinstance(name, str):
            return name
    columns = rule.kwargs.get("column_list")
    return columns[0] if isinstance(columns, list) and columns else None


def proposed(rule: SuiteRule, attribute: str) -> ProposedRule:
    """A rule of a suite as somebody's proposal; missing fields are filled in."""
    about: dict[str, Any] = {
        name: value[:longest]
        for name, longest in _NAMED.items()
        if isinstance(value := rule.about.get(name), str) and value
    }
    what = rule.type.removeprefix("expect_").replace("_", " ")
    severity = rule.about.get("severity")
    dimension = rule.about.get("rule_type")
    confidence = rule.about.get("confidence")
    is_share = isinstance(confidence, int | float) and 0 <= confidence <= 1
    return ProposedRule(
        type=rule.type[:100],
        kwargs=dict(rule.kwargs),
        name=about.get("name", f"{attribute}: {what}"[:200]),
        description=about.get("description", ""),
        rule_type=dimension if isinstance(dimension, str) else _dimension(rule.type),
        severity=severity if isinstance(severity, str) else _severity(rule.severity),
        rationale=about.get("rationale", "It was part of the suite that was imported."),
        regulatory_reference=about.get("regulatory_reference", ""),
        confidence=confidence if is_share else 1,
    )


def _dimension(expectation: str) -> str:
    return _DIMENSIONS.get(expectation, RuleType.VALIDITY)


def _severity(word: str) -> str:
    return SEVERITIES.get(word, word or "medium")
