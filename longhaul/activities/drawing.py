"""Draws all samples of a job at once, table by table; each item then takes its own."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from longhaul.core.errors import ItemFailed
from longhaul.core.sampling import (
    Category,
    DrawnRow,
    Frame,
    SampledAttribute,
    SampledRule,
    Scope,
    TableRequest,
    TableSampler,
    TableSamples,
)
from longhaul.core.sources import DataSource

SHORTFALL: Mapping[Category, str] = {
    Category.ANOMALY: "No other row breaks a rule, lacks a mandatory value or is an outlier.",
    Category.BOUNDARY: "No other row holds a first or last value of a rule or of the data.",
    Category.CLEAN: "No other row is free of suspicion.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """The result of drawing for a job.

    Attributes:
        keys: Names of the key attributes by their columns, for each table.
    """

    rows: Mapping[Category, Sequence[DrawnRow]]
    frame: Frame
    keys: Mapping[str, Mapping[str, str]]

    @property
    def is_empty(self) -> bool:
        """Whether no row was drawn."""
        return not any(self.rows.values())

    def reason(self, category: Category) -> str:
        """Why there are no more rows of a category."""
        drawn = sum(map(len, self.rows.values()))
        if drawn >= self.frame.rows:
            return f"All {self.frame.rows} rows of the source are in the sample."
        return SHORTFALL[category]


@dataclass(frozen=True, slots=True)
class _Group:
    """The attributes with columns in one table."""

    source: DataSource
    table: str | None
    attributes: Sequence[SampledAttribute]
    rules: Sequence[SampledRule]
    keys: Mapping[str, str]


@dataclass(slots=True)
class _Collected:
    """What has been drawn so far."""

    left: dict[Category, int]
    rows: dict[Category, list[DrawnRow]] = field(
        default_factory=lambda: {category: [] for category in Category}
    )
    clean: dict[tuple[int | None, str], Sequence[int]] = field(default_factory=dict)

    def add(self, group: _Group, samples: TableSamples) -> None:
        for row in samples.drawn:
            category = row.pick.pool.category
            self.rows[category].append(row)
            self.left[category] -= 1
        if samples.clean:
            self.clean[group.source.id, samples.table] = samples.clean

    def strata(self) -> tuple[list[int], list[int]]:
        """The strata of all tables, and for each drawn clean row the place of its stratum."""
        sizes: list[int] = []
        first = {}
        for place, clean in self.clean.items():
            first[place] = len(sizes)
            sizes += clean
        return sizes, [
            first[row.source_id, row.table] + (row.pick.pool.stratum or 0)
            for row in self.rows[Category.CLEAN]
        ]

    def keys_of(self, table: str) -> list[Mapping[str, str | None]]:
        return [row.source_key for rows in self.rows.values() for row in rows if row.table == table]


async def draw_all(
    sampler: TableSampler,
    scope: Scope,
    *,
    wanted: Mapping[Category, int],
    seed: int,
    decided: Mapping[str, Sequence[Mapping[str, str | None]]],
) -> Drawing:
    """Draw samples from every table with columns of attributes in scope.

    Each table gives its share; the others make up for missing rows.

    Args:
        decided: Keys of rows that people have decided on, by table; they are not drawn again.

    Raises:
        ItemFailed: A table cannot be read, no attribute is in scope, or none of them is mapped.
        Unavailable: The source is in our own database, which did not answer.
    """
    if not scope.attributes:
        raise ItemFailed("nothing_in_scope", "The approved scoping has no attribute to test.")
    groups = _groups(scope)
    collected = _Collected(dict(wanted))
    looked_at: list[tuple[_Group, TableSamples]] = []
    for number, group in enumerate(groups):
        share = {
            category: _share(left, [len(one.attributes) for one in groups[number:]])
            for category, left in collected.left.items()
        }
        samples = await sampler.sample(_request(group, share, seed, decided))
        collected.add(group, samples)
        looked_at.append((group, samples))
    if len(groups) > 1:
        for group, before in looked_at[:-1]:
            if not any(collected.left.values()):
                break
            request = _request(group, collected.left, seed, decided)
            taken = [*request.taken, *collected.keys_of(before.table)]
            collected.add(group, await sampler.sample(replace(request, taken=taken)))
    return Drawing(
        rows=collected.rows,
        frame=_frame(scope, looked_at, *collected.strata()),
        keys={samples.table: group.keys for group, samples in looked_at},
    )


def _share(left: int, sizes: Sequence[int]) -> int:
    # The last table must give everything that is left.
    return left if len(sizes) == 1 else round(left * sizes[0] / sum(sizes))


def _request(
    group: _Group,
    wanted: Mapping[Category, int],
    seed: int,
    decided: Mapping[str, Sequence[Mapping[str, str | None]]],
) -> TableRequest:
    return TableRequest(
        source=group.source,
        table=group.table,
        key=list(group.keys),
        attributes=group.attributes,
        rules=group.rules,
        seed=seed,
        wanted=dict(wanted),
        taken=[key for keys in decided.values() for key in keys],
    )


def _groups(scope: Scope) -> list[_Group]:
    by_table: dict[tuple[int, str | None], list[SampledAttribute]] = {}
    loose: list[SampledAttribute] = []
    for one in scope.attributes:
        if one.source_id in scope.sources and one.source_id is not None and one.column:
            by_table.setdefault((one.source_id, one.table), []).append(one)
        else:
            loose.append(one)
    if loose and not by_table and len(scope.sources) == 1:
        # Without any mapping the columns may have the names of the attributes.
        by_table[next(iter(scope.sources)), None] = []
    if not by_table:
        raise ItemFailed(
            "nothing_mapped",
            "No attribute in scope is mapped to a column of the report's data sources.",
        )
    largest = max(by_table, key=lambda place: (len(by_table[place]), -place[0], place[1] or ""))
    # The table of an unmapped attribute is not known: it may be in the one with most others.
    by_table[largest] += [replace(one, column=None) for one in loose]
    return [
        _Group(
            scope.sources[source_id],
            table,
            attributes,
            scope.rules.get((source_id, table), ()),
            _keys(scope, source_id, table),
        )
        for (source_id, table), attributes in sorted(
            by_table.items(), key=lambda item: (item[0][0], item[0][1] or "")
        )
    ]


def _keys(scope: Scope, source_id: int, table: str | None) -> dict[str, str]:
    """The key attributes that a table may have, by column."""
    return {
        (one.column if (one.source_id, one.table) == (source_id, table) else None)
        or one.name: one.name
        for one in scope.keys
    }


def _frame(
    scope: Scope,
    looked_at: Sequence[tuple[_Group, TableSamples]],
    clean: Sequence[int],
    strata: Sequence[int],
) -> Frame:
    counted: dict[int, Counter[str]] = {one.id: Counter() for one in scope.attributes}
    problems: dict[int, str] = {}
    for _, samples in looked_at:
        problems |= samples.problems
        for pool in samples.pools:
            counted[pool.attribute_id][pool.kind] += pool.count
    return Frame(
        rows=sum(samples.rows for _, samples in looked_at),
        attributes=[
            {
                "attribute_id": one.id,
                "name": one.name,
                "rows": dict(counted[one.id]),
                "problem": problems.get(one.id),
            }
            for one in scope.attributes
        ],
        tables={samples.table: samples.rows for _, samples in looked_at},
        columns={
            name: column for _, samples in looked_at for name, column in samples.columns.items()
        },
        clean=clean,
        strata=strata,
    )
