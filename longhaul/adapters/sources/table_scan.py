"""A scan of one table for its rules."""

import time
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce
from operator import and_
from typing import Any

import ibis
import ibis.expr.types as ir
from ibis.common.exceptions import IbisError
from ibis.expr.operations import UnboundTable

from longhaul.adapters.regexes import Re2
from longhaul.adapters.sources.files import ROW
from longhaul.adapters.sources.readings import Reader, Unreadable
from longhaul.adapters.sources.rule_compiler import (
    CompiledRule,
    MeasureRule,
    RowRule,
    UniqueRule,
    compile_rule,
    within,
)
from longhaul.adapters.sources.session import Dialect, QueryFailed, Session
from longhaul.core.rule_execution import (
    LONGEST_VALUE,
    Fault,
    Judged,
    SampleOf,
    TableRule,
    TableVerdicts,
    Verdict,
    columns_of,
    is_success,
)
from longhaul.core.sources import SourceTable

# PostgreSQL allows 1,664 columns in a result, and a rule needs up to three.
RULES_A_SCAN = 200

# Halving a slow scan finds one slow rule among many; if more are slow, the table is.
MOST_SLOW = 4

_REGEX = "regex"
_MISMATCH = Fault(code="type_mismatch", sentence="The column's type does not suit the rule.")
_NO_ROW = Fault(
    code="sample_empty", sentence="No row of the table fell into the sample: ask for a larger one."
)
_SIZE = "\x01size"


