"""`longhaul rules run`: files and tables checked by a suite, without a job."""

import asyncio
import json
from pathlib import Path
from typing import Any

import asyncpg
import duckdb
import openpyxl
import pytest
from typer.testing import CliRunner, Result

from longhaul.cli.main import app

ROWS = [("1", "10.5", "20240229"), ("2", None, "20230229"), ("2", "-3", "20240301")]
CSV = "id,amount,day\n1,10.5,20240229\n2,,20230229\n2,-3,20240301\n"

RULES = [
    {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "id"}},
    {
        "type": "expect_column_values_to_be_between",
        "kwargs": {"column": "amount", "min_value": 0, "mostly": 0.5},
    },
    {
        "type": "expect_column_values_to_match_strftime_format",
        "kwargs": {"column": "day", "strftime_format": "%Y%m%d"},
    },
    {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 3}},
]
FIGURES = [(3, 3, 2, False), (3, 2, 1, True), (3, 3, 1, False), (3, 1, 0, True)]


def write_rules(folder: Path, rules: Any) -> str:
    path = folder / "rules.json"
    path.write_text(json.dumps(rules))
    return str(path)


async def run(*arguments: str) -> Result:
    # The command has its own event loop.
    return await asyncio.to_thread(CliRunner().invoke, app, ["rules", "run", *arguments])


async def judged(source: str, rules: str) -> tuple[int, dict[str, Any]]:
    result = await run("--source", source, "--rules", rules, "--json")
    assert result.stdout, result.stderr
    return result.exit_code, json.loads(result.stdout)


def figures(answer: dict[str, Any]) -> list[tuple[Any, ...]]:
    names = ("total", "considered", "failed", "success")
    return [tuple(rule[name] for name in names) for rule in answer["rules"]]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """The same rows in each kind of file."""
    csv, excel, parquet = (tmp_path / f"rows.{kind}" for kind in ("csv", "xlsx", "parquet"))
    csv.write_text(CSV)
    book = openpyxl.Workbook()
    book.create_sheet("Other").append(["id"])
    sheet = book.worksheets[0]
    sheet.title = "Rows"
    sheet.append(["id", "amount", "day"])
    for row in ROWS:
        sheet.append(row)
    book.save(excel)
    duckdb.connect().sql(
        "SELECT * FROM (VALUES ('1', 10.5, '20240229'), ('2', NULL, '20230229'),"
        " ('2', -3, '20240301')) AS t (id, amount, day)"
    ).write_parquet(str(parquet))
    return {"csv": str(csv), "excel": f"{excel}#Rows", "parquet": str(parquet)}


async def test_every_kind_of_file_gets_the_same_verdicts(
    files: dict[str, str], tmp_path: Path
) -> None:
    rules = write_rules(tmp_path, {"name": "s", "expectations": RULES})

    for source in files.values():
        code, answer = await judged(source, rules)

        assert (code, answer["rows"], figures(answer)) == (1, 3, FIGURES)
        assert [row["key"] for row in answer["rules"][0]["failing_rows"]] == [
            {"row": 2},
            {"row": 3},
        ]
        assert answer["rules"][2]["failing_rows"] == [
            {"key": {"row": 2}, "values": {"day": "20230229"}}
        ]


async def test_a_table_of_a_database_is_judged_too(dsn: str, tmp_path: Path) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE TABLE rows (id text, amount numeric, day text)")
    await connection.executemany("INSERT INTO rows SELECT $1, $2::text::numeric, $3", ROWS)
    await connection.close()

    code, answer = await judged(f"{dsn}#public.rows", write_rules(tmp_path, RULES))

    assert (code, answer["table"], figures(answer)) == (1, "public.rows", FIGURES)


async def test_rules_that_hold_end_with_nothing_to_complain_about(
    files: dict[str, str], tmp_path: Path
) -> None:
    code, _ = await judged(files["csv"], write_rules(tmp_path, [RULES[1], RULES[3]]))

    assert code == 0


