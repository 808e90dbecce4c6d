"""Rule execution: rules for a table, and their results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from longhaul.core.formats import DataType
from longhaul.core.ports import Transaction
from longhaul.core.sources import DataSource

# How many failing rows of a rule are kept, and how many characters of a value.
MOST_EXAMPLES = 20
LONGEST_VALUE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRule:
    """A rule to be evaluated on one table.

    Attributes:
        columns: The physical column of each attribute that the kwargs name; an attribute
            that is not listed is a column itself.
        types: The attributes' types, if known; a source that keeps everything as text has
            none.
        written: How an attribute's times are written, such as `%Y%m%d`; other texts are
            not times then.
    """

    id: str
    expectation: str
    kwargs: Mapping[str, Any]
    columns: Mapping[str, str] = field(default_factory=dict)
    types: Mapping[str, DataType] = field(default_factory=dict)
    written: Mapping[str, str] = field(default_factory=dict)

    @property
    def mostly(self) -> float:
        """The share of the considered rows that must pass."""
        return float(self.kwargs.get("mostly", 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleOf:
    """Judge only some rows of a table: at most a number, or about a percentage."""

    size: int | None = None
    percentage: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The result of a rule on a table.

    Attributes:
        total: Rows in the rule's scope: all, or those that `row_condition` selects.
        considered: Those of them that the rule judges; Great Expectations leaves out
            missing values. A rule about the table as a whole considers one thing.
        success: Whether no more rows fail than `mostly` allows.
        examples: Some of the failing rows: `{"key": {…}, "values": {…}}`, by physical
            column, values as text and cut.
        observed: What a rule about the whole table measured.
    """

    total: int
    considered: int
    failed: int
    success: bool
    examples: Sequence[Mapping[str, Any]] = ()
    observed: float | None = None

    @property
    def passed(self) -> int:
        """The considered rows that pass."""
        return self.considered - self.failed

    @property
    def pass_rate(self) -> float:
        """0-100; a rule that had nothing to judge passes."""
        return 100 * self.passed / self.considered if self.considered else 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why a rule could not be judged."""

    code: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The result of one rule: a verdict or a fault.

    Attributes:
        duration_ms: Its share of the scans that it took part in.
    """

    rule_id: str
    outcome: Verdict | Fault
    duration_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TableVerdicts:
    """The results of all rules of one table.

    Attributes:
        table: The table's name within its source.
        rows: Rows of the table that were read.
    """

    table: str
    rows: int
    judged: Sequence[Judged]


class RuleEvaluator(Protocol):
    """Judges rules over the rows of a source."""

    async def evaluate(
        self,
        source: DataSource,
        table: str | None,
        rules: Sequence[TableRule],
        *,
        key: Sequence[str] = (),
        sample: SampleOf | None = None,
        examples: int = MOST_EXAMPLES,
    ) -> TableVerdicts:
        """Judge all rules of one table in as few scans as possible, over one snapshot.

        Args:
            table: As the source names it; None when the source has only one.
            key: The physical columns that identify a row for people; the primary key when empty.

        Raises:
            ItemFailed: The table cannot be read.
            Unavailable: The source is in our own database, which did not answer.
        """


def columns_of(kwargs: Mapping[str, Any]) -> list[str]:
    """The attributes that a rule names, its own first."""
    about = [kwargs[name] for name in ("column", "column_A", "column_B") if name in kwargs]
    return [*about, *kwargs.get("column_list", ()), *_of_condition(kwargs.get("row_condition"))]


def _of_condition(condition: Mapping[str, Any] | None) -> list[str]:
    match condition:
        case {"conditions": parts}:
            return [name for part in parts for name in _of_condition(part)]
        case {"column": {"name": name}}:
            return [name]
    return []


def is_success(considered: int, failed: int, mostly: float) -> bool:
    """Whether enough of the considered rows pass; true if none was considered."""
    return considered == 0 or (considered - failed) / considered >= mostly


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovedRule:
    """What is needed to list a rule and to continue after it."""

    id: str
    name: str
    line_no: int
    execution_order: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The rules of a job for one table.

    Attributes:
        table: As the mapping names it; None when the source has only one.
        key: The physical columns that identify a row.
    """

    source: DataSource
    table: str | None
    key: Sequence[str]
    rules: Sequence[TableRule]


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """The tables of the open rules of a job, and the rules that have none."""

    targets: Sequence[Target]
    faults: Mapping[str, Fault]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRuleResult:
    """What one item stores.

    Attributes:
        table_rows: Rows of the table that were read.
    """

    rule_id: str
    ordinal: int
    data_source_id: int | None
    table: str
    table_rows: int
    verdict: Verdict
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """The results of the rules of one dimension of quality."""

    rules: int
    satisfied: int
    considered: int
    passed: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultTotals:
    """What a job has stored so far.

    Attributes:
        records: Rows that were read of all tables, each table counted once.
        seconds: Since the attempt began.
    """

    by_dimension: Mapping[str, Dimension]
    records: int
    seconds: float


class RuleResultStore(Protocol):
    """Rules that may be executed, and their results."""

    async def approved(
        self, tx: Transaction, version_id: str, after: ApprovedRule | None
    ) -> Sequence[ApprovedRule]:
        """The next rules that both have approved, in the order of the form; empty at the end."""

    async def targets(self, tx: Transaction, job_id: str) -> Targets:
        """The tables of the rules of a job's open items."""

    async def store(
        self, tx: Transaction, version_id: str, job_id: str, results: Sequence[NewRuleResult]
    ) -> None:
        """Store results of rules."""

    async def totals(self, tx: Transaction, job_id: str) -> ResultTotals:
        """Add up what a job has stored."""


def score(passed: int, considered: int) -> float | None:
    """The share of the judged values that pass, 0-100; None if none was judged."""
    return 100 * passed / considered if considered else None
