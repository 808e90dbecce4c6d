"""Mappings: which physical column feeds an attribute, how it is found, and where it is kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from longhaul.core.attributes import Attribute, AttributeStore
from longhaul.core.job_types import BadAnswer, Calls
from longhaul.core.ports import Transaction
from longhaul.core.sources import DataSource

# Below this confidence a mapping is not stored: a person maps the attribute.
STORED_FROM = 0.5

# From this confidence on a mapping is approved until a person rejects it.
AUTO_APPROVED_FROM = 0.85

MOST_ALTERNATIVES = 5


class MappingType(StrEnum):
    """How a column becomes the value that is reported."""

    DIRECT = "direct"
    CALCULATED = "calculated"
    LOOKUP = "lookup"
    CONDITIONAL = "conditional"


class SecurityClass(StrEnum):
    """Who may see the values. HRCI is highly restricted confidential information."""

    HRCI = "HRCI"
    CONFIDENTIAL = "Confidential"
    PROPRIETARY = "Proprietary"
    PUBLIC = "Public"


class Level(StrEnum):
    """How critical or how risky."""

    HIGH = "High"
    MEDIUM = "Medium"
    LOW = "Low"


MAPPING_TYPE_SYNONYMS: Mapping[str, MappingType] = {
    "one_to_one": MappingType.DIRECT,
    "1_1": MappingType.DIRECT,
    "straight": MappingType.DIRECT,
    "copy": MappingType.DIRECT,
    "derived": MappingType.CALCULATED,
    "computed": MappingType.CALCULATED,
    "calculation": MappingType.CALCULATED,
    "formula": MappingType.CALCULATED,
    "reference": MappingType.LOOKUP,
    "join": MappingType.LOOKUP,
    "code_translation": MappingType.LOOKUP,
    "case": MappingType.CONDITIONAL,
    "rule_based": MappingType.CONDITIONAL,
}

SECURITY_SYNONYMS: Mapping[str, SecurityClass] = {
    "highly_restricted": SecurityClass.HRCI,
    "highly_restricted_confidential_information": SecurityClass.HRCI,
    "highly_confidential": SecurityClass.HRCI,
    "restricted": SecurityClass.HRCI,
    "secret": SecurityClass.HRCI,
    "sensitive": SecurityClass.CONFIDENTIAL,
    "private": SecurityClass.CONFIDENTIAL,
    "internal": SecurityClass.PROPRIETARY,
    "internal_use": SecurityClass.PROPRIETARY,
    "internal_use_only": SecurityClass.PROPRIETARY,
    "unrestricted": SecurityClass.PUBLIC,
    "open": SecurityClass.PUBLIC,
}

LEVEL_SYNONYMS: Mapping[str, Level] = {
    "critical": Level.HIGH,
    "very_high": Level.HIGH,
    "severe": Level.HIGH,
    "major": Level.HIGH,
    "moderate": Level.MEDIUM,
    "med": Level.MEDIUM,
    "normal": Level.MEDIUM,
    "minor": Level.LOW,
    "very_low": Level.LOW,
    "negligible": Level.LOW,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PhysicalColumn:
    """One column of one table of one data source.

    Attributes:
        type: As the source names it; may be empty.
    """

    source_id: int
    source: str
    table: str
    name: str
    type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A column that may feed an attribute, by its name and type alone.

    Attributes:
        score: 0-1, how well the names agree.
        rivals: Other attributes of the report that fit the column about as well.
    """

    column: PhysicalColumn
    score: float
    rivals: tuple[str, ...] = ()


class ColumnIndex(Protocol):
    """The columns of a report's sources, indexed for search."""

    @property
    def columns(self) -> int:
        """How many there are."""

    def shortlist(self, attribute: Attribute) -> tuple[Candidate, ...]:
        """The columns that may feed an attribute, the likeliest first; blocks for a moment."""

    def find(self, source: str | None, table: str | None, column: str) -> PhysicalColumn | None:
        """The one column of these names; None when there is none, or more than one."""


class ColumnFinder(Protocol):
    """Indexes columns for search."""

    def index(self, columns: Sequence[PhysicalColumn], attributes: Sequence[str]) -> ColumnIndex:
        """Index columns for a report whose attributes have these names; blocks for a moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """What an attribute's data mean for the bank."""

    business_process: str
    security: SecurityClass
    criticality: Level
    risk: Level
    regulatory: bool
    pii: bool
    references: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingProposal:
    """A proposed mapping, and who proposed it.

    Attributes:
        column: None when no column is good enough.
        confidence: 0-1; of the column, not of the classification.
        alternatives: Other columns that were considered, the likeliest first.
    """

    column: PhysicalColumn | None
    mapping_type: MappingType
    confidence: float
    alternatives: tuple[Candidate, ...]
    classification: Classification
    rationale: str
    provider: str
    model: str
    prompt_version: str

    @property
    def is_stored(self) -> bool:
        """Whether its confidence is high enough to store it; else a person maps the attribute."""
        return self.column is not None and self.confidence >= STORED_FROM

    @property
    def is_auto_approved(self) -> bool:
        """Whether its confidence is high enough to approve it until a person rejects it."""
        return self.is_stored and self.confidence >= AUTO_APPROVED_FROM