async def test_rules_that_cannot_run_are_named_and_the_others_are_judged(
    files: dict[str, str], tmp_path: Path
) -> None:
    rules = [
        RULES[3],
        {"type": "expect_column_values_to_be_nice", "kwargs": {"column": "id"}},
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "none"}},
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"col": "id"}},
        {
            "type": "expect_column_values_to_be_in_set",
            "kwargs": {"column": "id", "value_set": [1, "a"]},
        },
    ]

    code, answer = await judged(files["csv"], write_rules(tmp_path, rules))

    assert code == 2
    errors = [rule["error"] and rule["error"]["code"] for rule in answer["rules"]]
    assert errors == [None, "bad_rule", "column_missing", "bad_rule", "bad_rule"]


def between(**ends: Any) -> dict[str, Any]:
    return {
        "type": "expect_column_values_to_be_between",
        "kwargs": {"column": "amount"} | ends,
    }


def only_where(parameter: Any) -> dict[str, Any]:
    condition = {
        "type": "comparison",
        "column": {"name": "amount"},
        "operator": "<",
        "parameter": parameter,
    }
    return {
        "type": "expect_column_values_to_not_be_null",
        "kwargs": {"column": "id", "row_condition": condition},
    }


@pytest.mark.parametrize(
    "odd",
    [
        between(min_value=10**30),
        between(max_value=-(10**19)),
        between(min_value=float("nan")),
        between(max_value=float("inf")),
        between(min_value="\ud800"),
        {
            "type": "expect_column_values_to_be_in_set",
            "kwargs": {"column": "id", "value_set": [10**30, 1]},
        },
        {
            "type": "expect_column_values_to_be_in_set",
            "kwargs": {"column": "id", "value_set": ["a", "\udc00"]},
        },
        {
            "type": "expect_column_values_to_be_in_set",
            "kwargs": {"column": "id", "value_set": ["a\0"]},
        },
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "\ud800"}},
        {
            "type": "expect_column_values_to_match_regex",
            "kwargs": {"column": "id", "regex": "\ud800"},
        },
        {
            "type": "expect_column_value_lengths_to_be_between",
            "kwargs": {"column": "id", "max_value": 10**30},
        },
        {"type": "expect_table_row_count_to_be_between", "kwargs": {"max_value": 10**30}},
        only_where(10**30),
        only_where("\ud800"),
    ],
)
async def test_a_value_that_no_source_can_compare_spoils_its_own_rule_only(
    files: dict[str, str], tmp_path: Path, odd: dict[str, Any]
) -> None:
    code, answer = await judged(files["parquet"], write_rules(tmp_path, [odd, *RULES]))

    assert (code, figures(answer)[1:]) == (2, FIGURES)
    assert answer["rules"][0]["error"]["code"] == "bad_rule"


async def test_people_read_a_table(files: dict[str, str], tmp_path: Path) -> None:
    result = await run("--source", files["csv"], "--rules", write_rules(tmp_path, RULES))

    assert result.exit_code == 1
    assert "rows: 3 rows" in result.stdout
    assert 'column_values_to_match_strftime_format: row=2: day="20230229"' in result.stdout


@pytest.mark.parametrize(
    ("source", "rules", "code", "sentence"),
    [
        ("nothing.csv", RULES, 2, "file does not exist"),
        ("rows.json", RULES, 2, "must be a file"),
        ("rows.csv#other", RULES, 2, "no such table"),
        ("rows.csv", [], 2, "no rules"),
        ("rows.csv", {"expectations": 7}, 2, "must be a list"),
        ("postgresql://nobody@127.0.0.1:1/x#t", RULES, 3, "did not answer"),
    ],
)
async def test_what_cannot_be_read_is_said(
    tmp_path: Path, source: str, rules: Any, code: int, sentence: str
) -> None:
    (tmp_path / "rows.csv").write_text(CSV)
    place = source if ":" in source else str(tmp_path / source)

    result = await run("--source", place, "--rules", write_rules(tmp_path, rules))

    assert result.exit_code == code
    assert sentence in " ".join(result.output.replace("│", " ").split())


async def test_rules_that_are_nested_without_end_are_no_rules(tmp_path: Path) -> None:
    rules = tmp_path / "rules.json"
    rules.write_text("[" * 100_000)

    result = await run("--source", str(tmp_path / "rows.csv"), "--rules", str(rules))

    assert (result.exit_code, "not JSON" in result.output) == (2, True)
