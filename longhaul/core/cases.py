"""Test cases: one attribute of one sampled row, its evidence, and what was found in it.

Nothing here decides a test: every execution waits for a person.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from longhaul.core.attributes import Attribute
from longhaul.core.comparison import Comparison
from longhaul.core.extraction import Extraction
from longhaul.core.jobs import Job
from longhaul.core.ports import Transaction
from longhaul.core.sources import DataSource

# Of evidence with more rows than this nobody says that they agree.
MOST_ROWS = 10


class EvidenceKind(StrEnum):
    """Where a piece of evidence says the value."""

    DOCUMENT = "document"
    QUERY = "query"
    SOURCE = "source"


class ExecutionReason(StrEnum):
    """Why test cases are executed."""

    INITIAL = "initial"
    RETRY = "retry"
    EVIDENCE_UPDATED = "evidence_updated"
    MANUAL_RERUN = "manual_rerun"


class ExecutionOutcome(StrEnum):
    """How what was found stands to what was expected; no verdict on the test.

    `unchanged` is no match: the row that the sample was drawn from still says what it said then,
    and nobody else has been asked.
    """

    MATCH = "match"
    MISMATCH = "mismatch"
    UNCHANGED = "unchanged"
    NOT_FOUND = "not_found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One piece of evidence of a test case.

    Attributes:
        content_hash: Of a document, in the blob store.
        query: Read-only SQL with named parameters, such as `%(loan)s`; those that are called like
            a key of the record, such as `%(Loan Number)s`, have its value.
        table: Of the row in the source that the sample was drawn from.
        keys: Names that row: values by physical column.
    """

    id: int
    kind: EvidenceKind
    content_hash: str = ""
    content_type: str = ""
    source: DataSource | None = None
    query: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    table: str = ""
    column: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A test case as it is executed.

    Attributes:
        keys: What names the record: values by the names of the key attributes; None where it
            has none.
        identifying: The names of those keys that tell it from most others; looked up where the
            evidence is a document.
        evidence: What people gave, newest first; else the row in the source. None without any.
        executions: How often it has been executed.
        last_evidence_id: What the latest execution looked at.
    """

    id: int
    attribute: Attribute
    expected: str | None
    keys: Mapping[str, str | None]
    evidence: Evidence | None
    identifying: frozenset[str] = frozenset()
    executions: int = 0
    last_evidence_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What one item stores."""

    case_id: int
    ordinal: int
    evidence_id: int
    reason: ExecutionReason
    outcome: ExecutionOutcome
    extraction: Extraction
    comparison: Comparison
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedCase:
    """What it takes to list a test case.

    Attributes:
        sample: The sample's number within its set, from 1.
    """

    id: int
    attribute: str
    sample: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseReport:
    """Whose test cases they are."""

    cycle_id: int
    report_id: int
    phase_id: int
    report_name: str
    lob: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDocument:
    """A document that is in the blob store already."""

    content_hash: str
    content_type: str
    file_name: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewQuery:
    """A query that is to be evidence.

    Attributes:
        parameters: The same for all cases; they count more than the keys of the record.
    """

    data_source_id: int
    query: str
    parameters: Mapping[str, Any]


class CaseStore(Protocol):
    """Test cases, their evidence and executions; every method works in the caller's transaction."""

    async def make_cases(self, tx: Transaction, sample_set_id: str) -> int:
        """Make the test cases of an approved sample set, and say how many are new.

        One for each approved sample and each attribute in its row, with the row in the source
        as its evidence. Doing it again makes only what is missing.

        Raises:
            InvalidInput: There is no such set, or it is not approved.
        """

    async def report(self, tx: Transaction, cycle_id: int, report_id: int) -> CaseReport | None:
        """A report in a cycle; None when the cycle does not hold it."""

    async def make_cases_of_report(self, tx: Transaction, cycle_id: int, report_id: int) -> None:
        """Make what is missing of the test cases of the report's approved sample set."""

    async def reports_of(
        self, tx: Transaction, case_ids: Sequence[int]
    ) -> Mapping[int, CaseReport]:
        """Whose test cases some ids are; ids that are none are left out."""

    async def page(
        self,
        tx: Transaction,
        cycle_id: int,
        report_id: int,
        case_ids: Sequence[int] | None,
        after: int,
    ) -> Sequence[ListedCase]:
        """The next active test cases behind an id, all or the named; empty at the end."""

    async def case(self, tx: Transaction, case_id: int) -> Case | None:
        """Read an active test case with its evidence."""

    async def hold(self, tx: Transaction, case_ids: Sequence[int]) -> None:
        """Keep others from executing these cases until the transaction ends."""

    async def record(self, tx: Transaction, job: Job, executions: Sequence[Execution]) -> None:
        """Store executions of cases that are held: numbered, the latest, each with its audit."""

    async def totals(self, tx: Transaction, job_id: str) -> Mapping[ExecutionOutcome, int]:
        """Count what a job has stored by outcome."""

    async def add_document(
        self, tx: Transaction, case_ids: Sequence[int], document: NewDocument, by: str
    ) -> Sequence[int]:
        """Make a document evidence of some cases, and return the ids of the evidence."""

    async def add_query(
        self, tx: Transaction, case_ids: Sequence[int], query: NewQuery, by: str
    ) -> Sequence[int]:
        """Make a query evidence of some cases, and return the ids of the evidence.

        Raises:
            InvalidInput: The data source is not one of the cases' report.
        """


class EvidenceSources(Protocol):
    """Looks up evidence in data sources; never writes to them.

    Every method raises:
        ItemFailed: The source cannot be read, or refuses the query; the code says why.
        Unavailable: The source lies in our own database, which did not answer.
    """

    async def query(
        self, source: DataSource, query: str, parameters: Mapping[str, Any]
    ) -> Sequence[Mapping[str, str | None]]:
        """The rows of a query, every value as a text; beyond `MOST_ROWS` one more."""

    async def rows(
        self, source: DataSource, table: str, column: str, keys: Mapping[str, str]
    ) -> Sequence[str | None]:
        """The values of a column in the rows with these keys, as texts.

        Of more than `MOST_ROWS` rows there is one more value.
        """


def outcome_of(
    kind: EvidenceKind, extraction: Extraction, comparison: Comparison, was_there: bool
) -> ExecutionOutcome:
    """Name the outcome of an execution.

    Args:
        was_there: Whether the evidence speaks of the record at all: a missing value that was
            seen to be missing is something found.
    """
    if extraction.value is None and not was_there:
        return ExecutionOutcome.NOT_FOUND
    if not comparison.equal:
        return ExecutionOutcome.MISMATCH
    is_itself = kind is EvidenceKind.SOURCE
    return ExecutionOutcome.UNCHANGED if is_itself else ExecutionOutcome.MATCH
