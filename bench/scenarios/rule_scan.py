"""Many rules over a wide table: one scan, compared with reading a column into pandas per rule."""

import asyncio
import resource
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import asyncpg
import pandas as pd
import sqlalchemy

from bench.figures import Figure, bounded, compared
from bench.scale import Scale
from bench.stack import Stack
from longhaul.adapters.sources.rule_evaluator import SourceRuleEvaluator
from longhaul.adapters.sources.sessions import SourceSessions
from longhaul.core.rule_execution import TableRule, TableVerdicts, Verdict
from longhaul.core.sources import DataSource, SourceAccess, SourceKind

NAME = "rule_scan"
ROUNDS = 3
ROWS = 1_000_000
RULES = 400

# The columns of a real report by their types.
INTEGERS, DECIMALS, TEXTS, DATES = 54, 46, 9, 9

# Reading a column takes the same time for every rule, so a few are enough.
PEER_RULES = 8

TABLE = "bench.source"
SOURCE = DataSource(name="bench", kind=SourceKind.POSTGRESQL, location=TABLE)

_KINDS = {
    "i": ("integer", INTEGERS, "(n * {k} % 100000)::integer"),
    "d": ("numeric(14,2)", DECIMALS, "((n * {k} % 1000000) / 100.0)::numeric(14,2)"),
    "s": ("text", TEXTS, "substr(md5((n + {k})::text), 1, 10)"),
    "t": ("date", DATES, "date '2015-01-01' + (n * {k} % 4000)::integer"),
}


async def rule_scan(scale: Scale) -> list[Figure]:
    """400 rules over 118 columns: how long, and whether memory grows with the rows."""
    rows = scale(ROWS)
    rules = list(_rules())[:RULES]
    mine: list[float] = []
    peer: list[float] = []
    async with Stack.open() as stack:
        access = SourceAccess(own_dsn=stack.dsn)
        evaluator = SourceRuleEvaluator(SourceSessions(access))
        await _fill(stack.dsn, rows // 10)
        await _judge(evaluator, rules)
        few = _peak_megabytes()
        await _fill(stack.dsn, rows)
        # Before the peer, whose memory would hide ours.
        found = await _judge(evaluator, rules)
        many = _peak_megabytes()
        for number in range(1, ROUNDS + 1):
            started = time.monotonic()
            await _judge(evaluator, rules)
            mine.append(len(rules) / (time.monotonic() - started))
            peer.append(await asyncio.to_thread(_column_by_column, stack.dsn))
            scale.say(
                f"round {number}: {mine[-1]:.1f} rules/s in one scan, "
                f"{peer[-1]:.2f} rules/s column by column"
            )
    judged = sum(isinstance(one.outcome, Verdict) for one in found.judged)
    measure = f"{len(rules)} rules, {sum(count for _, count, _ in _KINDS.values())} columns"
    return [
        bounded(NAME, "rules that could be judged", judged, at_least=RULES, at_most=RULES),
        compared(
            NAME,
            f"{measure}, {rows:,} rows",
            mine,
            f"pandas, a column a rule ({PEER_RULES} rules, scaled)",
            peer,
            unit="rules/s",
            at_least=20,
        ),
        bounded(
            NAME,
            f"peak memory with {rows:,} rows, beside a tenth of them",
            many / few,
            unit="×",
            at_most=1.1,
            details={"megabytes_few": few, "megabytes_many": many},
        ),
    ]


async def _judge(evaluator: SourceRuleEvaluator, rules: Sequence[TableRule]) -> TableVerdicts:
    return await evaluator.evaluate(SOURCE, None, rules, key=["i1"])


async def _fill(dsn: str, rows: int) -> None:
    columns = [
        (f"{prefix}{number}", kind, value.format(k=number * 7 + 1))
        for prefix, (kind, count, value) in _KINDS.items()
        for number in range(1, count + 1)
    ]
    # The first column identifies the row.
    columns[0] = ("i1", "integer", "n::integer")
    definitions = ", ".join(f"{name} {kind}" for name, kind, _ in columns)
    values = ", ".join(value for _, _, value in columns)
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(
            f"CREATE SCHEMA IF NOT EXISTS bench; DROP TABLE IF EXISTS {TABLE};"
            f" CREATE UNLOGGED TABLE {TABLE} ({definitions})"
        )
        await connection.execute(
            f"INSERT INTO {TABLE} SELECT {values} FROM generate_series(1, {rows}::bigint) AS n"  # noqa: S608 - our own constants
        )
        await connection.execute(f"VACUUM ANALYZE {TABLE}")
    finally:
        await connection.close()


def _rules() -> Iterator[TableRule]:
    """Some rules of each kind for each column; most pass, as in practice."""
    integers, decimals, texts, dates = (
        [f"{prefix}{number}" for number in range(1, count + 1)]
        for prefix, (_, count, _) in _KINDS.items()
    )
    yield _rule("column_values_to_be_unique", column="i1")
    yield _rule("table_row_count_to_be_between", min_value=1)
    for column in (*integers, *decimals, *texts, *dates):
        yield _rule("column_values_to_not_be_null", column=column)
    for column in integers:
        yield _rule("column_values_to_be_between", column=column, min_value=0)
        yield _rule("column_values_to_not_be_in_set", column=column, value_set=[-1, 999_999_999])
    for column in texts:
        yield _rule("column_value_lengths_to_be_between", column=column, max_value=10)
        yield _rule("column_values_to_match_regex", column=column, regex="^[0-9a-f]+$")
    for column in dates:
        yield _rule(
            "column_values_to_be_between",
            column=column,
            min_value="2015-01-01",
            max_value="2025-12-30",
        )
    for column in decimals:
        yield _rule("column_values_to_be_between", column=column, min_value=0, max_value=10_000)
        yield _rule("column_mean_to_be_between", column=column, min_value=0)
    for greater, smaller in (*pairwise(dates), *pairwise(integers)):
        yield _rule(
            "column_pair_values_a_to_be_greater_than_b",
            column_A=greater,
            column_B=smaller,
            or_equal=True,
            mostly=0.01,
        )


def _rule(name: str, **kwargs: Any) -> TableRule:
    return TableRule(id=f"{name} {kwargs}", expectation=f"expect_{name}", kwargs=kwargs)


def _column_by_column(dsn: str) -> float:
    """Rules a second, each reading its whole column, as in the replaced system."""
    engine = sqlalchemy.create_engine(dsn.replace("postgresql://", "postgresql+psycopg://"))
    columns = [f"{prefix}{number}" for number in (1, 2) for prefix in _KINDS]
    started = time.monotonic()
    with engine.connect() as connection:
        for column in columns[:PEER_RULES]:
            query = sqlalchemy.text(f"SELECT {column} FROM {TABLE}")  # noqa: S608 - ours
            frame = pd.read_sql_query(query, connection)
            int(frame[column].isna().sum())
    seconds = time.monotonic() - started
    engine.dispose()
    return PEER_RULES / seconds


def _peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
