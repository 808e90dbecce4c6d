"""Hostile and broken sources and rules: clear faults, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from longhaul.adapters.sources.rule_evaluator import SourceRuleEvaluator
from longhaul.adapters.sources.session import QueryFailed
from longhaul.adapters.sources.sessions import SourceSessions
from longhaul.core.errors import ItemFailed
from longhaul.core.rule_execution import Fault, TableRule, Verdict
from longhaul.core.sources import DataSource, SourceAccess, SourceKind
from tests.waiting import until

HOSTILE = '"; drop table victim; --'
OWN = DataSource(name="own", kind=SourceKind.POSTGRESQL, location="landing.t")


def rule(expectation: str, **kwargs: Any) -> TableRule:
    name = f"expect_{expectation}"
    return TableRule(id=f"{expectation} {len(str(kwargs))}", expectation=name, kwargs=kwargs)


def not_null(column: str) -> TableRule:
    return rule("column_values_to_not_be_null", column=column)


def matches(column: str, regex: str) -> TableRule:
    return rule("column_values_to_match_regex", column=column, regex=regex)


def csv_source(path: Path, content: str) -> DataSource:
    path.write_text(content, encoding="utf-8")
    return DataSource(name="file", kind=SourceKind.CSV, location=str(path))


@pytest.fixture
def access(dsn: str) -> SourceAccess:
    return SourceAccess(own_dsn=dsn, statement_timeout=timedelta(seconds=20), memory_mb=256)


@pytest.fixture
def evaluator(access: SourceAccess) -> SourceRuleEvaluator:
    return SourceRuleEvaluator(SourceSessions(access))


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator[Any]:
    opened = await asyncpg.connect(dsn)
    await opened.execute("CREATE SCHEMA landing; SET search_path TO landing")
    yield opened
    await opened.close()


async def outcomes(
    evaluator: SourceRuleEvaluator, source: DataSource, *rules: TableRule
) -> list[Verdict | Fault]:
    found = await evaluator.evaluate(source, None, rules)
    return [one.outcome for one in found.judged]


async def test_a_column_with_a_hostile_name_is_a_column(
    connection: Any, evaluator: SourceRuleEvaluator, tmp_path: Path
) -> None:
    quoted = HOSTILE.replace('"', '""')
    await connection.execute(f'CREATE TABLE victim (id int); CREATE TABLE t ("{quoted}" text)')
    await connection.execute("INSERT INTO t VALUES ('a'), (NULL)")
    file = csv_source(tmp_path / "t.csv", f'"{quoted}",b\na,1\n,2\n')
    rules = [
        not_null(HOSTILE),
        rule("column_values_to_be_in_set", column=HOSTILE, value_set=["'; drop table victim; --"]),
        rule("column_values_to_be_unique", column=HOSTILE),
        matches(HOSTILE, "'; drop table victim; --%s"),
    ]

    for source in (OWN, file):
        found = await outcomes(evaluator, source, *rules)
        assert [getattr(one, "failed", one) for one in found] == [1, 1, 0, 1]
    assert await connection.fetchval("SELECT count(*) FROM victim") == 0


async def test_a_pattern_that_explodes_is_refused_and_the_others_are_judged(
    connection: Any, evaluator: SourceRuleEvaluator
) -> None:
    await connection.execute("CREATE TABLE t (a text)")
    await connection.execute(
        "INSERT INTO t SELECT repeat('a', 3000) || '!' FROM generate_series(1, 50)"
    )

    found = await outcomes(
        evaluator,
        OWN,
        matches("a", "^(a+)+$"),
        matches("a", "((a{0,50}){0,50}){0,50}"),
        matches("a", "(?=.*b).*"),
        matches("a", r"(a)\1"),
        matches("a", "["),
        not_null("a"),
    )

    assert isinstance(found[0], Verdict)
    assert found[0].failed == 50
    assert [one.code for one in found[1:5] if isinstance(one, Fault)] == ["bad_regex"] * 4
    assert isinstance(found[5], Verdict)


async def test_what_postgres_alone_refuses_fails_alone(
    connection: Any, evaluator: SourceRuleEvaluator
) -> None:
    await connection.execute("CREATE TABLE t (a text, b bytea)")
    await connection.execute("INSERT INTO t VALUES ('x', 'y')")

    found = await outcomes(
        evaluator,
        OWN,
        *(rule("column_values_to_be_in_set", column="a", value_set=[str(n)]) for n in range(20)),
        # RE2 knows what a letter is, PostgreSQL does not.
        matches("a", r"^\p{L}$"),
        rule("column_values_to_be_between", column="b", min_value=1),
        not_null("b"),
    )

    faults = [one.code for one in found if isinstance(one, Fault)]
    assert faults == ["bad_regex", "type_mismatch"]
    assert sum(isinstance(one, Verdict) for one in found) == 21


async def test_a_huge_cell_is_judged_and_shown_cut(
    connection: Any, evaluator: SourceRuleEvaluator
) -> None:
    await connection.execute("CREATE TABLE t (id int PRIMARY KEY, a text)")
    await connection.execute("INSERT INTO t VALUES (1, repeat('x', 100000000)), (2, 'x')")

    (length, digits) = await outcomes(
        evaluator,
        OWN,
        rule("column_value_lengths_to_be_between", column="a", max_value=10),
        rule("column_values_to_be_of_type", column="a", type_="Integer"),
    )

    assert isinstance(length, Verdict)
    assert length.failed == 1
    (example,) = length.examples
    assert example["key"] == {"id": 1} or example["key"] == {"id": "1"}
    assert len(example["values"]["a"]) == 201
    # A regular expression over it may be too much for the server; it reports that.
    assert isinstance(digits, Verdict) or digits.code in ("too_large", "query_failed")


async def test_a_huge_cell_of_a_file_is_refused_by_its_line(
    evaluator: SourceRuleEvaluator, tmp_path: Path
) -> None:
    source = csv_source(tmp_path / "t.csv", "id,a\n1," + "x" * 20_000_000 + "\n")

    with pytest.raises(ItemFailed, match="line 2") as failed:
        await evaluator.evaluate(source, None, [not_null("a")])

    assert failed.value.item_code == "source_unreadable"
    assert "xxx" not in failed.value.sentence


@pytest.mark.parametrize("line", ["1,2,3", "1", '1,"2'])
async def test_a_ragged_line_is_named_and_not_quoted(
    evaluator: SourceRuleEvaluator, tmp_path: Path, line: str
) -> None:
    source = csv_source(tmp_path / "t.csv", f"id,a\n7,8\n{line}\n9,10\n")

    with pytest.raises(ItemFailed) as failed:
        await evaluator.evaluate(source, None, [not_null("a")])

    assert failed.value.item_code == "source_unreadable"
    assert line not in failed.value.sentence


async def test_a_locked_table_is_given_up_after_a_while(
    connection: Any, access: SourceAccess
) -> None:
    evaluator = SourceRuleEvaluator(
        SourceSessions(replace(access, lock_timeout=timedelta(milliseconds=100)))
    )
    await connection.execute("CREATE TABLE t (a text)")
    async with connection.transaction():
        await connection.execute("LOCK TABLE t")

        with pytest.raises(ItemFailed, match="locked by somebody else") as failed:
            await evaluator.evaluate(OWN, None, [not_null("a")])

    assert failed.value.item_code == "source_locked"


async def test_a_query_that_takes_too_long_is_given_up(
    connection: Any, access: SourceAccess
) -> None:
    sessions = SourceSessions(replace(access, statement_timeout=timedelta(milliseconds=50)))
    await connection.execute("CREATE VIEW t AS SELECT pg_sleep(60)::text AS a")

    with pytest.raises(ItemFailed) as failed:
        await SourceRuleEvaluator(sessions).evaluate(OWN, None, [not_null("a")])

    assert failed.value.item_code == "source_timeout"


async def test_a_source_is_never_written_to(connection: Any, access: SourceAccess) -> None:
    await connection.execute(
        "CREATE TABLE notes (a text);"
        "CREATE FUNCTION note() RETURNS text LANGUAGE sql VOLATILE AS"
        " $$INSERT INTO landing.notes VALUES ('x') RETURNING a$$;"
        "CREATE VIEW t AS SELECT note() AS a"
    )

    with pytest.raises(ItemFailed) as failed:
        await SourceRuleEvaluator(SourceSessions(access)).evaluate(OWN, None, [not_null("a")])

    assert failed.value.item_code == "query_refused"
    assert await connection.fetchval("SELECT count(*) FROM notes") == 0


async def test_whoever_is_cancelled_takes_the_query_along(
    connection: Any, access: SourceAccess
) -> None:
    await connection.execute("CREATE VIEW t AS SELECT pg_sleep(60)::text AS a")
    evaluator = SourceRuleEvaluator(SourceSessions(access))
    running = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'longhaul-sources'"
        " AND datname = current_database() AND wait_event = 'PgSleep'"
    )

    async def is_running() -> bool:
        return bool(await connection.fetchval(running))

    async def is_over() -> bool:
        return not await is_running()

    task = asyncio.create_task(evaluator.evaluate(OWN, None, [not_null("a")]))
    await until(is_running, what="the query")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(is_over, what="the query to end")


async def test_a_file_session_reads_nothing_but_its_file(
    access: SourceAccess, tmp_path: Path
) -> None:
    source = csv_source(tmp_path / "t.csv", "a\n1\n")

    def look_elsewhere(session: Any) -> Any:
        session.bind(session.table(None))
        with pytest.raises((QueryFailed, ItemFailed)):
            session._run("SELECT * FROM read_text('/etc/hostname')")
        with pytest.raises((QueryFailed, ItemFailed)):
            session._run("SET enable_external_access = true")
        return session._run("SELECT a FROM rows")

    assert await SourceSessions(access).run(source, look_elsewhere) == [("1",)]
