"""Verdicts of both engines on random small tables, compared with plain Python's."""

import math
import struct
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg import sql

from longhaul.adapters.regexes import Re2
from longhaul.adapters.sources.calendar import WRITINGS
from longhaul.adapters.sources.files import FileSession
from longhaul.adapters.sources.postgres import PostgresSession
from longhaul.adapters.sources.session import Session, closing
from longhaul.adapters.sources.table_scan import TableScan
from longhaul.core.expectations import VOCABULARY
from longhaul.core.formats import DataType
from longhaul.core.rule_execution import Judged, TableRule, Verdict
from longhaul.core.sources import DataSource, SourceAccess, SourceKind
from tests import rule_oracle

TYPES = {
    "s": "text",
    "t": "text",
    'odd "; drop': "text",
    "i": "bigint",
    "f": "double precision",
    "r": "real",
    "n": "numeric(12,2)",
    "d": "date",
    "z": "timestamp",
    "w": "timestamptz",
    "c": "char(6)",
    "m": "varchar",
    "b": "boolean",
}
TEXTS = ("s", "t", 'odd "; drop', "c")
NUMBERS = ("i", "f", "r", "n")
TIMES = ("d", "z", "w")
# The attribute's facts about a column.
DECLARED: Any = {"types": {"m": DataType.DATE}, "written": {"m": "%Y%m"}}

FLOATS = [float("nan"), float("inf"), float("-inf"), -0.0, 0.1, 20240229.0, 1e15, 2.0**53, 1e-5]

# Halves have the same value as decimals and as doubles.
halves = st.integers(-8, 8).map(lambda whole: whole / 2)


def as_real(number: float) -> float:
    """A number stored in four bytes, as it is written."""
    (short,) = struct.unpack("f", struct.pack("f", number))
    return short if short.is_integer() or not math.isfinite(short) else number


spelt = st.sampled_from(
    [
        *("", " ", "0", "-0", "007", "7", "+7", "7.", ".5", "0.50", "1e1", "1e400", "NaN", "inf"),
        *("N/A", "1,5", "٣", "ß", "SS", "ﬁ", "e\u0301", "é", "🙂", "a\nb", "a\n", "\\", "'", "%s"),
        *("20240229", "20230229", "20241301", "2024-02-29", "2024-2-9", "02/29/2024", "00000101"),
        *("202402", "202413", "2024-02", "2024-02-29 23:59:59", "2024-02-29T24:00:00"),
        *("20240229235959", "19000229", "20000229", "true", "T", "no", "Y", "1" * 120),
    ]
)
CELLS: Mapping[str, st.SearchStrategy[Any]] = {
    "text": st.none() | spelt | st.text("ab01.-/ ", max_size=4),
    "bigint": st.none() | st.integers(-3, 3) | st.sampled_from([20240229, 202402, 2**53 + 1]),
    "double precision": st.none() | halves | st.sampled_from([*FLOATS, 123456789012.5, 1e300]),
    "real": st.none() | halves | st.sampled_from([*FLOATS, 1234567.5, 123456789.0]).map(as_real),
    "numeric(12,2)": st.none() | halves.map(lambda half: Decimal(str(half))),
    "date": st.none() | st.dates(date(2024, 2, 27), date(2024, 3, 2)),
    "timestamp": st.none()
    | st.datetimes(datetime(2024, 2, 28, 23, 59), datetime(2024, 2, 29, 0, 1))
    | st.just(datetime(2024, 2, 29)),
    "timestamptz": st.none()
    | st.sampled_from(["2024-02-29T00:30:00+01:00", "2024-02-29T00:00:00+00:00"]).map(
        datetime.fromisoformat
    ),
    "boolean": st.none() | st.booleans(),
    "varchar": st.none() | st.sampled_from(["202402", "202403", "202401", "202413", "2024-02", ""]),
    # A database fills these up with blanks, so that those at the end are none of the value's.
    "char(6)": st.none() | (spelt | st.text("ab01.-/ ")).map(lambda one: one[:6].rstrip(" ")),
}
tables = st.lists(
    st.fixed_dictionaries({name: CELLS[kind] for name, kind in TYPES.items()}), max_size=8
)

numbers = st.integers(-3, 8) | halves | st.just(0.1)
days = st.sampled_from(
    ["2024-02-28", "2024-03-15", "2024-02-29", "2024-02-29T00:00:00", "2000-02-29"]
)
regexes = st.sampled_from(["a", "^a.b$", "^[0-9]+$", "^$", r"^\d{1,3}$", "(a|b)", "^.$", "[^a]"])


def named(*names: str) -> st.SearchStrategy[str]:
    return st.sampled_from(names)


