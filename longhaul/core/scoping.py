"""Scoping: how risky an attribute is, whether it is tested, and where that is kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from longhaul.core.attributes import Attribute, AttributeStore
from longhaul.core.job_types import BadAnswer, Calls
from longhaul.core.ports import Transaction
from longhaul.core.versions import VersionStore

LEAST_PART, MOST_PART = 1, 15
FLAG_POINTS = 20

HIGH_ABOVE = 70
LOW_BELOW = 30

# Points for `common_errors` if more than this percentage of the rows broke a rule.
_POINTS_OF_BROKEN = ((5.0, 10), (0.5, 7), (0.0, 5))


class Recommendation(StrEnum):
    """Whether an attribute is worth testing."""

    TEST = "test"
    SKIP = "skip"


class Priority(StrEnum):
    """Which attributes are tested first."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


RECOMMENDATION_SYNONYMS: Mapping[str, Recommendation] = {
    "include": Recommendation.TEST,
    "in_scope": Recommendation.TEST,
    "must_test": Recommendation.TEST,
    "yes": Recommendation.TEST,
    "exclude": Recommendation.SKIP,
    "out_of_scope": Recommendation.SKIP,
    "do_not_test": Recommendation.SKIP,
    "decline": Recommendation.SKIP,
    "no": Recommendation.SKIP,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskScore:
    """The parts of a risk; they are stored, and the score is their sum.

    Attributes:
        regulatory_impact: 1-15, as the three after it.
        is_cde: Whether it is a critical data element: 20 points.
        has_issues: Whether it had issues before: 20 points.
    """

    regulatory_impact: int
    data_complexity: int
    common_errors: int
    downstream_dependencies: int
    is_cde: bool
    has_issues: bool

    def __post_init__(self) -> None:
        if not all(LEAST_PART <= part <= MOST_PART for part in self.parts):
            raise ValueError(f"Each part of a risk is {LEAST_PART} to {MOST_PART}.")

    @property
    def parts(self) -> tuple[int, int, int, int]:
        """The judged parts, without the flags."""
        return (
            self.regulatory_impact,
            self.data_complexity,
            self.common_errors,
            self.downstream_dependencies,
        )

    @property
    def cde_points(self) -> int:
        """What being a critical data element adds."""
        return FLAG_POINTS if self.is_cde else 0

    @property
    def historical_issue_points(self) -> int:
        """What earlier issues add."""
        return FLAG_POINTS if self.has_issues else 0

    @property
    def total(self) -> int:
        """The risk score, 1-100."""
        return sum(self.parts) + self.cde_points + self.historical_issue_points

    @property
    def priority(self) -> Priority:
        """How soon the attribute is tested."""
        if self.total > HIGH_ABOVE:
            return Priority.HIGH
        return Priority.LOW if self.total < LOW_BELOW else Priority.MEDIUM


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """What the rules of an attribute measured when they last ran.

    Attributes:
        failed_rules: Rules that failed; one that tolerates its failing rows did not.
        most_rows: The most rows that a rule has read.
        most_failed_rows: Those of the failed rule with most failing rows. A rule about the whole
            table, such as about a mean, has none.
        worst_pass_rate: 0-100, of the same rule.
    """

    rules: int
    failed_rules: int
    most_rows: int
    most_failed_rows: int
    worst_pass_rate: float

    @property
    def error_points(self) -> int:
        """The points in `common_errors` for the share of rows that broke the worst rule."""
        broken = 100 - self.worst_pass_rate
        return next((points for least, points in _POINTS_OF_BROKEN if broken > least), 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rationale:
    """Why an attribute has its risk, from four sides."""

    regulatory_usage: str
    interconnections: str
    historical_issues: str
    business_impact: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopingProposal:
    """A recommendation for one attribute, and who made it.

    Attributes:
        confidence: 0-1; how sure the recommendation is, which is not the risk.
        measures: What rules had measured when it was made; None if none had run.
    """

    recommendation: Recommendation
    score: RiskScore
    rationale: Rationale
    expected_source_documents: tuple[str, ...]
    keywords: tuple[str, ...]
    validation_hints: tuple[str, ...]
    confidence: float
    measures: Measures | None
    provider: str
    model: str
    prompt_version: str


class RationaleAnswer(BaseModel):
    """Why, from four sides."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    regulatory_usage: str = Field(min_length=1, max_length=2_000)
    interconnections: str = Field(min_length=1, max_length=2_000)
    historical_issues: str = Field(min_length=1, max_length=2_000)
    business_impact: str = Field(min_length=1, max_length=2_000)


class ScopingAnswer(BaseModel):
    """Whether to test the attribute, and the judged parts of its risk."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    recommendation: str = Field(max_length=50, description="test or skip")
    regulatory_impact: int = Field(ge=LEAST_PART, le=MOST_PART, description="1 to 15")
    data_complexity: int = Field(ge=LEAST_PART, le=MOST_PART, description="1 to 15")
    common_errors: int = Field(ge=LEAST_PART, le=MOST_PART, description="1 to 15")
    downstream_dependencies: int = Field(ge=LEAST_PART, le=MOST_PART, description="1 to 15")
    rationale: RationaleAnswer
    expected_source_documents: list[str] = Field(
        min_length=1, max_length=10, description="kinds of documents that show the true value"
    )
    keywords: list[str] = Field(
        min_length=1, max_length=20, description="words by which the value is found in them"
    )
    validation_hints: list[str] = Field(
        default_factory=list, max_length=10, description="what a tester should look at"
    )
    confidence: float = Field(
        ge=0, le=1, description="0 to 1: how sure you are of the recommendation, not the risk"
    )


def read_recommendation(word: str) -> Recommendation:
    """Read a recommendation or one of its synonyms.

    Raises:
        ValueError: The word is neither.
    """
    word = "_".join(word.lower().replace("-", " ").split())
    return RECOMMENDATION_SYNONYMS.get(word) or Recommendation(word)


def read_proposal(
    answer: ScopingAnswer,
    attribute: Attribute,
    measures: Measures | None,
    frozen: Mapping[str, str],
) -> ScopingProposal:
    """Turn an answer into a proposal; the flags come from the attribute, never from the model.

    Measurements of rules are the lower bound of `common_errors`, and an attribute with a failed
    rule is tested.

    Raises:
        BadAnswer: Everything that is wrong with it.
    """
    try:
        recommendation = read_recommendation(answer.recommendation)
    except ValueError:
        raise BadAnswer(f"recommendation must be one of {', '.join(Recommendation)}.") from None
    if recommendation is Recommendation.SKIP and measures is not None and measures.failed_rules:
        raise BadAnswer(
            f"recommendation must be {Recommendation.TEST}: {measures.failed_rules} of the "
            f"attribute's {measures.rules} rules failed when they last ran."
        )
    measured = LEAST_PART + (measures.error_points if measures is not None else 0)
    why = answer.rationale
    return ScopingProposal(
        recommendation=recommendation,
        score=RiskScore(
            regulatory_impact=answer.regulatory_impact,
            data_complexity=answer.data_complexity,
            common_errors=max(answer.common_errors, measured),
            downstream_dependencies=answer.downstream_dependencies,
            is_cde=attribute.is_cde,
            has_issues=attribute.has_issues,
        ),
        rationale=Rationale(
            regulatory_usage=_clean(why.regulatory_usage),
            interconnections=_clean(why.interconnections),
            historical_issues=_clean(why.historical_issues),
            business_impact=_clean(why.business_impact),
        ),
        expected_source_documents=_texts(answer.expected_source_documents),
        keywords=_texts(answer.keywords),
        validation_hints=_texts(answer.validation_hints),
        confidence=answer.confidence,
        measures=measures,
        provider=frozen["provider"],
        model=frozen["model"],
        prompt_version=frozen["prompt_version"],
    )


class Scorer(Protocol):
    """Judges the risk of one attribute."""

    async def propose(
        self,
        attribute: Attribute,
        siblings: Sequence[str],
        measures: Measures | None,
        frozen: Mapping[str, str],
        calls: Calls,
    ) -> ScopingProposal:
        """Recommend whether to test an attribute.

        Args:
            siblings: Names of the report's other attributes.
            measures: What rules have measured; None if none has run.
            frozen: The job's provider, model and prompt version.

        Raises:
            ItemFailed: No usable answer can be had.
        """


class RecommendationStanding(StrEnum):
    """What a version already recommends for an attribute."""

    NONE = "none"
    PROPOSED = "proposed"
    DECIDED = "decided"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRecommendation:
    """What one item stores."""

    attribute_id: int
    ordinal: int
    proposal: ScopingProposal


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopingTotals:
    """What a job has stored so far."""

    test: int
    skip: int


class ScopingStore(AttributeStore, VersionStore, Protocol):
    """Attributes, scoping versions, recommendations, and what rules have measured."""

    async def standing(
        self, tx: Transaction, version_id: str, attribute_id: int
    ) -> RecommendationStanding:
        """What a version already recommends for an attribute."""

    async def measures(self, tx: Transaction, attribute_id: int) -> Measures | None:
        """What the rules of an attribute measured when they last ran; None if none has run."""

    async def hold_decided(
        self, tx: Transaction, version_id: str, attribute_ids: Sequence[int]
    ) -> set[int]:
        """Keep recommendations as they are until the transaction ends; names the decided."""

    async def replace(
        self,
        tx: Transaction,
        version_id: str,
        job_id: str,
        recommendations: Sequence[NewRecommendation],
    ) -> None:
        """Replace the recommendations that nobody has decided on."""

    async def totals(self, tx: Transaction, version_id: str, job_id: str) -> ScopingTotals:
        """Count what a job has stored."""


def _texts(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, map(_clean, texts))))


def _clean(text: str) -> str:
    return text.replace("\0", "").strip()  # PostgreSQL stores no NUL