class TableScan:
    """One scan of a table for some rules."""

    def __init__(
        self,
        session: Session,
        table: SourceTable,
        rules: Sequence[TableRule],
        *,
        key: Sequence[str],
        sample: SampleOf | None,
        examples: int,
    ) -> None:
        self._session = session
        self._table = table
        self._rules = rules
        names = [column.name for column in table.columns]
        self._key = [name for name in key if name in names] or list(table.key)
        self._sample = sample
        self._most_examples = examples
        self._outcomes: dict[str, Verdict | Fault] = {}
        self._seconds: dict[str, float] = {}
        self._slow = 0

    def run(self, re2: Re2) -> TableVerdicts:
        """Judge all rules.

        Raises:
            ItemFailed: The table cannot be read.
            QueryFailed: Its rows cannot be counted.
        """
        rows = self._session.bind(self._table, self._columns())
        ((count,),) = self._session.fetch(rows.aggregate(rows=rows.count()))
        self._all_rows = int(count)
        if self._sample is not None:
            rows = self._session.sample(self._table, rows, self._all_rows, self._sample)
            ((count,),) = self._session.fetch(rows.aggregate(rows=rows.count()))
        self._looked_at = int(count)
        self._reader = self._read(rows)
        compiled = list(self._compiled(re2))
        if self._all_rows and not self._looked_at:
            compiled = list(self._needing_no_row(compiled))
        self._judge(compiled)
        return TableVerdicts(
            table=self._table.name,
            rows=self._looked_at,
            judged=[
                Judged(
                    rule_id=rule.id,
                    outcome=self._outcomes[rule.id],
                    duration_ms=round(self._seconds.get(rule.id, 0) * 1000),
                )
                for rule in self._rules
            ],
        )

    def _read(self, rows: ir.Table) -> Reader:
        return Reader(rows, self._table, self._session.dialect)

    def _narrow(self, rule: TableRule) -> CompiledRule:
        """The rule over only the columns that it needs: Ibis is slow for wide tables."""
        named = {rule.columns.get(name, name) for name in columns_of(rule.kwargs)}
        return compile_rule(self._read(_only(self._reader.rows, {*named, *self._key, ROW})), rule)

    def _columns(self) -> Sequence[str]:
        """The columns that the rules need, so that only these are copied from a file."""
        named = {
            rule.columns.get(name, name) for rule in self._rules for name in columns_of(rule.kwargs)
        }
        wanted = [one.name for one in self._table.columns if one.name in {*named, *self._key}]
        return wanted or [self._table.columns[0].name]

    def _compiled(self, re2: Re2) -> Iterator[CompiledRule]:
        for rule in self._rules:
            # Only patterns that RE2 accepts cannot take forever in PostgreSQL.
            if _REGEX in rule.kwargs and (refusal := re2.refusal(rule.kwargs[_REGEX])):
                self._outcomes[rule.id] = Fault(code="bad_regex", sentence=refusal)
                continue
            try:
                yield compile_rule(self._reader, rule)
            except Unreadable as exc:
                self._outcomes[rule.id] = Fault(code=exc.code, sentence=exc.sentence)
            except IbisError:
                self._outcomes[rule.id] = _MISMATCH

    def _needing_no_row(self, compiled: Sequence[CompiledRule]) -> Iterator[CompiledRule]:
        """The rules that can be judged without rows; the others have no result."""
        for one in compiled:
            if isinstance(one, MeasureRule) and one.figure is None:
                yield one
            else:
                self._outcomes[one.rule.id] = _NO_ROW

    def _judge(self, compiled: Sequence[CompiledRule]) -> None:
        scanned = [one for one in compiled if not isinstance(one, UniqueRule)]
        for start in range(0, len(scanned), RULES_A_SCAN):
            self._scan(scanned[start : start + RULES_A_SCAN])
        for one in compiled:
            if isinstance(one, UniqueRule):
                self._group(one)

    def _scan(self, compiled: Sequence[CompiledRule]) -> None:
        """Judge some rules in one scan; if it fails, halve them until the culprit is alone."""
        if self._slow >= MOST_SLOW:
            self._fail(compiled, QueryFailed("source_timeout", "The query took too long."))
            return
        try:
            with self._timed(compiled):
                counts = _Counts(self._session, self._reader, compiled)
        except QueryFailed as exc:
            self._slow += exc.is_slow
            if len(compiled) == 1:
                self._fail(compiled, exc)
                return
            half = len(compiled) // 2
            self._scan(compiled[:half])
            self._scan(compiled[half:])
            return
        for one in compiled:
            self._outcomes[one.rule.id] = self._verdict(one, counts)

    def _verdict(self, one: CompiledRule, counts: "_Counts") -> Verdict:
        if isinstance(one, MeasureRule):
            observed = float(self._all_rows) if one.figure is None else counts.observed(one)
            return _measured(one.rule, self._looked_at, observed)
        assert isinstance(one, RowRule)
        total = counts.total(one, self._looked_at)
        considered = counts.considered(one, total)
        failed = counts.failed(one)
        return Verdict(
            total=total,
            considered=considered,
            failed=failed,
            success=is_success(considered, failed, one.rule.mostly),
            examples=self._failing(one) if failed else (),
        )

    def _failing(self, one: RowRule) -> Sequence[Mapping[str, Any]]:
        narrow = self._narrow(one.rule)
        assert isinstance(narrow, RowRule)
        return self._examples(one, narrow.rows.filter(narrow.fails), one.shown)

    def _group(self, one: UniqueRule) -> None:
        """Judge a rule about equal rows by a separate query."""
        try:
            with self._timed([one]):
                self._outcomes[one.rule.id] = self._grouped(one)
        except QueryFailed as exc:
            self._fail([one], exc)

    def _grouped(self, wide: UniqueRule) -> Verdict:
        one = self._narrow(wide.rule)
        assert isinstance(one, UniqueRule)
        scoped = one.rows if one.scope is None else one.rows.filter(one.scope)
        total = self._looked_at
        if one.scope is not None:
            ((total,),) = self._session.fetch(scoped.aggregate(rows=scoped.count()))
        judged = scoped.filter(one.considered)
        groups = judged.group_by(list(one.columns)).aggregate(**{_SIZE: judged.count()})
        size = groups[_SIZE]
        ((considered, failed),) = self._session.fetch(
            groups.aggregate(considered=size.sum(), failed=size.sum(where=size > 1))
        )
        considered, failed = int(considered or 0), int(failed or 0)
        doubled = groups.filter(size > 1).limit(self._most_examples)
        same = [judged[name].identical_to(doubled[name]) for name in one.columns]
        failing = judged.semi_join(doubled, same)
        return Verdict(
            total=int(total),
            considered=considered,
            failed=failed,
            success=is_success(considered, failed, one.rule.mostly),
            examples=self._examples(one, failing, one.columns) if failed else (),
        )

    def _examples(
        self, one: CompiledRule, failing: ir.Table, shown: Sequence[str]
    ) -> Sequence[Mapping[str, Any]]:
        """Some failing rows; the verdict does not need them."""
        reader = self._read(failing)
        key = {name: _shown(reader, name) for name in self._key}
        if self._session.dialect is Dialect.DUCKDB:
            failing = failing.order_by(failing[ROW])
            key = key or {"row": failing[ROW]}
        values = {name: _shown(reader, name) for name in dict.fromkeys(shown)}
        cells = [*key.values(), *values.values()]
        picked = failing.select(*(cell.name(f"c{at}") for at, cell in enumerate(cells)))
        try:
            with self._timed([one]):
                rows = self._session.fetch(picked.limit(self._most_examples))
        except QueryFailed:
            return ()
        return [
            {
                "key": dict(zip(key, map(_cut, row), strict=False)),
                "values": dict(zip(values, map(_cut, row[len(key) :]), strict=True)),
            }
            for row in rows
        ]

    def _fail(self, compiled: Sequence[CompiledRule], exc: QueryFailed) -> None:
        for one in compiled:
            self._outcomes[one.rule.id] = Fault(code=exc.code, sentence=exc.sentence)

    @contextmanager
    def _timed(self, compiled: Sequence[CompiledRule]) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        finally:
            share = (time.monotonic() - started) / len(compiled)
            for one in compiled:
                self._seconds[one.rule.id] = self._seconds.get(one.rule.id, 0) + share


