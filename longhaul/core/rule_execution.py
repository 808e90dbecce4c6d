"""Rule execution: rules on their way to a table, and what comes back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from longhaul.core.formats import DataType
from longhaul.core.ports import Transaction
from longhaul.core.sources import DataSource

# How many failing rows are kept of a rule, and how much of a value.
MOST_EXAMPLES = 20
LONGEST_VALUE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRule:
    """A rule that is to be asked of one table.

    Attributes:
        columns: The physical column of each attribute that the kwargs name; an attribute
            that is not listed is a column itself.
        types: What the attributes hold, as far as that is known; a source that keeps
            everything as text does not say.
        written: How an attribute's times are written, such as `%Y%m%d`; a text that is
            written otherwise is no time then.
    """

    id: str
    expectation: str
    kwargs: Mapping[str, Any]
    columns: Mapping[str, str] = field(default_factory=dict)
    types: Mapping[str, DataType] = field(default_factory=dict)
    written: Mapping[str, str] = field(default_factory=dict)

    @property
    def mostly(self) -> float:
        """The share of the considered rows that must hold."""
        return float(self.kwargs.get("mostly", 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleOf:
    """Judge only some rows of a table: so many at most, or about such a share of them."""

    size: int | None = None
    percentage: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a table says about a rule.

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
        """The considered rows that hold."""
        return self.considered - self.failed

    @property
    def pass_rate(self) -> float:
        """0-100; a rule that had nothing to judge holds."""
        return 100 * self.passed / self.considered if self.considered else 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why a rule could not be judged."""

    code: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What became of one rule: a verdict or a fault.

    Attributes:
        duration_ms: Its share of the scans that it took part in.
    """

    rule_id: str
    outcome: Verdict | Fault
    duration_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TableVerdicts:
    """What became of all rules of one table.

    Attributes:
        table: The table's name within its source.
        rows: Rows of the table that were looked at.
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
            key: The physical columns that name a row to people; the primary key when empty.

        Raises:
            ItemFailed: The table cannot be read at all.
            Unavailable: The source lies in our own database, which did not answer.
        """


def columns_of(kwargs: Mapping[str, Any]) -> list[str]:
    """The attributes that a rule names anywhere, those that it is about first."""
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
    """Whether enough of the considered rows hold; nothing considered means that nothing fails."""
    return considered == 0 or (considered - failed) / considered >= mostly


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovedRule:
    """What it takes to list a rule, and to go on after it."""

    id: str
    name: str
    line_no: int
    execution_order: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The rules of a job that are asked of one table.

    Attributes:
        table: As the mapping names it; None when the source has only one.
        key: The physical columns that name a row.
    """

    source: DataSource
    table: str | None
    key: Sequence[str]
    rules: Sequence[TableRule]


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """Where the open rules of a job are to be asked, and those that can be asked nowhere."""

    targets: Sequence[Target]
    faults: Mapping[str, Fault]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRuleResult:
    """What one item stores.

    Attributes:
        table_rows: Rows of the table that were looked at.
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
    """What the rules of one dimension of quality came to."""

    rules: int
    satisfied: int
    considered: int
    passed: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultTotals:
    """What a job has stored so far.

    Attributes:
        records: Rows of all tables that were looked at, each table's counted once.
        seconds: Since the attempt began.
    """

    by_dimension: Mapping[str, Dimension]
    records: int
    seconds: float


class RuleResultStore(Protocol):
    """Rules that may be executed, and what executing them has shown."""

    async def approved(
        self, tx: Transaction, version_id: str, after: ApprovedRule | None
    ) -> Sequence[ApprovedRule]:
        """The next rules that both have approved, in the order of the form; empty at the end."""

    async def targets(self, tx: Transaction, job_id: str) -> Targets:
        """Where the rules of a job's open items are to be asked."""

    async def store(
        self, tx: Transaction, version_id: str, job_id: str, results: Sequence[NewRuleResult]
    ) -> None:
        """Keep what became of rules."""

    async def totals(self, tx: Transaction, job_id: str) -> ResultTotals:
        """Add up what a job has stored."""


def score(passed: int, considered: int) -> float | None:
    """The share of what was judged that holds, 0-100; None where nothing was judged."""
    return 100 * passed / considered if considered else None