class MappingAnswer(BaseModel):
    """The column that feeds the attribute, and what its data mean."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    data_source: str | None = Field(None, max_length=200, description="of the chosen candidate")
    table: str | None = Field(None, max_length=200, description="of the chosen candidate")
    column: str | None = Field(
        None, max_length=200, description="of the chosen candidate; null when none fits"
    )
    mapping_type: str = Field(
        max_length=50, description="direct, calculated, lookup or conditional"
    )
    confidence: float = Field(ge=0, le=1, description="0 to 1: how sure you are of the column")
    alternatives: list[str] = Field(
        default_factory=list,
        max_length=20,
        description="other candidates that may be right, likeliest first, as table.column",
    )
    business_process: str = Field(max_length=200, description="the process that makes the data")
    information_security_classification: str = Field(
        max_length=80, description="HRCI, Confidential, Proprietary or Public"
    )
    criticality: str = Field(max_length=50, description="High, Medium or Low")
    risk: str = Field(max_length=50, description="High, Medium or Low")
    regulatory_flag: bool = Field(description="whether a regulator looks at the values")
    pii_flag: bool = Field(description="whether the values tell who a person is")
    references: list[str] = Field(
        default_factory=list, max_length=10, description="lines or instructions of the form"
    )
    rationale: str = Field(min_length=1, max_length=2_000, description="why this column, or none")


def read_mapping_type(word: str) -> MappingType:
    """Read a mapping type or one of its synonyms.

    Raises:
        ValueError: The word is neither.
    """
    word = _normal(word)
    return MAPPING_TYPE_SYNONYMS.get(word) or MappingType(word)


def read_security(word: str) -> SecurityClass:
    """Read an information security classification or one of its synonyms.

    Raises:
        ValueError: The word is neither.
    """
    word = _normal(word)
    known = {_normal(one): one for one in SecurityClass}
    found = SECURITY_SYNONYMS.get(word) or known.get(word)
    return found or SecurityClass(word)


def read_level(word: str) -> Level:
    """Read a level or one of its synonyms.

    Raises:
        ValueError: The word is neither.
    """
    word = _normal(word)
    return LEVEL_SYNONYMS.get(word) or Level(word.capitalize())


def read_classification(answer: MappingAnswer, attribute: Attribute) -> Classification:
    """Read what an answer says about the data.

    Raises:
        BadAnswer: A word is outside its vocabulary.
    """
    try:
        return Classification(
            business_process=_clean(answer.business_process),
            security=read_security(answer.information_security_classification),
            criticality=read_level(answer.criticality),
            risk=read_level(answer.risk),
            regulatory=answer.regulatory_flag,
            pii=answer.pii_flag,
            references=tuple(filter(None, map(_clean, answer.references)))
            or (attribute.reference,),
        )
    except ValueError:
        raise BadAnswer("\n".join(complaints(answer))) from None


def complaints(answer: MappingAnswer) -> list[str]:
    """The fields of an answer that are outside their vocabularies, without their values."""
    found = []
    for name, read, known in (
        ("mapping_type", read_mapping_type, MappingType),
        ("information_security_classification", read_security, SecurityClass),
        ("criticality", read_level, Level),
        ("risk", read_level, Level),
    ):
        try:
            read(getattr(answer, name))
        except ValueError:
            found.append(f"{name} must be one of {', '.join(known)}.")
    return found


class Mapper(Protocol):
    """Proposes the column that feeds one attribute."""

    async def propose(
        self,
        attribute: Attribute,
        shortlist: Sequence[Candidate],
        columns: ColumnIndex,
        frozen: Mapping[str, object],
        calls: Calls,
    ) -> MappingProposal:
        """Propose a column, or none.

        Args:
            shortlist: The columns that may feed it, the likeliest first.
            columns: All columns, to see whether one exists.
            frozen: The job's provider, model and prompt version.

        Raises:
            ItemFailed: No usable answer can be had.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedReport:
    """A report in a cycle whose attributes are mapped.

    Attributes:
        phase_id: The phase that holds its attributes.
    """

    cycle_id: int
    report_id: int
    phase_id: int
    report_name: str
    lob: str


class Standing(StrEnum):
    """The mapping that an attribute has already."""

    NONE = "none"
    PROPOSED = "proposed"
    DECIDED = "decided"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMapping:
    """What one item stores: a proposal, perhaps for no mapping."""

    attribute_id: int
    ordinal: int
    proposal: MappingProposal


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingTotals:
    """What a job has stored so far.

    Attributes:
        manual: Attributes that a person has to map.
    """

    mapped: int
    manual: int


class MappingStore(AttributeStore, Protocol):
    """Attributes and the columns that feed them."""

    async def report_of_phase(self, tx: Transaction, phase_id: int) -> MappedReport | None:
        """The report that a phase belongs to."""

    async def report(self, tx: Transaction, cycle_id: int, report_id: int) -> MappedReport | None:
        """A report in a cycle; None when it is not in the cycle or has no attributes."""

    async def sources(self, tx: Transaction, report_id: int) -> Mapping[int, DataSource]:
        """The data sources of a report by their ids."""

    async def standing(self, tx: Transaction, attribute_id: int) -> Standing:
        """The mapping that an attribute has already."""

    async def hold(self, tx: Transaction, attribute_ids: Sequence[int]) -> set[int]:
        """Keep mappings as they are until the transaction ends; names the decided ones."""

    async def replace(self, tx: Transaction, job_id: str, mappings: Sequence[NewMapping]) -> None:
        """Replace the mappings that nobody has decided on."""

    async def totals(self, tx: Transaction, job_id: str) -> MappingTotals:
        """What a job has stored so far."""


def _normal(word: str) -> str:
    return "_".join(word.lower().replace("-", " ").replace(":", " ").split())


def _clean(text: str) -> str:
    return text.replace("\0", "").strip()  # PostgreSQL stores no NUL