class _Counts:
    """The figures of some rules, from one scan; shared counts are made once."""

    def __init__(self, session: Session, reader: Reader, compiled: Sequence[CompiledRule]) -> None:

        self._places: dict[Hashable, int] = {}
        self._figures: list[ir.Value] = []
        self._rows = reader.rows
        self._is_duckdb = session.dialect is Dialect.DUCKDB
        for one in compiled:
            if isinstance(one, RowRule):
                if one.scope is not None:
                    self._add(("total", one.scope_key), self._count(one.scope))
                if one.considered is not None:
                    judged = [part for part in (one.scope, one.considered) if part is not None]
                    self._add(("considered", one.considered_key), self._count(reduce(and_, judged)))
                self._add(("failed", one.rule.id), self._count(one.fails))
            elif isinstance(one, MeasureRule) and one.figure is not None:
                self._add(("observed", one.rule.id), one.figure)
        self._answer: tuple[Any, ...] = ()
        if self._figures:
            named = {f"f{at}": figure for at, figure in enumerate(self._figures)}
            (self._answer,) = session.fetch(self._rows.aggregate(**named))

    def total(self, one: RowRule, rows: int) -> int:
        return rows if one.scope is None else int(self._read("total", one.scope_key))

    def considered(self, one: RowRule, total: int) -> int:
        return (
            total if one.considered is None else int(self._read("considered", one.considered_key))
        )

    def failed(self, one: RowRule) -> int:
        return int(self._read("failed", one.rule.id))

    def observed(self, one: CompiledRule) -> float | None:
        figure = self._read("observed", one.rule.id)
        return None if figure is None else float(figure)

    def _read(self, what: str, key: Hashable) -> Any:
        return self._answer[self._places[what, key]]

    def _add(self, key: Hashable, figure: ir.Value) -> None:
        if key not in self._places:
            self._places[key] = len(self._figures)
            self._figures.append(figure)

    def _count(self, test: ir.BooleanValue) -> ir.IntegerValue:
        if not self._is_duckdb:
            return self._rows.count(where=test)
        # A filtered count is several times slower in DuckDB.
        return ibis.coalesce(test.cast("int32").sum(), 0)


def _measured(rule: TableRule, rows: int, observed: float | None) -> Verdict:
    # Without values there is no mean, and Great Expectations fails such a rule.
    success = observed is not None and bool(within(observed, rule.kwargs, lambda end: end))
    return Verdict(
        total=rows, considered=1, failed=int(not success), success=success, observed=observed
    )


def _only(rows: ir.Table, columns: Collection[str]) -> ir.Table:
    """A bound table with fewer columns."""
    schema = {name: kind for name, kind in rows.schema().items() if name in columns}
    bound = rows.op()
    if not isinstance(bound, UnboundTable) or not schema:
        return rows.select(*schema) if schema else rows
    return ibis.table(schema, name=bound.name, database=bound.namespace.database)


def _shown(reader: Reader, name: str) -> ir.StringValue:
    try:
        return reader.text(name).left(LONGEST_VALUE + 1)
    except Unreadable:
        return ibis.literal("(binary)")


def _cut(value: Any) -> Any:
    if isinstance(value, str) and len(value) > LONGEST_VALUE:
        return value[:LONGEST_VALUE] + "…"
    return value
