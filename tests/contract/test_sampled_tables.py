"""Samples of tables unlike the sample report, on both engines."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from longhaul.activities.drawing import draw_all
from longhaul.adapters.regexes import Re2
from longhaul.adapters.sources.evidence import SourceEvidence
from longhaul.adapters.sources.files import FileSession
from longhaul.adapters.sources.names import split
from longhaul.adapters.sources.rows import LONGEST_CELL
from longhaul.adapters.sources.sampler import SourceSampler
from longhaul.adapters.sources.session import closing
from longhaul.adapters.sources.sessions import SourceSessions
from longhaul.adapters.sources.table_sampling import TableSampling
from longhaul.core.expectations import BETWEEN, LENGTHS, UNIQUE
from longhaul.core.formats import DataType
from longhaul.core.rule_execution import TableRule
from longhaul.core.sampling import (
    Category,
    Kind,
    Risk,
    SampledAttribute,
    SampledRule,
    Scope,
    TableRequest,
)
from longhaul.core.sources import DataSource, SourceAccess, SourceKind
from tests.tables import KINDS, TYPED, make_table

MONTHS = [f"2023{month:02}" for month in range(1, 13)] + [
    f"2024{month:02}" for month in range(1, 13)
]
# A balance that names its row.
HISTORY = [
    (str(loan), month, f"{loan * 100 + number}")
    for loan in range(1, 201)
    for number, month in enumerate(MONTHS)
]


@pytest.fixture(params=KINDS)
async def history(request: pytest.FixtureRequest, dsn: str, tmp_path: Path) -> DataSource:
    columns = ["loan integer", "month", "balance numeric(12,2)"]
    return await make_table(request.param, dsn, tmp_path, columns, HISTORY)


@pytest.fixture
def sampler(dsn: str) -> SourceSampler:
    return SourceSampler(SourceSessions(SourceAccess(own_dsn=dsn)))


def attribute(id: int, column: str, data_type: DataType, **more: Any) -> SampledAttribute:
    return SampledAttribute(
        id=id,
        name=column.capitalize(),
        data_type=data_type,
        is_mandatory=False,
        is_key=False,
        is_critical=False,
        column=column,
        **more,
    )


def request_of(
    source: DataSource,
    *,
    key: Sequence[str],
    wanted: Mapping[Category, int],
    attributes: Sequence[SampledAttribute] = (attribute(1, "balance", DataType.DECIMAL),),
    rules: Sequence[SampledRule] = (),
) -> TableRequest:
    return TableRequest(
        source=source,
        table=None,
        key=key,
        attributes=attributes,
        rules=rules,
        seed=7,
        wanted=wanted,
    )


async def test_a_row_of_a_history_is_named_by_loan_and_month(
    history: DataSource, sampler: SourceSampler
) -> None:
    wanted = {Category.CLEAN: 15, Category.BOUNDARY: 2, Category.ANOMALY: 8}

    samples = await sampler.sample(request_of(history, key=["loan", "month"], wanted=wanted))

    balances: dict[tuple[str | None, str | None], float]
    balances = {(loan, month): float(balance) for loan, month, balance in HISTORY}
    keys = [(row.source_key["loan"], row.source_key["month"]) for row in samples.drawn]
    assert len(set(keys)) == 17
    assert [float(row.data["Balance"] or 0) for row in samples.drawn] == [
        balances[key] for key in keys if all(key)
    ]


async def test_of_rows_with_the_same_key_one_is_drawn_and_the_report_says_so(
    history: DataSource, sampler: SourceSampler
) -> None:
    wanted = {Category.CLEAN: 150}

    # Loan by loan there are 24 rows, and the month lies in no column of this table.
    samples = await sampler.sample(request_of(history, key=["loan", "Month End"], wanted=wanted))

    assert len({row.source_key["loan"] for row in samples.drawn}) == len(samples.drawn) == 150
    assert all(row.source_key.keys() == {"loan"} for row in samples.drawn)
    problem = samples.problems[1]
    assert "no Month End" in problem
    assert "200 of 4800" in problem


async def test_a_table_without_a_part_of_the_key_may_name_its_rows_all_the_same(
    history: DataSource, sampler: SourceSampler
) -> None:
    request = request_of(history, key=["loan", "month", "Portfolio"], wanted={Category.CLEAN: 10})

    samples = await sampler.sample(request)

    assert len(samples.drawn) == 10
    assert not samples.problems


@pytest.mark.parametrize("kind", KINDS)
async def test_the_shortest_and_longest_text_that_a_rule_allows_is_a_boundary(
    kind: SourceKind, dsn: str, tmp_path: Path, sampler: SourceSampler
) -> None:
    names = ["A" * length for length in (1, 3, 3, 5, 8, 8, 9)]
    rows = [(str(number), name) for number, name in enumerate(names)]
    source = await make_table(kind, dsn, tmp_path, ["id", "name"], rows)
    rules = [
        SampledRule(
            rule=TableRule(
                id=f"{least} to {most}",
                expectation=LENGTHS,
                kwargs={"column": "Name", "min_value": least, "max_value": most},
                columns={"Name": "name"},
            ),
            attribute_id=1,
            name=f"{least} to {most}",
            severity=Risk.LOW,
        )
        # Of a fixed length there is no boundary.
        for least, most in ((3, 8), (5, 5))
    ]

    samples = await sampler.sample(
        request_of(
            source,
            key=["id"],
            wanted={Category.BOUNDARY: 7},
            attributes=[attribute(1, "name", DataType.STRING)],
            rules=rules,
        )
    )

    by_rule = {pool.reason: pool.count for pool in samples.pools if pool.kind == "rule_boundary"}
    assert by_rule == {
        "The length of Name is the lowest value that the rule “3 to 8” names.": 2,
        "The length of Name is the highest value that the rule “3 to 8” names.": 2,
    }


@pytest.mark.parametrize("kind", KINDS)
async def test_the_month_that_holds_the_first_day_of_a_rule_is_a_boundary(
    kind: SourceKind, dsn: str, tmp_path: Path, sampler: SourceSampler
) -> None:
    months = ["202312", "202401", "202401", "202402", "202403"]
    rows = [(str(number), month) for number, month in enumerate(months)]
    source = await make_table(kind, dsn, tmp_path, ["id", "month"], rows)
    about: Any = {
        "columns": {"Month": "month"},
        "types": {"Month": DataType.DATE},
        "written": {"Month": "%Y%m"},
    }
    kwargs = {"column": "Month", "min_value": "2024-01-15"}
    rule = SampledRule(
        rule=TableRule(id="r", expectation=BETWEEN, kwargs=kwargs, **about),
        attribute_id=1,
        name="since January",
        severity=Risk.LOW,
    )
    month = attribute(1, "month", DataType.DATE, written="%Y%m")
    wanted = {Category.ANOMALY: 5, Category.BOUNDARY: 5}

    samples = await sampler.sample(
        request_of(source, key=["id"], wanted=wanted, attributes=[month], rules=[rule])
    )

    assert {pool.kind: pool.count for pool in samples.pools if pool.rule_id} == {
        "rule_violation": 1,
        "rule_boundary": 2,
    }
    assert [pool.count for pool in samples.pools if pool.kind == "data_boundary"] == [1, 1]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_clean_row_is_none_of_those_that_several_rules_find_twice(
    kind: SourceKind, dsn: str, tmp_path: Path, sampler: SourceSampler
) -> None:
    # Of the first two the names are the same, of the next two the codes.
    rows = [("1", "a", "x"), ("2", "a", "y"), ("3", "b", "z"), ("4", "c", "z")]
    rows += [(str(number), f"n{number}", f"c{number}") for number in range(5, 9)]
    source = await make_table(kind, dsn, tmp_path, ["id", "name", "code"], rows)
    columns = ("name", "code")
    rules = [
        SampledRule(
            rule=TableRule(id=column, expectation=UNIQUE, kwargs={"column": column}),
            attribute_id=at,
            name=f"{column} once",
            severity=Risk.LOW,
        )
        for at, column in enumerate(columns)
    ]
    # Two attributes of a key may have the same rule.
    twin = replace(rules[0], rule=replace(rules[0].rule, id="twin"), attribute_id=1)
    attributes = [attribute(at, column, DataType.STRING) for at, column in enumerate(columns)]

    samples = await sampler.sample(
        request_of(
            source,
            key=["id"],
            wanted={Category.ANOMALY: 8, Category.CLEAN: 8},
            attributes=attributes,
            rules=[*rules, twin],
        )
    )

    drawn = {
        category: sorted(
            row.source_key["id"] or ""
            for row in samples.drawn
            if row.pick.pool.category is category
        )
        for category in (Category.ANOMALY, Category.CLEAN)
    }
    assert drawn == {Category.ANOMALY: ["1", "2", "3", "4"], Category.CLEAN: ["5", "6", "7", "8"]}
    assert sum(samples.clean) == 4


@pytest.mark.parametrize("kind", TYPED)
@pytest.mark.parametrize(
    ("column", "first"), [("float8", "1234567890"), ("real", "16000000"), ("char(20)", "L-1")]
)
async def test_a_key_is_sampled_and_found_again_as_people_write_it(
    dsn: str, tmp_path: Path, sampler: SourceSampler, kind: SourceKind, column: str, first: str
) -> None:
    rows = [(first, "20000000000000", "2.50")]
    source = await make_table(kind, dsn, tmp_path, [f"loan {column}", "balance float8", "x"], rows)
    attributes = [
        attribute(1, "balance", DataType.INTEGER),
        attribute(2, "loan", DataType.STRING),
    ]
    request = request_of(source, key=["loan"], wanted={Category.CLEAN: 1}, attributes=attributes)

    (row,) = (await sampler.sample(request)).drawn

    assert row.source_key == {"loan": first}
    assert row.data == {"Balance": "20000000000000", "Loan": first}
    sessions = SourceSessions(SourceAccess(own_dsn=dsn))
    evidence = SourceEvidence(sessions=sessions, queries=sessions)
    table = split(row.table)[-1]
    assert await evidence.rows(source, table, "balance", row.source_key) == ["20000000000000"]


@pytest.mark.parametrize("kind", KINDS)
async def test_clean_rows_are_spread_over_strata_as_allotted_and_over_the_attributes(
    kind: SourceKind, dsn: str, tmp_path: Path, sampler: SourceSampler
) -> None:
    rows = [(str(number), "CA" if number < 90 else "TX", "x", "y") for number in range(100)]
    source = await make_table(kind, dsn, tmp_path, ["id", "state", "name", "code"], rows)
    columns = ("state", "name", "code")
    request = request_of(
        source,
        key=["id"],
        wanted={Category.CLEAN: 10},
        attributes=[attribute(at, name, DataType.STRING) for at, name in enumerate(columns)],
    )

    for seed in range(8):
        drawn = (await sampler.sample(replace(request, seed=seed))).drawn

        assert Counter(row.data["State"] for row in drawn) == {"CA": 9, "TX": 1}
        dealt = Counter(row.pick.pool.attribute_id for row in drawn)
        assert sorted(dealt.values()) == [3, 3, 4]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_mandatory_value_that_is_not_there_is_an_anomaly(
    kind: SourceKind, dsn: str, tmp_path: Path, sampler: SourceSampler
) -> None:
    rows = [(str(number), None if number == 7 else "CA") for number in range(40)]
    source = await make_table(kind, dsn, tmp_path, ["id", "state"], rows)
    state = replace(attribute(1, "state", DataType.STRING), is_mandatory=True)
    request = request_of(source, key=["id"], wanted={Category.ANOMALY: 3}, attributes=[state])

    (row,) = (await sampler.sample(request)).drawn

    assert (row.source_key, row.data["State"]) == ({"id": "7"}, None)
    assert (row.pick.pool.kind, row.pick.pool.risk) == (Kind.MISSING, Risk.HIGH)


LONG = "9" * 100_000


class Overheard(FileSession):
    """Notes the longest text that leaves the engine for each query."""

    def __init__(self, source: DataSource, access: SourceAccess) -> None:
        super().__init__(source, access)
        self.longest: list[int] = []

    def _run(self, sql: str) -> list[tuple[Any, ...]]:
        rows = super()._run(sql)
        self.longest += [len(cell) for row in rows for cell in row if isinstance(cell, str)]
        return rows


async def test_no_long_text_is_drawn_whole_and_none_makes_a_stratum(
    dsn: str, tmp_path: Path
) -> None:
    # Each text tells its row from the other with the same key, at its beginning.
    rows = [(str(n // 2), "a" if n % 3 else "b", f"{n} {LONG}") for n in range(60)]
    rows.append(("lone", LONG, "the end"))
    source = await make_table(SourceKind.PARQUET, dsn, tmp_path, ["id", "code", "text"], rows)
    attributes = [
        attribute(1, "code", DataType.STRING),
        attribute(2, "text", DataType.STRING),
    ]
    request = request_of(
        source, key=["id"], wanted={Category.CLEAN: 20, Category.BOUNDARY: 1}, attributes=attributes
    )

    session = Overheard(source, SourceAccess())
    with closing(session):
        samples = TableSampling(session, session.table(None), request, Re2()).run()

    assert len(samples.drawn) == 21
    assert max(session.longest) <= LONGEST_CELL + 1
    assert sum(one > 1_000 for one in session.longest) < 60
    assert all(len(row.pick.pool.reason) < 200 for row in samples.drawn)
    assert samples.clean == [61]
    cells = [row.data["Text"] or "" for row in samples.drawn]
    assert sum(len(cell) == LONGEST_CELL + 1 and cell.endswith("…") for cell in cells) >= 20
    sessions = SourceSessions(SourceAccess())
    evidence = SourceEvidence(sessions=sessions, queries=sessions)
    row = samples.drawn[0]
    again = await evidence.rows(source, "t", "text", row.source_key)
    assert row.data["Text"] in again


async def test_what_is_drawn_of_several_tables_is_counted_by_their_strata(
    dsn: str, tmp_path: Path, sampler: SourceSampler
) -> None:
    many = [(str(number), "CA" if number < 90 else "TX") for number in range(100)]
    few = [(str(number), "x") for number in range(1_000, 1_003)]
    sources = {}
    for id, rows in enumerate((many, few), start=1):
        folder = tmp_path / str(id)
        folder.mkdir()
        source = await make_table(SourceKind.CSV, dsn, folder, ["id", "state"], rows)
        sources[id] = replace(source, id=id)
    key = replace(attribute(9, "id", DataType.STRING), is_key=True)
    scope = Scope(
        attributes=[
            replace(attribute(id, "state", DataType.STRING), source_id=id, table="t")
            for id in sources
        ],
        keys=[replace(key, source_id=id, table="t") for id in sources],
        rules={},
        sources=sources,
        scoped_by="report",
    )

    drawing = await draw_all(sampler, scope, wanted={Category.CLEAN: 10}, seed=7, decided={})

    # The second table has no more than three; the first gives two more for them.
    assert drawing.frame.clean == [90, 10, 3]
    drawn = drawing.rows[Category.CLEAN]
    states = ["CA", "TX", "x"]
    assert [states[place] for place in drawing.frame.strata] == [row.data["State"] for row in drawn]
    assert Counter(drawing.frame.strata) == {0: 5, 1: 2, 2: 3}
