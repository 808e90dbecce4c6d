"""Sampling one table: measured, counted and drawn from in one snapshot."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Any

import ibis
import ibis.expr.types as ir
from ibis.common.exceptions import IbisError

from longhaul.adapters.regexes import Re2
from longhaul.adapters.sources.hashes import is_in_share, place
from longhaul.adapters.sources.readings import Reader, Reading, Unreadable
from longhaul.adapters.sources.rows import read_rows
from longhaul.adapters.sources.session import Dialect, QueryFailed, Session, any_of
from longhaul.adapters.sources.suspicions import (
    READINGS,
    Measures,
    Suspicion,
    boundaries,
    figures,
    measured,
    missing,
    outliers,
    read_measures,
    rule_suspicions,
)
from longhaul.adapters.sources.values import as_text
from longhaul.core.errors import ItemFailed
from longhaul.core.rule_execution import columns_of
from longhaul.core.sampling import (
    Category,
    DrawnRow,
    Found,
    Kind,
    Pick,
    Pool,
    Risk,
    RowKey,
    SampledAttribute,
    TableRequest,
    TableSamples,
    draw,
    order_of,
    split_strata,
)
from longhaul.core.sources import SourceTable

# PostgreSQL allows 1,664 columns in a result.
MEASURED_AT_ONCE = 100
COUNTED_AT_ONCE = 200

# Quartiles need a sort for each column; for more rows than this they are estimated from a part.
QUARTILE_ROWS = 100_000

MOST_STRATA = 12
_STRATA_TRIED = 10
_LONGEST_STRATUM = 40
_FEWEST_STRATA = 2

# How many characters of their values tell rows with the same key apart.
_TOLD_APART = 200

_TWICE = 2


@dataclass(frozen=True, slots=True)
class _Stratum:
    """Clean rows that have something in common."""

    name: str
    test: ir.BooleanValue
    count: int


class TableSampling:
    """Draws samples from one table.

    The order of a pool's rows is that of a hash over the seed, the pool and the row's key: it
    is like random, does not depend on how the rows are stored, and is the same every time.
    """

    def __init__(
        self, session: Session, table: SourceTable, request: TableRequest, re2: Re2
    ) -> None:
        self._session = session
        self._table = table
        self._request = request
        self._re2 = re2
        self._known = {column.name for column in table.columns}
        self._key = [name for name in request.key if name in self._known] or list(table.key)
        if not self._key:
            raise ItemFailed(
                "no_key", "The rows of the table have no key: map the report's key attributes."
            )
        self._problems: dict[int, str] = {}
        self._attributes = list(self._usable(request.attributes))
        self._suspicions: dict[str, Suspicion] = {}
        self._clean_counts: Sequence[int] = ()

    def run(self) -> TableSamples:
        """Measure, count and draw.

        Raises:
            QueryFailed: The rows of the table cannot be counted.
        """
        rows = self._session.bind(self._table, self._columns())
        ((count,),) = self._session.fetch(rows.aggregate(rows=rows.count()))
        self._rows, self._count = rows, int(count)
        self._reader = Reader(rows, self._table, self._session.dialect)
        pools = self._pools()
        self._check_key()
        picks = draw(
            [*pools, *self._clean_pools(pools)],
            self._request.wanted,
            seed=self._request.seed,
            taken=[tuple(one.get(name) for name in self._key) for one in self._request.taken],
            fetch=self._fetch,
        )
        return TableSamples(
            table=self._table.name,
            rows=self._count,
            columns=self._columns_of_data(),
            drawn=list(self._dealt(self._with_data(picks))),
            pools=pools,
            clean=self._clean_counts,
            problems=self._problems,
        )

    def _usable(self, attributes: Sequence[SampledAttribute]) -> Iterator[SampledAttribute]:
        for one in attributes:
            column = one.column or one.name
            if column in self._known:
                yield replace(one, column=column)
            else:
                self._problems[one.id] = "The table has no column for the attribute."

    def _check_key(self) -> None:
        """Add a problem to each attribute if the table's part of the key is not unique."""
        lacking = [name for name in self._request.key if name not in self._known]
        if not lacking or self._key == list(self._table.key):
            return
        named = self._rows.select(**self._texts_of_key(self._rows)).distinct()
        ((count,),) = self._session.fetch(named.aggregate(keys=named.count()))
        if count < self._count:
            problem = (
                f"The table has no {' and no '.join(lacking)}, and the rest of the key tells apart"
                f" only {count} of {self._count} rows; of rows with the same key one is drawn."
            )
            for one in self._attributes:
                self._problems.setdefault(one.id, problem)

    def _texts_of_key(self, rows: ir.Table) -> dict[str, ir.StringValue]:
        return {f"k{number}": as_text(rows[name]) for number, name in enumerate(self._key)}

    def _columns(self) -> Sequence[str]:
        named = {one.column for one in self._attributes}
        for rule in self._request.rules:
            columns = rule.rule.columns
            named.update(columns.get(name, name) for name in columns_of(rule.rule.kwargs))
        return [one.name for one in self._table.columns if one.name in {*named, *self._key}]

    def _pools(self) -> list[Pool]:
        """The suspicions that at least one row has."""
        by_id = {one.id: one for one in self._attributes}
        rules = [one for one in self._request.rules if one.attribute_id in by_id]
        found = list(rule_suspicions(self._reader, rules, by_id, self._re2))
        for attribute, value, measures in self._measured():
            found += missing(self._reader, attribute)
            if value is not None:
                if READINGS[attribute.data_type] is Reading.NUMBER:
                    found += outliers(value, attribute, measures)
                found += boundaries(value, attribute, measures, rules)
        self._suspicions = {one.key: one for one in found}
        return [self._pool(one, count) for one, count in self._counted(found) if count]

    def _pool(self, one: Suspicion, count: int) -> Pool:
        return Pool(
            key=f"{self._table.name}:{one.key}",
            category=one.category,
            kind=one.kind,
            attribute_id=one.attribute.id,
            reason=one.reason,
            risk=one.risk,
            confidence=one.confidence,
            count=count,
            rule_id=one.rule_id,
        )

    def _measured(self) -> Iterator[tuple[SampledAttribute, ir.Value | None, Measures]]:
        values: list[tuple[SampledAttribute, ir.Value | None]] = []
        for one in self._attributes:
            try:
                values.append((one, measured(self._reader, one)))
            except (Unreadable, IbisError):
                self._problems[one.id] = "The column cannot be read as the attribute's type."
                values.append((one, None))
        part = self._part(QUARTILE_ROWS)
        for first in range(0, len(values), MEASURED_AT_ONCE):
            yield from self._measure(values[first : first + MEASURED_AT_ONCE], part)

    def _measure(
        self,
        values: Sequence[tuple[SampledAttribute, ir.Value | None]],
        part: ir.BooleanValue | None,
    ) -> Iterator[tuple[SampledAttribute, ir.Value | None, Measures]]:
        wanted = {
            (number, name): figure
            for number, (one, value) in enumerate(values)
            if value is not None
            for name, figure in figures(value, READINGS[one.data_type], part).items()
        }
        answer = self._aggregate(list(wanted.values()))
        if answer is None and len(values) > 1:
            # Halving finds the one column whose values the engine cannot handle.
            half = len(values) // 2
            yield from self._measure(values[:half], part)
            yield from self._measure(values[half:], part)
            return
        got = dict(zip(wanted, answer or (), strict=False))
        for number, (one, value) in enumerate(values):
            named = {name: figure for (at, name), figure in got.items() if at == number}
            if value is not None and not named:
                self._problems[one.id] = "The column's values cannot be measured."
            yield one, value if named else None, read_measures(named)

    def _counted(self, found: Sequence[Suspicion]) -> Iterator[tuple[Suspicion, int]]:
        for first in range(0, len(found), COUNTED_AT_ONCE):
            yield from self._count_some(found[first : first + COUNTED_AT_ONCE])

    def _count_some(self, found: Sequence[Suspicion]) -> Iterator[tuple[Suspicion, int]]:
        tests = [one.test for one in found if one.test is not None]
        answer = self._aggregate([self._number_of(test) for test in tests])
        if answer is None:
            if len(found) > 1:
                half = len(found) // 2
                yield from self._count_some(found[:half])
                yield from self._count_some(found[half:])
            else:
                # A test that fails must not break the test of clean rows either.
                del self._suspicions[found[0].key]
            return
        counts = iter(answer)
        for one in found:
            if one.test is not None:
                yield one, int(next(counts))
            else:
                yield one, self._count_doubled(one)

    def _count_doubled(self, one: Suspicion) -> int:
        groups = self._doubled(one)
        try:
            ((count,),) = self._session.fetch(groups.aggregate(count=groups["size"].sum()))
        except QueryFailed:
            del self._suspicions[one.key]
            return 0
        return int(count or 0)

    def _aggregate(self, wanted: Sequence[ir.Value]) -> tuple[Any, ...] | None:
        """Some figures of the whole table; None when the engine fails."""
        if not wanted:
            return ()
        named = {f"f{number}": figure for number, figure in enumerate(wanted)}
        try:
            (answer,) = self._session.fetch(self._rows.aggregate(**named))
        except QueryFailed as exc:
            if exc.is_slow:
                raise
            return None
        return answer

    def _number_of(self, test: ir.BooleanValue) -> ir.IntegerValue:
        if self._session.dialect is Dialect.DUCKDB:
            # A filtered count is several times slower in DuckDB.
            return ibis.coalesce(test.cast("int32").sum(), 0)
        return self._rows.count(where=test)

    def _clean_pools(self, pools: Sequence[Pool]) -> Sequence[Pool]:
        """Rows without suspicion, one pool for each stratum that is drawn from."""
        wanted = self._request.wanted.get(Category.CLEAN, 0)
        if not wanted or not self._attributes:
            return []
        prefix = f"{self._table.name}:"
        bad = [
            self._suspicions[pool.key.removeprefix(prefix)]
            for pool in pools
            if pool.category is Category.ANOMALY
        ]
        tests = [one.test for one in bad if one.test is not None]
        self._clean_test = ~any_of(tests) if tests else ibis.literal(True)
        self._doubles = [one for one in bad if one.doubled is not None]
        strata = self._strata()
        self._clean_counts = [one.count for one in strata]
        parts = split_strata(wanted, self._clean_counts)
        clean: list[Pool] = []
        self._strata_by_key: dict[str, _Stratum] = {}
        for number, (one, part) in enumerate(zip(strata, parts, strict=True)):
            if not part:
                continue
            pool = self._clean_pool(f"{prefix}clean:{number}", number, one)
            self._strata_by_key[pool.key] = one
            # As often as its share requires; the others make up for missing ones.
            clean += [pool] * part
        return clean

    def _clean_pool(self, key: str, number: int, one: _Stratum) -> Pool:
        return Pool(
            key=key,
            category=Category.CLEAN,
            kind=Kind.CLEAN,
            # They are drawn in this order for one attribute, and assigned to attributes afterwards.
            attribute_id=self._attributes[0].id,
            stratum=number,
            reason=f"Nothing is suspicious about the row{one.name}.",
            risk=Risk.LOW,
            confidence=0.9,
            count=one.count,
        )

    def _dealt(self, drawn: Iterable[DrawnRow]) -> Iterator[DrawnRow]:
        """Assign the clean rows to the attributes in turn, in an order that the seed decides."""
        seed = self._request.seed
        ids = (one.id for one in self._attributes)
        turns = cycle(sorted(ids, key=lambda one: order_of(seed, "turn", one)))
        for row in drawn:
            pick = row.pick
            if pick.pool.category is Category.CLEAN:
                pick = replace(pick, pool=replace(pick.pool, attribute_id=next(turns)))
            yield replace(row, pick=pick)

    def _strata(self) -> Sequence[_Stratum]:
        clean = self._clean_rows()
        for attribute in self._stratifiers():
            assert attribute.column is not None
            column = clean[attribute.column]
            groups = clean.group_by(stratum=as_text(column)).aggregate(size=clean.count())
            found = self._session.fetch(groups.order_by("stratum").limit(MOST_STRATA + 1))
            if _FEWEST_STRATA <= len(found) <= MOST_STRATA:
                return [
                    _Stratum(
                        f"; its {attribute.name} is {'missing' if value is None else value}",
                        self._is_in(attribute.column, value),
                        int(size),
                    )
                    for value, size in found
                ]
        ((count,),) = self._session.fetch(clean.aggregate(size=clean.count()))
        return [_Stratum("", ibis.literal(True), int(count))]

    def _stratifiers(self) -> Sequence[SampledAttribute]:
        """Attributes with a few values each, the most important first."""
        texts = [
            one
            for one in self._attributes
            if READINGS[one.data_type] in (Reading.TEXT, Reading.TRUTH) and not one.is_key
        ]
        texts.sort(key=lambda one: not one.is_critical)
        tried = texts[:_STRATA_TRIED]
        figures = []
        for one in tried:
            assert one.column is not None
            text = as_text(self._rows[one.column])
            length = text.length()
            figures += [text.nunique(where=length <= _LONGEST_STRATUM), length.max()]
        answer = self._aggregate(figures) or ()
        return [
            one
            for one, kinds, longest in zip(tried, answer[::2], answer[1::2], strict=False)
            if _FEWEST_STRATA <= int(kinds) <= MOST_STRATA and longest <= _LONGEST_STRATUM
        ]

    def _is_in(self, column: str, value: str | None) -> ir.BooleanValue:
        text = as_text(self._rows[column])
        return text.isnull() if value is None else (text == value).fill_null(False)

    def _clean_rows(self, test: ir.BooleanValue | None = None) -> ir.Table:
        rows = self._rows.filter(self._clean_test if test is None else self._clean_test & test)
        joined: list[ir.Table] = []
        for one in self._doubles:
            assert one.doubled is not None
            columns, _ = one.doubled
            groups = self._doubled(one)
            # Two rules may be equal, and Ibis cannot join a group with itself.
            if any(groups.equals(other) for other in joined):
                continue
            joined.append(groups)
            rows = rows.anti_join(
                groups, [rows[name].identical_to(groups[name]) for name in columns]
            )
        return rows

    def _doubled(self, one: Suspicion) -> ir.Table:
        """The values that several of the judged rows share."""
        assert one.doubled is not None
        columns, judged = one.doubled
        some = self._rows.filter(judged)
        groups = some.group_by(list(columns)).aggregate(size=some.count())
        return groups.filter(groups["size"] > 1)

    def _fetch(self, pool: Pool, most: int) -> Sequence[Found]:
        """The first rows of a pool in the order of the seed."""
        name = pool.key.removeprefix(f"{self._table.name}:")
        attribute = next(one for one in self._attributes if one.id == pool.attribute_id)
        if pool.category is Category.CLEAN:
            rows = self._clean_rows(self._strata_by_key[pool.key].test)
        else:
            rows = self._suspicious_rows(self._suspicions[name])
        assert attribute.column is not None
        key = self._texts_of_key(rows)
        value = as_text(rows[attribute.column]).left(_TOLD_APART)
        line = rows.select(place=self._place(key.values(), name), **key, value=value)
        # Rows with the same key count once: they cannot be told apart.
        enough = _TWICE * most
        answer = self._session.fetch(line.order_by(line.columns).limit(enough))
        found = {values[1:-1]: values[-1] for values in reversed(answer)}
        if len(found) < most and len(answer) == enough:
            # Grouping the whole pool takes several times as long as grouping its first rows.
            once = line.group_by(["place", *key]).aggregate(value=line.value.min())
            answer = self._session.fetch(once.order_by(once.columns).limit(most))
            return [Found(values[1:-1], values[-1]) for values in answer]
        return [Found(key, found[key]) for key in reversed(found)][:most]

    def _suspicious_rows(self, one: Suspicion) -> ir.Table:
        if one.doubled is None:
            return self._rows.filter(one.test)
        columns, judged = one.doubled
        rows, groups = self._rows.filter(judged), self._doubled(one)
        return rows.semi_join(groups, [rows[name].identical_to(groups[name]) for name in columns])

    def _place(self, key: Iterable[ir.StringValue], name: str) -> ir.StringValue:
        return place(f"{self._request.seed}|{name}", key)

    def _part(self, rows: int) -> ir.BooleanValue | None:
        """About this many rows, always the same; None for all."""
        if self._count <= rows:
            return None
        key = self._texts_of_key(self._rows)
        return is_in_share(self._place(key.values(), "part"), rows / self._count)

    def _columns_of_data(self) -> Mapping[str, str]:
        return {one.name: one.column or one.name for one in self._attributes}

    def _with_data(self, picks: Sequence[Pick]) -> Sequence[DrawnRow]:
        columns = self._columns_of_data()
        keys = [dict(zip(self._key, pick.found.key, strict=True)) for pick in picks]
        by_key: dict[RowKey, list[dict[str, str | None]]] = {}
        for row in read_rows(self._session, self._rows, columns.values(), keys):
            by_key.setdefault(tuple(row[name] for name in self._key), []).append(row)
        of_attribute = {one.id: one.column for one in self._attributes}
        drawn = []
        for pick, key in zip(picks, keys, strict=True):
            alike = by_key[pick.found.key]
            column = of_attribute[pick.pool.attribute_id] or ""
            # Among rows with the same key, the one that the reason is about.
            row = next((one for one in alike if _start(one[column]) == pick.found.value), alike[0])
            drawn.append(
                DrawnRow(
                    pick=pick,
                    source_id=self._request.source.id,
                    table=self._table.name,
                    source_key=key,
                    data={name: row[column] for name, column in columns.items()},
                )
            )
        return drawn


def _start(value: str | None) -> str | None:
    return None if value is None else value[:_TOLD_APART]
