"""Sampling: which rows a tester checks; the same seed draws the same rows."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, TypeAlias

from longhaul.core.attributes import AttributeStore
from longhaul.core.formats import DataType
from longhaul.core.jobs import Job
from longhaul.core.ports import Transaction
from longhaul.core.rule_execution import TableRule
from longhaul.core.sources import DataSource
from longhaul.core.versions import VersionStore

# Values of a row's key by physical column, in the columns' order.
RowKey: TypeAlias = tuple[str | None, ...]


class Category(StrEnum):
    """Why a row is drawn; in the order of drawing."""

    ANOMALY = "anomaly"
    BOUNDARY = "boundary"
    CLEAN = "clean"


class Kind(StrEnum):
    """What is wrong with a row."""

    RULE_VIOLATION = "rule_violation"
    MISSING = "missing"
    OUTLIER = "outlier"
    RULE_BOUNDARY = "rule_boundary"
    DATA_BOUNDARY = "data_boundary"
    CLEAN = "clean"


class Risk(StrEnum):
    """How bad it is if the row is wrong."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledAttribute:
    """An attribute in scope, with the column that feeds it.

    Attributes:
        column: None where it is not mapped; a column of its own name may feed it.
        written: How its times are written, such as `%Y%m%d`; in any form if None.
    """

    id: int
    name: str
    data_type: DataType
    is_mandatory: bool
    is_key: bool
    is_critical: bool
    source_id: int | None = None
    table: str | None = None
    column: str | None = None
    written: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledRule:
    """An approved rule whose violations are sampled.

    Attributes:
        severity: As the rule has it; becomes the sample's risk.
    """

    rule: TableRule
    attribute_id: int
    name: str
    severity: Risk


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Rows that are suspicious for the same reason.

    Attributes:
        key: Names the pool: rows are drawn from it in an order that depends on this and the seed.
        count: How many rows there are.
        reason: In words, the same for all of its rows.
        stratum: For clean rows, the place of their stratum in the table's strata.
    """

    key: str
    category: Category
    kind: Kind
    attribute_id: int
    reason: str
    risk: Risk
    confidence: float
    count: int
    rule_id: str | None = None
    stratum: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A row of a pool.

    Attributes:
        value: The pool's attribute, as text, cut if it is long.
    """

    key: RowKey
    value: str | None


