"""How texts are read with the type of an attribute, on both engines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from longhaul.adapters.sources.rule_evaluator import SourceRuleEvaluator
from longhaul.adapters.sources.sessions import SourceSessions
from longhaul.core.formats import DataType
from longhaul.core.rule_execution import Fault, SampleOf, TableRule, TableVerdicts, Verdict
from longhaul.core.sources import DataSource, SourceAccess, SourceKind
from tests.tables import KINDS, TYPED, make_table

ROWS = [
    ("202402", "20240229", "01", "1"),
    ("202402", "20240301", "1", "2"),
    ("202402", "2024-01-31", "x", "3"),
    ("202413", "20240115", None, "4"),
]


@dataclass
class Table:
    """The same rows in a database and in a file, asked one rule at a time."""

    evaluator: SourceRuleEvaluator
    source: DataSource

    async def failing(
        self,
        expectation: str,
        kwargs: Mapping[str, object],
        types: Mapping[str, DataType],
        written: Mapping[str, str],
    ) -> list[str]:
        """The ids of the rows that fail."""
        rule = TableRule(
            id="r",
            expectation=f"expect_{expectation}",
            kwargs=kwargs,
            columns={"Month": "mth", "Day": "dy", "Code": "cd"},
            types=types,
            written=written,
        )
        (failing,) = await self.all_failing([rule])
        return failing

    async def all_failing(self, rules: Sequence[TableRule], key: str = "id") -> list[list[str]]:
        """The ids of the rows that fail each of some rules."""
        found = await self.evaluator.evaluate(self.source, None, rules, key=[key])
        outcomes = [one.outcome for one in found.judged]
        return [
            sorted(example["key"][key] for example in one.examples)
            for one in outcomes
            if isinstance(one, Verdict)
        ]


@pytest.fixture(params=KINDS)
async def table(request: pytest.FixtureRequest, dsn: str, tmp_path: Path) -> Table:
    source = await make_table(request.param, dsn, tmp_path, ["mth", "dy", "cd", "id"], ROWS)
    return Table(SourceRuleEvaluator(SourceSessions(SourceAccess(own_dsn=dsn))), source)


MONTH_AND_DAY = {"Month": DataType.DATE, "Day": DataType.DATE}
WRITTEN = {"Month": "%Y%m", "Day": "%Y%m%d"}


async def test_a_month_is_not_before_its_own_days(table: Table) -> None:
    pair = {"column_A": "Month", "column_B": "Day", "or_equal": True}

    failing = await table.failing(
        "column_pair_values_a_to_be_greater_than_b", pair, MONTH_AND_DAY, WRITTEN
    )

    # The second is of the month after; the others are no month and no day as they should be.
    assert failing == ["2", "3", "4"]


async def test_a_month_is_compared_with_days_by_their_months(table: Table) -> None:
    day = "2024-02-15"
    since, after = ({"column": "Month", "min_value": day, "strict_min": it} for it in (False, True))
    only_then = {
        "column": "Code",
        "row_condition": {
            "type": "comparison",
            "column": {"name": "Month"},
            "operator": "==",
            "parameter": day,
        },
    }
    pair = {"column_A": "Month", "column_B": "Day"}
    for name, kwargs, failing in (
        ("between", since, ["4"]),
        ("between", after, ["1", "2", "3", "4"]),
        ("in_set", {"column": "Month", "value_set": [day]}, ["4"]),
        ("not_in_set", {"column": "Month", "value_set": [day]}, ["1", "2", "3"]),
    ):
        kind = f"column_values_to_{'not_be' if 'not' in name else 'be'}_{name.removeprefix('not_')}"
        assert await table.failing(kind, kwargs, MONTH_AND_DAY, WRITTEN) == failing
    equal = await table.failing("column_pair_values_to_be_equal", pair, MONTH_AND_DAY, WRITTEN)
    scoped = await table.failing(
        "column_values_to_be_in_set", {**only_then, "value_set": ["01"]}, MONTH_AND_DAY, WRITTEN
    )

    assert equal == ["2", "3", "4"]
    assert scoped == ["2", "3"]


async def test_a_date_is_read_as_it_is_declared(table: Table) -> None:
    since = {"column": "Day", "min_value": "2024-01-01"}

    assert await table.failing("column_values_to_be_between", since, MONTH_AND_DAY, WRITTEN) == [
        "3"
    ]
    assert await table.failing("column_values_to_be_between", since, MONTH_AND_DAY, {}) == []


async def test_attributes_that_share_a_column_read_it_each_in_its_own_way(table: Table) -> None:
    rules = [
        TableRule(
            id=form,
            expectation="expect_column_values_to_be_between",
            kwargs={"column": "When", "min_value": "2024-01-01"},
            columns={"When": "dy"},
            types={"When": DataType.DATE},
            written={"When": form},
        )
        for form in ("%Y%m%d", "%Y-%m-%d")
    ]

    assert await table.all_failing(rules) == [["3"], ["1", "2", "4"]]


@pytest.mark.parametrize("kind", ["integer", "numeric(8,0)", "numeric(12,2)", "numeric", "float8"])
async def test_a_number_may_be_a_day(dsn: str, tmp_path: Path, kind: str) -> None:
    rows = [("20240229", "20240228"), ("20240230", "20240228"), ("20240228", "20240229")]
    columns = [f"day {kind}", f"before {kind}"]
    source = await make_table(SourceKind.POSTGRESQL, dsn, tmp_path, columns, rows)
    table = Table(SourceRuleEvaluator(SourceSessions(SourceAccess(own_dsn=dsn))), source)
    about: dict[str, Any] = {
        "columns": {"Day": "day", "Before": "before"},
        "types": dict.fromkeys(("Day", "Before"), DataType.DATE),
        "written": dict.fromkeys(("Day", "Before"), "%Y%m%d"),
    }

    def rule(name: str, **kwargs: str) -> TableRule:
        return TableRule(id=name, expectation=f"expect_{name}", kwargs=kwargs, **about)

    failing = await table.all_failing(
        [
            rule("column_values_to_match_strftime_format", column="Day", strftime_format="%Y%m%d"),
            rule("column_values_to_be_between", column="Day", min_value="2024-02-29"),
            rule("column_pair_values_a_to_be_greater_than_b", column_A="Day", column_B="Before"),
        ],
        key="day",
    )

    days = [[one[:8] for one in some] for some in failing]
    assert days == [["20240230"], ["20240228", "20240230"], ["20240228", "20240230"]]


async def test_codes_are_compared_as_what_the_attribute_holds(table: Table) -> None:
    as_number = {"column": "Code", "value_set": [1]}
    as_text = {"column": "Code", "value_set": ["1"]}

    numbers = await table.failing(
        "column_values_to_be_in_set", as_number, {"Code": DataType.INTEGER}, {}
    )
    texts = await table.failing(
        "column_values_to_be_in_set", as_text, {"Code": DataType.STRING}, {}
    )

    assert numbers == ["3"]
    assert texts == ["1", "3"]


async def test_every_query_of_a_sample_sees_the_same_rows(dsn: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id\n" + "".join(f"{number}\n" for number in range(5_000)))
    file = DataSource(name="t", kind=SourceKind.CSV, location=str(path))
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE SCHEMA landing")
    await connection.execute("CREATE TABLE landing.t AS SELECT generate_series(0, 4999) AS id")
    await connection.execute(
        "CREATE VIEW landing.v AS SELECT id, ARRAY[id] AS ids, '1'::bytea AS b FROM landing.t"
    )
    await connection.close()
    own = DataSource(name="t", kind=SourceKind.POSTGRESQL, location="landing.t")
    view = DataSource(name="v", kind=SourceKind.POSTGRESQL, location="landing.v")
    evaluator = SourceRuleEvaluator(SourceSessions(SourceAccess(own_dsn=dsn)))

    async def sample(source: DataSource, wanted: SampleOf) -> TableVerdicts:
        never = {"column": "id", "min_value": -2, "max_value": -1}
        rules = [
            TableRule(
                id="u", expectation="expect_column_values_to_be_unique", kwargs={"column": "id"}
            ),
            TableRule(id="b", expectation="expect_column_values_to_be_between", kwargs=never),
            TableRule(
                id="r",
                expectation="expect_table_row_count_to_be_between",
                kwargs={"min_value": 5_000},
            ),
        ]
        return await evaluator.evaluate(source, None, rules, key=["id"], sample=wanted, examples=9)

    for source in (own, view, file):
        found = await sample(source, SampleOf(size=200))
        unique, between, count = (one.outcome for one in found.judged)
        assert 100 < found.rows <= 200
        assert isinstance(unique, Verdict)
        assert isinstance(between, Verdict)
        assert isinstance(count, Verdict)
        assert unique.considered == between.failed == found.rows
        assert count.success
        again = await sample(source, SampleOf(size=200))
        if source is not file:
            assert [one.outcome for one in again.judged] == [unique, between, count]
        share = await sample(source, SampleOf(percentage=10))
        assert 300 < share.rows < 700


@pytest.fixture(params=["table", "view", "file"])
async def thousand(request: pytest.FixtureRequest, dsn: str, tmp_path: Path) -> DataSource:
    """A thousand rows, all of them wrong."""
    kind = SourceKind.CSV if request.param == "file" else SourceKind.POSTGRESQL
    rows = [(f"{number:04}", "bad") for number in range(1_000)]
    source = await make_table(kind, dsn, tmp_path, ["id", "v"], rows)
    if request.param != "view":
        return source
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE VIEW landing.v AS SELECT * FROM landing.t")
    await connection.close()
    return replace(source, location="landing.v")


async def judge_sample(source: DataSource, dsn: str, wanted: SampleOf) -> TableVerdicts:
    rules = [
        of_v("values_to_be_in_set", None, value_set=["good"]),
        TableRule(
            id="count",
            expectation="expect_table_row_count_to_be_between",
            kwargs={"min_value": 1_000},
        ),
    ]
    evaluator = SourceRuleEvaluator(SourceSessions(SourceAccess(own_dsn=dsn)))
    return await evaluator.evaluate(source, None, rules, key=["id"], sample=wanted, examples=2_000)


@pytest.mark.parametrize("size", [1, 2, 60, 999, 1_000, 5_000])
async def test_a_sample_has_as_many_rows_as_were_asked_for_from_everywhere(
    thousand: DataSource, dsn: str, size: int
) -> None:
    found = await judge_sample(thousand, dsn, SampleOf(size=size))

    (verdict, count) = (one.outcome for one in found.judged)
    assert isinstance(verdict, Verdict)
    assert isinstance(count, Verdict)
    assert found.rows == verdict.failed == min(size, 1_000)
    assert (verdict.success, count.success) == (False, True)
    ids = {example["key"]["id"] for example in verdict.examples}
    assert len(ids) == verdict.failed
    if size >= 60:
        assert min(ids) < "0300"
        assert max(ids) > "0700"


async def test_a_sample_without_a_row_is_no_success(thousand: DataSource, dsn: str) -> None:
    found = await judge_sample(thousand, dsn, SampleOf(percentage=0.000_01))

    (fault, count) = (one.outcome for one in found.judged)
    assert isinstance(fault, Fault)
    assert fault.code == "sample_empty"
    assert isinstance(count, Verdict)
    assert (found.rows, count.success) == (0, True)


async def test_a_sample_of_an_empty_table_holds(dsn: str, tmp_path: Path) -> None:
    source = await make_table(SourceKind.CSV, dsn, tmp_path, ["id", "v"], [])

    found = await judge_sample(source, dsn, SampleOf(size=3))

    assert [getattr(one.outcome, "success", one.outcome) for one in found.judged] == [True, False]


@pytest.mark.parametrize("kind", KINDS)
async def test_two_missing_values_of_a_record_are_the_same(
    dsn: str, tmp_path: Path, kind: SourceKind
) -> None:
    rows = [("1", "a", "b", "c"), ("2", None, "b", "c"), ("3", None, None, "c"), ("4", *[None] * 3)]
    source = await make_table(kind, dsn, tmp_path, ["id", "x", "y", "z"], rows)
    table = Table(SourceRuleEvaluator(SourceSessions(SourceAccess(own_dsn=dsn))), source)

    def rule(ignore: str) -> TableRule:
        return TableRule(
            id=ignore,
            expectation="expect_select_column_values_to_be_unique_within_record",
            kwargs={"column_list": ["x", "y", "z"], "ignore_row_if": ignore},
        )

    failing = await table.all_failing(
        [rule("all_values_are_missing"), rule("any_value_is_missing"), rule("never")]
    )

    assert failing == [["3"], [], ["3", "4"]]


async def typed_table(
    kind: SourceKind, dsn: str, folder: Path, column: str, values: Sequence[str]
) -> Table:
    """A table with a column `v` of some type, named by a column `id`."""
    rows = [(str(number), value) for number, value in enumerate(values, 1)]
    source = await make_table(kind, dsn, folder, ["id", f"v {column}"], rows)
    return Table(SourceRuleEvaluator(SourceSessions(SourceAccess(own_dsn=dsn))), source)


def of_v(expectation: str, data_type: DataType | None, **kwargs: object) -> TableRule:
    return TableRule(
        id=f"{expectation} {kwargs}",
        expectation=f"expect_column_{expectation}",
        kwargs={"column": "v", **kwargs},
        types={} if data_type is None else {"v": data_type},
        written={"v": "%Y%m%d"} if data_type is DataType.DATE else {},
    )


@pytest.mark.parametrize("kind", TYPED)
@pytest.mark.parametrize("column", ["float8", "real"])
async def test_a_whole_number_is_written_without_a_point(
    dsn: str, tmp_path: Path, kind: SourceKind, column: str
) -> None:
    values = ["7", "-0", "16777216", "1000000000000000", "2.5", "NaN", "-Infinity"]
    table = await typed_table(kind, dsn, tmp_path, column, values)

    failing = await table.all_failing(
        [
            of_v("values_to_match_regex", DataType.INTEGER, regex="^[0-9]+$"),
            of_v("value_lengths_to_be_between", DataType.INTEGER, max_value=7),
            of_v("values_to_match_regex", DataType.STRING, regex="^(NaN|-?Infinity)$"),
            of_v("values_to_be_of_type", DataType.INTEGER, type_="Integer"),
        ]
    )

    assert failing == [["5", "6", "7"], ["3", "4", "7"], list("12345"), ["5", "6", "7"]]


@pytest.mark.parametrize("kind", TYPED)
async def test_a_number_in_four_bytes_is_the_one_that_is_written(
    dsn: str, tmp_path: Path, kind: SourceKind
) -> None:
    table = await typed_table(kind, dsn, tmp_path, "real", ["0.1", "0.2", "1234567.5", "33554432"])

    failing = await table.all_failing(
        [
            of_v("values_to_be_between", None, max_value=0.1),
            of_v("values_to_be_between", None, min_value=0.1, max_value=1234567.5),
            of_v("values_to_be_in_set", None, value_set=[0.1, 0.2]),
            of_v("values_to_not_be_in_set", None, value_set=[33554432, 1234567.5]),
        ]
    )

    assert failing == [["2", "3", "4"], ["4"], ["3", "4"], ["3", "4"]]


@pytest.mark.parametrize("kind", TYPED)
async def test_blanks_that_fill_a_column_up_are_no_part_of_a_value(
    dsn: str, tmp_path: Path, kind: SourceKind
) -> None:
    values = ["20240229", "42", "a b", ""]
    table = await typed_table(kind, dsn, tmp_path, "char(10)", values)

    failing = await table.all_failing(
        [
            of_v("values_to_match_regex", DataType.STRING, regex="^[0-9a-z ]*[0-9a-z]$"),
            of_v("values_to_be_between", DataType.DECIMAL, min_value=42),
            of_v("values_to_be_between", DataType.DATE, min_value="2024-02-29"),
            of_v("values_to_be_of_type", DataType.STRING, type_="Integer"),
            of_v("values_to_be_in_set", DataType.STRING, value_set=["42", "a b", ""]),
            of_v("value_lengths_to_be_between", DataType.STRING, max_value=3),
        ]
    )

    assert failing == [["4"], ["3", "4"], ["2", "3", "4"], ["3", "4"], ["1"], ["1"]]


@pytest.mark.parametrize("kind", TYPED)
async def test_a_pattern_that_no_new_rule_may_have_is_still_judged(
    dsn: str, tmp_path: Path, kind: SourceKind
) -> None:
    table = await typed_table(kind, dsn, tmp_path, "text", ["ab", "a b", "-"])

    failing = await table.all_failing(
        [
            of_v("values_to_match_regex", DataType.STRING, regex=r"^\w+$"),
            of_v("values_to_not_match_regex", DataType.STRING, regex=r"\s|[[:punct:]]"),
        ]
    )

    assert failing == [["2", "3"], ["2", "3"]]