def optional(**kwargs: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=kwargs)


def ends(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    two = st.lists(values, min_size=1, max_size=2).map(
        lambda found: {"min_value": found[0]} | ({"max_value": found[1]} if found[1:] else {})
    )
    strict = optional(strict_min=st.booleans(), strict_max=st.booleans())
    return st.builds(lambda one, other: one | other, two, strict)


def of(columns: st.SearchStrategy[str], **kwargs: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({"column": columns, **kwargs})


def joined(*parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(*parts).map(lambda found: {k: v for part in found for k, v in part.items()})


def values(one: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(one, min_size=1, max_size=3)


def pairs() -> st.SearchStrategy[dict[str, str]]:
    alike = [(TEXTS, TEXTS), (NUMBERS, NUMBERS), (TIMES, TIMES), (TEXTS, NUMBERS), (TEXTS, TIMES)]
    alike += [(("m",), TIMES), (("m",), TEXTS)]
    found = [
        {"column_A": one, "column_B": other}
        for ones, others in alike
        for one in ones
        for other in others
        if one != other
    ]
    return st.sampled_from(
        [
            *found,
            *({"column_A": b, "column_B": a} for a, b in (tuple(each.values()) for each in found)),
        ]
    )


lists = st.lists(named(*TYPES), min_size=2, max_size=3, unique=True).map(
    lambda columns: {"column_list": columns}
)
same_lists = st.sampled_from([TEXTS, NUMBERS, TIMES, ("m", "d")]).map(
    lambda names: {"column_list": [*names]}
)
ignore_pair = optional(
    ignore_row_if=named("both_values_are_missing", "either_value_is_missing", "neither")
)
ignore_list = optional(
    ignore_row_if=named("all_values_are_missing", "any_value_is_missing", "never")
)
in_sets = st.one_of(
    of(named(*TEXTS, *NUMBERS), value_set=values(numbers)),
    of(named(*TEXTS), value_set=values(spelt)),
    of(named(*TIMES, "m"), value_set=values(days)),
    of(named(*TEXTS, "b", "i"), value_set=values(st.booleans())),
)
spelled = named(*TEXTS, *NUMBERS, "b", "d")

KWARGS: Mapping[str, st.SearchStrategy[dict[str, Any]]] = {
    "expect_column_values_to_not_be_null": of(named(*TYPES)),
    "expect_column_values_to_be_between": st.one_of(
        joined(of(named(*TEXTS, *NUMBERS)), ends(numbers)),
        joined(of(named(*TEXTS, *TIMES, "i", "m")), ends(days)),
    ),
    "expect_column_values_to_be_in_set": in_sets,
    "expect_column_values_to_not_be_in_set": in_sets,
    "expect_column_values_to_match_regex": of(spelled, regex=regexes),
    "expect_column_values_to_not_match_regex": of(spelled, regex=regexes),
    "expect_column_values_to_be_unique": of(named(*TYPES)),
    "expect_column_values_to_be_of_type": st.one_of(
        of(named(*TYPES), type_=named("String")),
        of(named(*TEXTS, *NUMBERS), type_=named("Integer", "Decimal")),
        of(named(*TEXTS, "i", *TIMES), type_=named("Date", "DateTime")),
        of(named(*TEXTS, "b", "i"), type_=named("Boolean")),
    ),
    "expect_column_value_lengths_to_be_between": joined(of(spelled), ends(st.integers(0, 4))),
    "expect_column_values_to_match_strftime_format": of(
        named(*TEXTS, "i", *TIMES), strftime_format=named(*WRITINGS)
    ),
    "expect_column_pair_values_a_to_be_greater_than_b": joined(
        pairs(), ignore_pair, optional(or_equal=st.booleans())
    ),
    "expect_column_pair_values_to_be_equal": joined(pairs(), ignore_pair),
    "expect_compound_columns_to_be_unique": joined(lists, ignore_list),
    "expect_select_column_values_to_be_unique_within_record": joined(same_lists, ignore_list),
    "expect_table_row_count_to_be_between": ends(st.integers(0, 8)),
    "expect_column_mean_to_be_between": joined(of(named(*TEXTS, "i", "n")), ends(numbers)),
}


def comparison(
    columns: st.SearchStrategy[str], value: st.SearchStrategy[Any]
) -> st.SearchStrategy[dict[str, Any]]:
    column = columns.map(lambda name: {"name": name})
    single = st.fixed_dictionaries(
        {
            "type": st.just("comparison"),
            "column": column,
            "operator": named("==", "!=", "<", "<=", ">", ">="),
            "parameter": value,
        }
    )
    member = st.fixed_dictionaries(
        {
            "type": st.just("comparison"),
            "column": column,
            "operator": named("IN", "NOT_IN"),
            "parameter": values(value),
        }
    )
    return single | member


leaves = st.one_of(
    comparison(named("s", "f", "n", "i"), numbers),
    comparison(named(*TIMES, "m"), days),
    comparison(named("t"), st.sampled_from(["", "a", "7"])),
    st.fixed_dictionaries(
        {
            "type": st.just("nullity"),
            "column": named(*TYPES).map(lambda name: {"name": name}),
            "is_null": st.booleans(),
        }
    ),
)
conditions = st.recursive(
    leaves,
    lambda part: st.fixed_dictionaries(
        {"type": named("and", "or"), "conditions": st.lists(part, min_size=1, max_size=2)}
    ),
    max_leaves=3,
)


@st.composite
def rules(draw: Callable[..., Any]) -> list[TableRule]:
    """Two rules of each word of the vocabulary."""
    found = []
    for number, (expectation, strategy) in enumerate([*KWARGS.items(), *KWARGS.items()]):
        kwargs = draw(strategy)
        if VOCABULARY[expectation].by_row:
            more = optional(mostly=st.sampled_from([0.3, 0.5, 0.9]), row_condition=conditions)
            kwargs = kwargs | draw(more)
        found.append(TableRule(id=str(number), expectation=expectation, kwargs=kwargs, **DECLARED))
    return found


def test_every_word_of_the_vocabulary_is_tried() -> None:
    assert set(KWARGS) == set(VOCABULARY)


Table = Sequence[Mapping[str, Any]]
Opener = Callable[[Table], Session]

_ORDINARY = settings(
    max_examples=12,
    phases=[Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@given(table=tables, asked=rules())
@_ORDINARY
def test_postgres_judges_as_plain_python_does(
    postgres: Opener, table: Table, asked: list[TableRule]
) -> None:
    check(postgres, table, asked)


@given(table=tables, asked=rules())
@_ORDINARY
def test_a_parquet_file_is_judged_as_plain_python_does(
    parquet: Opener, table: Table, asked: list[TableRule]
) -> None:
    check(parquet, table, asked)


def check(opener: Opener, table: Table, asked: Sequence[TableRule]) -> None:
    with closing(opener(table)) as session:
        scan = TableScan(session, session.table(None), asked, key=(), sample=None, examples=20)
        found = scan.run(Re2())
    assert found.rows == len(table)
    table = [
        {**row, "m": row["m"] if row["m"] is None else rule_oracle.Month(row["m"])} for row in table
    ]
    for rule, judged in zip(asked, found.judged, strict=True):
        expected = rule_oracle.judge(rule.expectation, rule.kwargs, table)
        assert figures(rule, judged) == expected, (rule.expectation, rule.kwargs)


def figures(rule: TableRule, judged: Judged) -> object:
    verdict = judged.outcome
    if not isinstance(verdict, Verdict):
        return verdict
    if VOCABULARY[rule.expectation].by_row:
        assert len(verdict.examples) == min(verdict.failed, 20)
    return verdict.total, verdict.considered, verdict.failed, verdict.success


@pytest.fixture
def postgres(dsn: str) -> Iterator[Opener]:
    source = DataSource(name="t", kind=SourceKind.POSTGRESQL, location="landing.t")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA landing; SET search_path TO landing")
        columns = [
            sql.SQL("{} " + kind).format(sql.Identifier(name)) for name, kind in TYPES.items()
        ]
        connection.execute(sql.SQL("CREATE TABLE t ({})").format(sql.SQL(", ").join(columns)))
        places = sql.SQL(", ").join([sql.Placeholder()] * len(TYPES))
        insert = sql.SQL("INSERT INTO t VALUES ({})").format(places)

        def fill(table: Table) -> Session:
            connection.execute("TRUNCATE t")
            for row in table:
                connection.execute(insert, [row[name] for name in TYPES])
            return PostgresSession(source, dsn, SourceAccess())

        yield fill


@pytest.fixture
def parquet() -> Iterator[Opener]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.parquet"
        source = DataSource(name="t", kind=SourceKind.PARQUET, location=str(path))

        def fill(table: Table) -> Session:
            connection = duckdb.connect()
            columns = ", ".join(
                '"{}" {}'.format(name.replace('"', '""'), kind) for name, kind in TYPES.items()
            )
            connection.execute(f"CREATE TABLE t ({columns})")
            for row in table:
                places = ", ".join(["?"] * len(row))
                connection.execute(
                    f"INSERT INTO t VALUES ({places})", [row[name] for name in TYPES]
                )
            connection.table("t").write_parquet(str(path))
            connection.close()
            return FileSession(source, SourceAccess(memory_mb=256))

        yield fill