@dataclass(frozen=True, slots=True)
class Pick:
    """A row that was drawn, and the pool that it was drawn from."""

    pool: Pool
    found: Found


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRequest:
    """What to draw from one table.

    Attributes:
        key: The columns that identify a row; the table's primary key when empty.
        taken: Keys of rows that must not be drawn.
        wanted: How many rows of each category.
    """

    source: DataSource
    table: str | None
    key: Sequence[str]
    attributes: Sequence[SampledAttribute]
    rules: Sequence[SampledRule]
    seed: int
    wanted: Mapping[Category, int]
    taken: Sequence[Mapping[str, str | None]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnRow:
    """A drawn row with its data.

    Attributes:
        source_key: Identifies the row: values by column.
        data: Values of the attributes in scope, by the attribute's name, as texts.
    """

    pick: Pick
    source_id: int | None
    table: str
    source_key: Mapping[str, str | None]
    data: Mapping[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSamples:
    """What was drawn from one table.

    Attributes:
        rows: Rows of the whole table.
        pools: Everything that was considered, drawn from or not.
        columns: The columns that the drawn rows' data comes from, by the attributes' names.
        clean: Numbers of rows without suspicion, by stratum; empty if none
            were wanted.
        problems: Attributes that could not be considered, or not in all rows, and why.
    """

    table: str
    rows: int
    columns: Mapping[str, str]
    drawn: Sequence[DrawnRow]
    pools: Sequence[Pool]
    clean: Sequence[int] = ()
    problems: Mapping[int, str] = field(default_factory=dict)


class TableSampler(Protocol):
    """Draws rows from one table; the work is done where the rows are."""

    async def sample(self, request: TableRequest) -> TableSamples:
        """Draw rows from one snapshot of the table.

        Raises:
            ItemFailed: The table cannot be read; the code says why.
            Unavailable: The source is in our own database, which did not answer.
        """


def split(size: int, shares: Mapping[Category, float]) -> dict[Category, int]:
    """Split a number by shares so that each part is within one of its share.

    Args:
        shares: They may add up to slightly more or less than 1, because people round them.
    """
    whole = sum(shares.values()) or 1.0
    exact = {category: size * shares.get(category, 0.0) / whole for category in Category}
    parts = {category: int(value + 1e-9) for category, value in exact.items()}
    left = size - sum(parts.values())
    by_rest = sorted(Category, key=lambda one: parts[one] - exact[one])
    for category in [one for one in by_rest if exact[one] > 0][:left]:
        parts[category] += 1
    return parts


def split_strata(size: int, strata: Sequence[int]) -> list[int]:
    """Split a number over strata of these sizes in proportion, one for each while they last.

    No stratum gets more than it has.
    """
    parts = [0] * len(strata)
    left = min(size, sum(strata))
    by_size = sorted(range(len(strata)), key=lambda one: (-strata[one], one))
    for one in by_size[:left]:
        if strata[one]:
            parts[one] = 1
    left -= sum(parts)
    while left > 0:
        open_ones = [one for one in by_size if parts[one] < strata[one]]
        total = sum(strata)
        # The one furthest below its share is next.
        neediest = min(open_ones, key=lambda one: (parts[one] - size * strata[one] / total, one))
        parts[neediest] += 1
        left -= 1
    return parts


def order_of(seed: int, *words: object) -> str:
    """A place in an order that is like random and always the same."""
    text = "|".join(map(str, (seed, *words)))
    return hashlib.sha256(text.encode()).hexdigest()


def draw(
    pools: Sequence[Pool],
    wanted: Mapping[Category, int],
    *,
    seed: int,
    taken: Iterable[RowKey],
    fetch: Callable[[Pool, int], Sequence[Found]],
) -> list[Pick]:
    """Draw as many rows of each category as there are, none twice.

    The attributes take turns, and the pools of an attribute take turns, so that every
    attribute gets a row before one gets a second.

    Args:
        fetch: The first rows of a pool, at least that many if it has them, always in the same
            order; it is asked only for pools that are drawn from.
    """
    used = set(taken)
    most = sum(wanted.values()) + len(used)
    lines = _Lines(fetch, most)
    picks: list[Pick] = []
    for category in Category:
        turns = _turns([pool for pool in pools if pool.category is category and pool.count], seed)
        left = wanted.get(category, 0)
        while turns and left > 0:
            pools_of_one = turns.popleft()
            while pools_of_one:
                pool = pools_of_one.popleft()
                found = lines.next(pool, used)
                if found is not None:
                    used.add(found.key)
                    picks.append(Pick(pool, found))
                    left -= 1
                    pools_of_one.append(pool)
                    break
            if pools_of_one:
                turns.append(pools_of_one)
    return picks


class _Lines:
    """The rows of pools, waiting for their turn."""

    def __init__(self, fetch: Callable[[Pool, int], Sequence[Found]], most: int) -> None:
        self._fetch = fetch
        self._most = most
        self._waiting: dict[str, deque[Found]] = {}

    def next(self, pool: Pool, used: set[RowKey]) -> Found | None:
        line = self._waiting.get(pool.key)
        if line is None:
            line = self._waiting[pool.key] = deque(self._fetch(pool, self._most))
        while line:
            found = line.popleft()
            if found.key not in used:
                return found
        return None


def _turns(pools: Sequence[Pool], seed: int) -> deque[deque[Pool]]:
    by_attribute: dict[int, list[Pool]] = {}
    for pool in pools:
        by_attribute.setdefault(pool.attribute_id, []).append(pool)
    return deque(
        # The pools stay in their order: the gravest reason first.
        deque(by_attribute[attribute_id])
        for attribute_id in sorted(by_attribute, key=lambda one: order_of(seed, "turn", one))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSample:
    """What one item stores.

    Attributes:
        key_values: Values of the key attributes, by their names.
    """

    ordinal: int
    row: DrawnRow
    key_values: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Stratum:
    """Rows without suspicion, and how many of them were drawn by chance."""

    rows: int
    drawn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The rows that were drawn from: stored once for a job.

    Attributes:
        rows: Rows of all tables together.
        attributes: For each attribute in scope, the number of rows by kind of reason.
        columns: The columns that the attributes were read from: mappings may change afterwards.
        clean: Numbers of rows without suspicion, by stratum.
        strata: For each drawn clean row, the place of its stratum in `clean`.
    """

    rows: int
    attributes: Sequence[Mapping[str, Any]]
    tables: Mapping[str, int]
    columns: Mapping[str, str]
    clean: Sequence[int]
    strata: Sequence[int]

    def to_json(self) -> Mapping[str, Any]:
        """The frame as it is stored."""
        return {
            "rows": self.rows,
            "attributes": list(self.attributes),
            "tables": dict(self.tables),
            "columns": dict(self.columns),
            "clean": list(self.clean),
            "strata": list(self.strata),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What is sampled of a report.

    Attributes:
        keys: The key attributes, in scope or not: they identify the rows.
        rules: By data source and table, as in rule execution.
        scoped_by: `scoping` where people have approved which attributes are tested, `request`
            if the job names them, else `report`.
    """

    attributes: Sequence[SampledAttribute]
    keys: Sequence[SampledAttribute]
    rules: Mapping[tuple[int, str | None], Sequence[SampledRule]]
    sources: Mapping[int, DataSource]
    scoped_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleTotals:
    """What a job has stored, and which slots stayed empty.

    Attributes:
        requested: Slots by category.
        by_category: Samples by category.
        by_attribute: Samples by attribute.
        reasons: Why slots stayed empty, by category.
        clean: The strata of the clean rows, with what of them is in the sample.
        frame: As it was stored; None if nothing was drawn.
    """

    requested: Mapping[Category, int]
    by_category: Mapping[Category, int]
    by_attribute: Mapping[int, int]
    reasons: Mapping[Category, str]
    clean: Sequence[Stratum]
    frame: Mapping[str, Any] | None


class SampleStore(VersionStore, AttributeStore, Protocol):
    """Sample sets and samples; every method works in the caller's transaction."""

    async def scope(
        self, tx: Transaction, cycle_id: int, report_id: int, attribute_ids: Sequence[int] | None
    ) -> Scope:
        """The attributes that are sampled, the rules that people approved, and the sources."""

    async def decided_keys(
        self, tx: Transaction, set_id: str, job_id: str
    ) -> Mapping[str, Sequence[Mapping[str, str | None]]]:
        """Keys of the rows in a set that people have decided on, by table, without a job's own.

        Its own are drawn again when it draws again, also if people have decided on them.
        """

    async def taken(
        self, tx: Transaction, set_id: str, job_id: str, hashes: Sequence[str]
    ) -> set[str]:
        """Which of some keys are already in the set, without those that `replace` removes."""

    async def replace(
        self,
        tx: Transaction,
        set_id: str,
        job_id: str,
        samples: Sequence[NewSample],
        frame: Frame,
    ) -> None:
        """Store samples, replacing those of earlier jobs that nobody has decided on."""

    async def totals(self, tx: Transaction, job: Job) -> SampleTotals:
        """What a job has stored, and which slots stayed empty."""


class SampleStatistics(Protocol):
    """What a sample shows about the rows that it was drawn from."""

    def basis(self, rows: int, clean: Sequence[Stratum], *, size: int) -> Mapping[str, Any]:
        """The confidence that a sample gives, by the hypergeometric distribution.

        Args:
            rows: Rows of the tables.
            clean: Those of them without suspicion, by stratum.
            size: Samples of all categories; only the clean ones are drawn by chance alone.
        """


def key_hash(table: str, source_key: Mapping[str, str | None]) -> str:
    """Identifies a row within a sample set."""
    parts = [table, *(f"{name}={value!r}" for name, value in sorted(source_key.items()))]
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
