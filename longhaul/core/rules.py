"""Rules as data: the question to a model, reading its answer, and the store."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from longhaul.core.attributes import Attribute, AttributeStore
from longhaul.core.expectations import (
    LENGTHS,
    MATCH_REGEX,
    MATCH_STRFTIME,
    NOT_MATCH_REGEX,
    OF_TYPE,
    BadExpectation,
    check_expectation,
    kwargs_hash,
)
from longhaul.core.job_types import BadAnswer, Calls
from longhaul.core.ports import Transaction
from longhaul.core.versions import ReportVersion, VersionStore
from longhaul.core.versions import VersionStatus as _VersionStatus

RuleVersion = ReportVersion
VersionStatus = _VersionStatus

FEWEST_RULES = 3
MOST_RULES = 5


class RuleType(StrEnum):
    """The dimension of data quality that a rule measures."""

    COMPLETENESS = "completeness"
    VALIDITY = "validity"
    ACCURACY = "accuracy"
    CONSISTENCY = "consistency"
    UNIQUENESS = "uniqueness"
    FORMAT = "format"


class Severity(StrEnum):
    """How bad it is when a rule fails."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


RULE_TYPE_SYNONYMS: Mapping[str, RuleType] = {
    "referential": RuleType.CONSISTENCY,
    "relationship": RuleType.CONSISTENCY,
    "business": RuleType.ACCURACY,
    "business_logic": RuleType.ACCURACY,
    "regulatory": RuleType.ACCURACY,
}

# Validity, unless the expectation looks at how a value is written.
FORMAT_OR_VALIDITY = frozenset({"format", "range", "pattern"})
FORMAT_EXPECTATIONS = frozenset({LENGTHS, MATCH_REGEX, MATCH_STRFTIME, NOT_MATCH_REGEX, OF_TYPE})

