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

# Evidence with more rows than this is not compared.
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
    """How the found value compares with the expected one; not a verdict on the test.

    `unchanged` is not a match: the row that the sample was drawn from has not changed, and there
    is no other evidence.
    """

    MATCH = "match"
    MISMATCH = "mismatch"
    UNCHANGED = "unchanged"
    NOT_FOUND = "not_found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One piece of evidence of a test case.

    Attributes:
        content_hash: The document's key in the blob store.
        query: Read-only SQL with named parameters, such as `%(loan)s`; one that is named
            like a key of the record, such as `%(Loan Number)s`, has its value.
        table: The table of the source row that the sample was drawn from.
        keys: Identify that row: values by physical column.
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
        keys: Identify the record: values by the names of the key attributes; None if a value is
            missing.
        identifying: The names of the keys that tell it from most others; only looked up if the
            evidence is a document.
        evidence: The newest that people attached; else the row in the source. None without any.
        executions: How often it has been executed.
        last_evidence_id: The evidence of the latest execution.
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
    """What is needed to list a test case.

    Attributes:
        sample: The sample's number within its set, from 1.
    """

    id: int
    attribute: str
    sample: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseReport:
    """The report that test cases belong to."""

    cycle_id: int
    report_id: int
    phase_id: int
    report_name: str
    lob: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDocument:
    """A document that is already in the blob store."""

    content_hash: str
    content_type: str
    file_name: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewQuery:
    """A query to attach as evidence.

    Attributes:
        parameters: The same for all cases; they override the keys of the record.
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
        """A report in a cycle; None when it is not in the cycle."""

    async def make_cases_of_report(self, tx: Transaction, cycle_id: int, report_id: int) -> None:
        """Make the missing test cases of the report's approved sample set."""

    async def reports_of(
        self, tx: Transaction, case_ids: Sequence[int]
    ) -> Mapping[int, CaseReport]:
        """The reports that test cases belong to; ids of no test case are left out."""

    async def page(
        self,
        tx: Transaction,
        cycle_id: int,
        report_id: int,
        case_ids: Sequence[int] | None,
        after: int,
    ) -> Sequence[ListedCase]:
        """The next active test cases after an id, of all or of the named ones; empty at the end."""

    async def case(self, tx: Transaction, case_id: int) -> Case | None:
        """Read an active test case with its evidence."""

    async def hold(self, tx: Transaction, case_ids: Sequence[int]) -> None:
        """Keep others from executing these cases until the transaction ends."""

    async def record(self, tx: Transaction, job: Job, executions: Sequence[Execution]) -> None:
        """Store executions of held cases as their latest, numbered, each with its audit."""

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
        Unavailable: The source is in our own database, which did not answer.
    """

    async def query(
        self, source: DataSource, query: str, parameters: Mapping[str, Any]
    ) -> Sequence[Mapping[str, str | None]]:
        """The rows of a query, every value as a text; at most `MOST_ROWS` and one more."""

    async def rows(
        self, source: DataSource, table: str, column: str, keys: Mapping[str, str]
    ) -> Sequence[str | None]:
        """The values of a column in the rows with these keys, as texts.

        At most `MOST_ROWS` and one more.
        """


def outcome_of(
    kind: EvidenceKind, extraction: Extraction, comparison: Comparison, was_there: bool
) -> ExecutionOutcome:
    """Name the outcome of an execution.

    Args:
        was_there: Whether the evidence has the record: a value that is missing there is a
            finding.
    """
    if extraction.value is None and not was_there:
        return ExecutionOutcome.NOT_FOUND
    if not comparison.equal:
        return ExecutionOutcome.MISMATCH
    is_itself = kind is EvidenceKind.SOURCE
    return ExecutionOutcome.UNCHANGED if is_itself else ExecutionOutcome.MATCH
