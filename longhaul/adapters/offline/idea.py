"""An idea: a rule that the offline analyst could propose, with its weight."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from longhaul.core.attributes import Attribute
from longhaul.core.expectations import NOT_IN_SET, ROW_COUNT
from longhaul.core.formats import DataType
from longhaul.core.rules import RuleType, Severity

NUMBERS = (DataType.INTEGER, DataType.DECIMAL)
TIMES = (DataType.DATE, DataType.DATE_TIME)

# Below this weight an idea only fills up what would otherwise be too few rules, and below
# the second one only where nothing else is left.
STRONG, FILLING = 50, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Idea:
    """A rule that could be proposed.

    Attributes:
        weight: The ideas of the greatest weight are proposed.
    """

    expectation: str
    kwargs: Mapping[str, Any]
    name: str
    description: str
    rule_type: RuleType
    severity: Severity
    rationale: str
    confidence: float
    weight: int


def rows(*, weight: int) -> Idea:
    """That there are rows to judge."""
    return Idea(
        expectation=ROW_COUNT,
        kwargs={"min_value": 1},
        name="The table has rows",
        description="At least one record was loaded.",
        rule_type=RuleType.COMPLETENESS,
        severity=Severity.HIGH,
        rationale="Over an empty table every other rule holds; a load that failed must show.",
        confidence=0.9,
        weight=weight,
    )


def placeholders(attribute: Attribute, values: Sequence[Any]) -> Idea:
    """That a value is not a placeholder for a missing one."""
    return Idea(
        expectation=NOT_IN_SET,
        kwargs={"column": attribute.name, "value_set": list(values)},
        name=f"{attribute.name} is not a placeholder",
        description=f"{attribute.name} is not one of {', '.join(map(str, values))}.",
        rule_type=RuleType.VALIDITY,
        severity=Severity.LOW,
        rationale="Source systems write such values where they know nothing, and they pass for "
        "a value that was reported.",
        confidence=0.7,
        weight=45,
    )


def ends(low: float | None, high: float | None) -> dict[str, float]:
    """The kwargs of a range that may be open at an end."""
    ends = {"min_value": low, "max_value": high}
    return {name: end for name, end in ends.items() if end is not None}


def in_words(low: float | None, high: float | None) -> str:
    """A range for people."""
    if high is None:
        return f"at least {low:,}"
    return f"{low:,} to {high:,}"
