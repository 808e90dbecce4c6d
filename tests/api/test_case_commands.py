"""`longhaul cases …` against the API, as JSON and to people."""

from pathlib import Path

import pytest

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.settings import Settings
from tests.api.conftest import Terminal, make_settings
from tests.case_samples import SeededCases, seed_cases
from tests.conftest import Servers


@pytest.fixture
def settings(
    monkeypatch: pytest.MonkeyPatch, servers: Servers, dsn: str, tmp_path: Path
) -> Settings:
    folder = {"LONGHAUL_DATA_DIR": str(tmp_path), "LONGHAUL_BLOBS__MAX_MB": "20"}
    return make_settings(monkeypatch, servers, dsn, **folder)


@pytest.fixture
async def cases(database: PostgresDatabase) -> SeededCases:
    return await seed_cases(database, secret_ref="LOANS_DSN")


async def test_test_cases_are_listed_and_shown(terminal: Terminal, cases: SeededCases) -> None:
    case_id = cases.ids[1]
    await cases.execute(case_id)

    page = await terminal.json("cases", "list", "--limit", "2", "--cycle", "1", "--report", "1")
    executed = await terminal.json("cases", "list", "--outcome", "match", "--evidence", "source")
    case = await terminal.json("cases", "show", str(case_id))
    text = await terminal.text("cases", "show", str(case_id))

    assert (len(page["cases"]), page["next_cursor"] is None) == (2, False)
    assert "more: --cursor" in await terminal.text("cases", "list", "--limit", "2")
    assert [one["id"] for one in executed["cases"]] == [case_id]
    assert case["latest"]["outcome"] == "match"
    for shown in ("Original LTV", "4711000017", "landing.loans", "pending_review"):
        assert shown in text


async def test_a_document_is_given_to_test_cases_and_to_all_of_a_sample(
    terminal: Terminal, cases: SeededCases, tmp_path: Path
) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("Loan Number: 4711000017\n")
    sample = (await terminal.json("cases", "show", str(cases.ids[0])))["sample_id"]

    one = await terminal.json("cases", "attach-document", str(letter), str(cases.ids[-1]))
    rest = await terminal.json("cases", "attach-document", str(letter), "--sample", sample)
    text = await terminal.text("cases", "attach-document", str(letter), "--sample", sample)
    nobody = await terminal.run("cases", "attach-document", str(letter))
    missing = await terminal.run("cases", "attach-document", "nowhere.pdf", "1")
    fake = tmp_path / "fake.pdf"
    fake.write_text("no pdf")
    refused = await terminal.run("cases", "attach-document", str(fake), str(cases.ids[0]))

    copy = tmp_path / "copy"
    key = one["document"]
    await terminal.json("cases", "document", str(cases.ids[0]), key, "-o", str(copy))
    foreign = await terminal.run("cases", "document", str(cases.ids[5]), key, "-o", str(copy))
    below = ("-o", str(letter / "copy"))
    unwritten = await terminal.run("cases", "document", str(cases.ids[0]), key, *below)

    assert copy.read_text() == letter.read_text()
    assert (foreign[0], "no such document" in foreign[2]) == (2, True)
    assert (unwritten[0], "written" in unwritten[2]) == (2, True)
    assert (one["attached"], one["file_name"], one["content_type"]) == (
        1,
        "letter.txt",
        "text/plain",
    )
    assert (rest["attached"], rest["document"]) == (4, one["document"])
    assert "Attached to 0 test cases, 4 unchanged." in text
    assert (nobody[0], missing[0], refused[0]) == (2, 2, 2)
    assert "The document is damaged or not a PDF." in refused[2]
    given = await terminal.json("cases", "list", "--evidence", "document")
    assert {case["id"] for case in given["cases"]} == {*cases.ids[:4], cases.ids[-1]}


async def test_a_large_document_is_refused_with_its_reason_and_not_as_a_broken_connection(
    terminal: Terminal, cases: SeededCases, tmp_path: Path
) -> None:
    large, huge = tmp_path / "large.pdf", tmp_path / "huge.pdf"
    large.write_bytes(b"%PDF-" + bytes(15 * 1024 * 1024))
    huge.write_bytes(b"%PDF-" + bytes(45 * 1024 * 1024))

    nowhere = await terminal.run("cases", "attach-document", str(large), "999999")
    too_large = await terminal.run("cases", "attach-document", str(huge), str(cases.ids[0]))
    fits = await terminal.json("cases", "attach-document", str(large), str(cases.ids[0]))

    assert (nowhere[0], nowhere[2]) == (2, "There is no such test case.\n")
    assert (too_large[0], too_large[2]) == (2, "The document is too large; the limit is 20 MB.\n")
    assert fits["attached"] == 1


async def test_a_query_is_given_with_its_parameters(
    terminal: Terminal, cases: SeededCases, tmp_path: Path
) -> None:
    file = tmp_path / "ltv.sql"
    file.write_text("SELECT orig_ltv FROM landing.loans WHERE ln_nbr = %(Loan Number)s\n")
    first, second, *_ = map(str, cases.ids[1::4])

    given = await terminal.json(
        *("cases", "attach-query", first, second, "--source", "Landing", "--sql", f"@{file}"),
        *("-p", "n=1", "--parameters", '{"day": "x"}'),
    )
    refused = await terminal.run(
        "cases", "attach-query", first, "--source", "Landing", "--sql", "DELETE FROM loans"
    )

    assert given == {"attached": 2, "unchanged": 0}
    evidence = (await terminal.json("cases", "show", second))["evidence"][0]
    assert evidence["parameters"] == {"day": "x", "n": 1}
    assert refused[0] == 2
    assert "it must be one SELECT statement" in refused[2]
    assert "landing.loans" in await terminal.text("cases", "show", first)


async def test_a_test_is_reviewed(terminal: Terminal, cases: SeededCases) -> None:
    case_id = str(cases.ids[0])
    await cases.execute(cases.ids[0])

    no_reason = await terminal.run("cases", "review", case_id, "fail")
    other = await terminal.run("cases", "review", case_id, "pass", "--execution", "7")
    passed = await terminal.json("cases", "review", case_id, "pass", "--execution", "1")
    text = await terminal.text("cases", "review", case_id, "fail", "--reason", "of another")

    assert (no_reason[0], other[0]) == (2, 2)
    assert "Give a reason" in no_reason[2]
    assert "look at execution 1" in other[2]
    assert passed["status"] == "pass"
    assert "u-1: fail of another" in text