SEVERITY_SYNONYMS: Mapping[str, Severity] = {
    "warning": Severity.LOW,
    "minor": Severity.LOW,
    "info": Severity.LOW,
    "informational": Severity.LOW,
    "major": Severity.HIGH,
    "error": Severity.HIGH,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleDraft:
    """A rule that somebody proposes; people decide on it.

    Attributes:
        confidence: 0-1.
        execution_order: 1 is evaluated first.
    """

    expectation: str
    kwargs: Mapping[str, Any]
    name: str
    description: str
    rule_type: RuleType
    severity: Severity
    execution_order: int
    rationale: str
    regulatory_reference: str
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleProposal:
    """The rules proposed for one attribute, and who proposed them."""

    drafts: tuple[RuleDraft, ...]
    provider: str
    model: str
    prompt_version: str


class ProposedRule(BaseModel):
    """One data-quality rule for the attribute."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    type: str = Field(max_length=100, description="the expectation's name, from the vocabulary")
    kwargs: dict[str, Any] = Field(description="the expectation's arguments, as a JSON object")
    name: str = Field(min_length=1, max_length=200, description="a short title")
    description: str = Field(max_length=1_000, description="what the rule checks, in a sentence")
    rule_type: str = Field(
        max_length=50,
        description="completeness, validity, accuracy, consistency, uniqueness or format",
    )
    severity: str = Field(max_length=50, description="low, medium, high or critical")
    rationale: str = Field(
        min_length=1, max_length=2_000, description="why the rule holds for this attribute"
    )
    regulatory_reference: str = Field(
        "", max_length=500, description="the instruction or line of the form it follows from"
    )
    confidence: float = Field(ge=0, le=1, description="0 to 1: how sure you are")


class RuleAnswer(BaseModel):
    """Three to five rules, in the order in which they should be evaluated."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    rules: list[ProposedRule] = Field(min_length=FEWEST_RULES, max_length=MOST_RULES)


def read_rule_type(word: str, expectation: str) -> RuleType:
    """Read a rule type or one of its synonyms.

    Raises:
        ValueError: The word is neither.
    """
    word = _normal(word)
    if word in FORMAT_OR_VALIDITY:
        return RuleType.FORMAT if expectation in FORMAT_EXPECTATIONS else RuleType.VALIDITY
    return RULE_TYPE_SYNONYMS.get(word) or RuleType(word)


def read_severity(word: str) -> Severity:
    """Read a severity or one of its synonyms.

    Raises:
        ValueError: The word is neither.
    """
    word = _normal(word)
    return SEVERITY_SYNONYMS.get(word) or Severity(word)


def read_rules(
    answer: RuleAnswer, attribute: Attribute, siblings: Sequence[str]
) -> list[RuleDraft]:
    """Turn an answer into drafts that fit the attribute.

    Raises:
        BadAnswer: Everything that is wrong with it, rule by rule.
    """
    drafts: list[RuleDraft] = []
    complaints: list[str] = []
    seen: dict[tuple[str, str], int] = {}
    for number, rule in enumerate(answer.rules, start=1):
        kwargs = _given(rule)
        wrong = list(_complaints(rule, kwargs, attribute, siblings))
        if not wrong:
            twin = seen.setdefault((rule.type, kwargs_hash(kwargs)), number)
            if twin != number:
                wrong.append(f"It says the same as rule {twin}.")
        if wrong:
            complaints += [f"Rule {number}: {sentence}" for sentence in wrong]
        else:
            drafts.append(_draft(rule, kwargs, number, attribute))
    if complaints:
        raise BadAnswer("\n".join(complaints))
    return drafts


def read_rule(
    rule: ProposedRule, order: int, attribute: Attribute, siblings: Sequence[str]
) -> RuleDraft:
    """Turn one rule into a draft that fits the attribute.

    Raises:
        BadAnswer: Everything that is wrong with it.
    """
    kwargs = _given(rule)
    wrong = list(_complaints(rule, kwargs, attribute, siblings))
    if wrong:
        raise BadAnswer(" ".join(wrong))
    return _draft(rule, kwargs, order, attribute)


class RuleWriter(Protocol):
    """Proposes rules for one attribute."""

    async def propose(
        self,
        attribute: Attribute,
        siblings: Sequence[str],
        frozen: Mapping[str, Any],
        calls: Calls,
    ) -> RuleProposal:
        """Propose three to five rules that fit the attribute.

        Args:
            siblings: Names of the report's other attributes.
            frozen: The job's provider, model and prompt version.

        Raises:
            ItemFailed: No usable rules can be had.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRules:
    """What one item stores."""

    attribute_id: int
    ordinal: int
    proposal: RuleProposal


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleTotals:
    """What a job has stored so far.

    Attributes:
        attributes_without_rules: Names of attributes of the job that have none in the version.
    """

    rules: int
    by_type: Mapping[str, int]
    by_severity: Mapping[str, int]
    attributes_without_rules: tuple[str, ...]


class RuleStore(AttributeStore, VersionStore, Protocol):
    """Attributes, rule versions and rules."""

    async def has_rules(self, tx: Transaction, version_id: str, attribute_id: int) -> bool:
        """Whether the attribute has rules in the version."""

    async def replace(
        self, tx: Transaction, version_id: str, job_id: str, rules: Sequence[NewRules]
    ) -> None:
        """Replace the rules that nobody has decided on."""

    async def totals(self, tx: Transaction, version_id: str, job_id: str) -> RuleTotals:
        """Add up what a job has stored."""


def _normal(word: str) -> str:
    return "_".join(word.lower().replace("-", " ").split())


def _given(rule: ProposedRule) -> Mapping[str, Any]:
    # Models fill the fields that they do not need with null.
    return {name: value for name, value in rule.kwargs.items() if value is not None}


def _complaints(
    rule: ProposedRule, kwargs: Mapping[str, Any], attribute: Attribute, siblings: Sequence[str]
) -> Iterable[str]:
    try:
        check_expectation(rule.type, kwargs, attribute, siblings)
    except BadExpectation as exc:
        yield str(exc)
    try:
        read_rule_type(rule.rule_type, rule.type)
    except ValueError:
        yield f"rule_type must be one of {', '.join(RuleType)}."
    try:
        read_severity(rule.severity)
    except ValueError:
        yield f"severity must be one of {', '.join(Severity)}."


def _draft(
    rule: ProposedRule, kwargs: Mapping[str, Any], number: int, attribute: Attribute
) -> RuleDraft:
    return RuleDraft(
        expectation=rule.type,
        kwargs=kwargs,
        name=_clean(rule.name),
        description=_clean(rule.description),
        rule_type=read_rule_type(rule.rule_type, rule.type),
        severity=read_severity(rule.severity),
        execution_order=number,
        rationale=_clean(rule.rationale),
        regulatory_reference=_clean(rule.regulatory_reference) or attribute.reference,
        confidence=rule.confidence,
    )


def _clean(text: str) -> str:
    return text.replace("\0", "").strip()  # PostgreSQL stores no NUL
