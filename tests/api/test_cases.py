"""Test cases: list them, attach evidence, and review executions."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.settings import Settings
from longhaul.core.cases import ExecutionOutcome
from tests.api.conftest import make_settings
from tests.api.people import People, answer
from tests.case_samples import SeededCases, seed_cases
from tests.conftest import Servers
from tests.documents import make_pdf
from tests.loans import COLUMNS, ROWS

LETTER = b"Loan Number: 4711000017\nOriginal LTV: 80 %\n"
PDF, TEXT = "application/pdf", "text/plain"
MIB = 1024 * 1024


@pytest.fixture
def settings(
    monkeypatch: pytest.MonkeyPatch, servers: Servers, dsn: str, tmp_path: Path
) -> Settings:
    folder = {"LONGHAUL_DATA_DIR": str(tmp_path), "LONGHAUL_BLOBS__MAX_MB": "2"}
    return make_settings(monkeypatch, servers, dsn, **folder)


@pytest.fixture
async def cases(database: PostgresDatabase) -> SeededCases:
    return await seed_cases(database)


async def listed(client: httpx2.AsyncClient, **params: Any) -> dict[str, Any]:
    response = await client.get("/cases", params=params)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def ids(client: httpx2.AsyncClient, **params: Any) -> list[int]:
    return [one["id"] for one in (await listed(client, **params))["cases"]]


async def shown(client: httpx2.AsyncClient, case_id: int) -> dict[str, Any]:
    response = await client.get(f"/cases/{case_id}")
    assert response.status_code == 200, response.text
    return dict(response.json())


async def test_cases_are_listed_page_by_page_in_the_order_of_the_form(
    people: People, cases: SeededCases
) -> None:
    first = await listed(people.reader, limit=7)
    rest = await listed(people.reader, limit=7, cursor=first["next_cursor"])

    found = first["cases"] + rest["cases"]
    assert [(one["attribute"], one["sample"]) for one in found] == [
        (name, number) for name in COLUMNS for number in (1, 2, 3)
    ]
    assert (len(first["cases"]), rest["next_cursor"]) == (7, None)
    assert [one["expected_value"] for one in found] == [
        row[place] for place in range(len(COLUMNS)) for row in ROWS
    ]
    assert {one["id"] for one in found} == set(cases.ids)
    assert found[0]["keys"] == {"Loan Number": "4711000017"}
    assert {(one["status"], one["outcome"], one["evidence_kind"]) for one in found} == {
        ("not_executed", None, "source")
    }


async def test_cases_are_listed_by_what_they_are_and_where_they_stand(
    people: People, cases: SeededCases
) -> None:
    loans, (one, other, *_) = cases.loans, cases.ids
    report = {"cycle_id": loans.seeded.cycle_id, "report_id": loans.seeded.report_id}
    await cases.execute(one, ExecutionOutcome.MATCH)
    await cases.execute(other, ExecutionOutcome.UNCHANGED)
    sample = (await shown(people.reader, one))["sample_id"]

    assert len(await ids(people.reader, **report)) == len(cases.ids)
    assert await ids(people.reader, **{**report, "report_id": 99}) == []
    assert await ids(people.reader, cycle_id=99) == []
    assert await ids(people.reader, sample_id=sample) == list(cases.ids[:4])
    assert await ids(people.reader, attribute_id=loans.seeded.attribute_ids[1]) == [
        *cases.ids[1::4]
    ]
    assert await ids(people.reader, outcome="match") == [one]
    assert await ids(people.reader, status="pending_review") == [one, other]
    assert len(await ids(people.reader, status=["not_executed", "fail"])) == len(cases.ids) - 2
    assert await ids(people.reader, evidence="document") == []
    assert len(await ids(people.reader, evidence="source")) == len(cases.ids)


async def test_a_case_shows_its_evidence_and_its_executions(
    people: People, cases: SeededCases
) -> None:
    case_id = cases.ids[1]
    await cases.execute(case_id, ExecutionOutcome.MISMATCH)
    await cases.execute(case_id, ExecutionOutcome.MATCH)

    case = await shown(people.reader, case_id)

    (source,) = case["evidence"]
    assert (source["kind"], source["data_source"]) == ("source", "Landing")
    assert (source["table"], source["column"]) == ("landing.loans", "orig_ltv")
    assert (source["source_key"], source["given_by"]) == ({"ln_nbr": "4711000017"}, "system")
    assert [(one["number"], one["is_latest"], one["outcome"]) for one in case["history"]] == [
        (2, True, "match"),
        (1, False, "mismatch"),
    ]
    assert case["latest"] == case["history"][0]
    assert (case["latest"]["test_result"], case["latest"]["reviews"]) == ("pending_review", [])
    assert (case["status"], case["outcome"], case["executions"]) == ("pending_review", "match", 2)
    assert "secret_ref" not in str(case)
    assert "job_id" not in str(case)


async def test_cases_of_a_superseded_sample_set_are_shown_and_not_listed(
    people: People, cases: SeededCases
) -> None:
    await cases.loans.fetch(
        "UPDATE test_case SET is_active = false WHERE id = $1 RETURNING id", cases.ids[0]
    )

    assert cases.ids[0] not in await ids(people.reader)
    assert (await shown(people.reader, cases.ids[0]))["is_active"] is False


@pytest.mark.invariant("I9")
async def test_cases_of_another_line_of_business_are_as_if_there_were_none(
    people: People, cases: SeededCases
) -> None:
    missing = (404, "not_found", "There is no such test case.")

    assert await ids(people.stranger) == []
    assert answer(await people.stranger.get(f"/cases/{cases.ids[0]}")) == missing
    assert answer(await people.tester.get("/cases/999999")) == missing
    assert (await people.tester.get("/cases/one")).status_code == 404
    assert len(await ids(people.admin)) == len(cases.ids)


@pytest.mark.parametrize("cursor", ["MQoyCng", "MQ", "x"])
async def test_a_cursor_of_another_list_is_refused(people: People, cursor: str) -> None:
    response = await people.tester.get("/cases", params={"cursor": cursor})

    assert answer(response)[:2] == (400, "malformed_request")


async def give(
    client: httpx2.AsyncClient, case_id: int, content: Any = LETTER, kind: str = TEXT, **params: Any
) -> httpx2.Response:
    headers = {"Content-Type": kind} if kind else {}
    path = f"/cases/{case_id}/documents"
    return await client.post(path, content=content, headers=headers, params=params)


async def attach(client: httpx2.AsyncClient, document: str, *case_ids: int) -> httpx2.Response:
    body = {"document": document, "case_ids": list(case_ids)}
    return await client.post("/cases/documents", json=body)


def key_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("content", "said", "kept"),
    [
        (LETTER, "text/plain; charset=utf-8", TEXT),
        (LETTER, "text/csv", TEXT),
        (make_pdf(["Original LTV: 80 %"]), PDF, PDF),
    ],
)
async def test_a_document_is_stored_by_its_hash_and_counts_from_then_on(
    people: People, cases: SeededCases, tmp_path: Path, content: bytes, said: str, kept: str
) -> None:
    case_id = cases.ids[1]

    given = await give(people.tester, case_id, content, said, file_name="März 2024.pdf")

    key = key_of(content)
    assert (given.status_code, given.json()) == (
        201,
        {
            "document": key,
            "content_type": kept,
            "file_name": "März 2024.pdf",
            "size": len(content),
            "attached": 1,
            "unchanged": 0,
        },
    )
    assert (tmp_path / "documents" / key[:2] / key).read_bytes() == content
    case = await shown(people.reader, case_id)
    document, source = case["evidence"]
    assert (case["evidence_kind"], source["kind"]) == ("document", "source")
    assert (document["document"], document["given_by"]) == (key, "tess")
    assert (document["file_name"], document["size"]) == ("März 2024.pdf", len(content))
    assert await ids(people.reader, evidence="document") == [case_id]


async def test_a_document_that_counts_already_is_not_given_twice(
    people: People, cases: SeededCases
) -> None:
    case_id = cases.ids[0]
    await give(people.tester, case_id)

    again = await give(people.tester, case_id)
    other = await give(people.tester, case_id, b"Another letter.")
    back = await give(people.tester, case_id)

    assert (again.status_code, again.json()["unchanged"]) == (200, 1)
    assert (other.status_code, back.status_code) == (201, 201)
    assert [row["kind"] for row in await cases.evidence(case_id)] == [
        *("document", "document", "document", "source")
    ]


async def chunked(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 4096):
        yield b"a" * 4096


async def test_a_document_may_be_larger_than_other_bodies_up_to_its_own_limit(
    people: People, cases: SeededCases
) -> None:
    case_id = cases.ids[0]
    sentence = "The document is too large; the limit is 2 MB."

    fits = await give(people.tester, case_id, chunked(2 * MIB))
    announced = await give(people.tester, case_id, b"a" * (2 * MIB + 1))
    unannounced = await give(people.tester, case_id, chunked(3 * MIB))
    elsewhere = await people.tester.post("/cases/documents", content=b"a" * (2 * MIB))

    assert (fits.status_code, fits.json()["size"]) == (201, 2 * MIB)
    assert answer(announced) == (413, "body_too_large", sentence)
    assert answer(unannounced) == (413, "body_too_large", sentence)
    assert elsewhere.status_code == 413
    assert len(await cases.evidence(case_id)) == 2


@pytest.mark.parametrize(
    ("content", "kind", "expected"),
    [
        (b"", TEXT, (422, "invalid_input", "The document is empty.")),
        (b" \n", PDF, (422, "invalid_input", "The document is empty.")),
        (b"no pdf", PDF, (422, "invalid_input", "The document is damaged or not a PDF.")),
        (
            b"\x00\x01",
            TEXT,
            (422, "invalid_input", "The document is neither a PDF nor a text."),
        ),
        (
            LETTER,
            "application/json",
            (
                400,
                "malformed_request",
                "Set Content-Type to the document's type: application/pdf or text/plain.",
            ),
        ),
    ],
)
async def test_what_nobody_could_read_is_no_document(
    people: People, cases: SeededCases, content: bytes, kind: str, expected: tuple[int, str, str]
) -> None:
    response = await give(people.tester, cases.ids[0], content, kind)

    assert answer(response) == expected
    assert len(await cases.evidence(cases.ids[0])) == 1


async def test_a_file_name_is_a_line_of_text(people: People, cases: SeededCases) -> None:
    for name in ("", "a" * 256, "a\nb", "a\x00b"):
        response = await give(people.tester, cases.ids[0], file_name=name)
        assert response.status_code == 400, name


async def test_one_document_serves_many_cases(people: People, cases: SeededCases) -> None:
    first, *others = cases.ids[:4]
    key = (await give(people.tester, first, file_name="letter.txt")).json()["document"]

    attached = await attach(people.tester, key, first, *others)
    again = await attach(people.tester, key, *others)

    assert (attached.status_code, again.status_code) == (201, 200)
    assert (attached.json()["attached"], attached.json()["unchanged"]) == (3, 1)
    assert (attached.json()["file_name"], attached.json()["size"]) == ("letter.txt", len(LETTER))
    assert await ids(people.reader, evidence="document") == [first, *others]


async def test_a_document_is_read_as_it_was_given_by_whoever_sees_the_case(
    people: People, cases: SeededCases, tmp_path: Path
) -> None:
    first, other = cases.ids[:2]
    html = b"<script>alert(1)</script>"
    key = (await give(people.tester, first, html, "text/html", file_name='M\u00e4rz".html')).json()[
        "document"
    ]
    path = f"/cases/{first}/documents/{key}"

    read = await people.reader.get(path)

    assert (read.status_code, read.content) == (200, html)
    assert read.headers["Content-Type"] == "text/plain"
    assert read.headers["X-Content-Type-Options"] == "nosniff"
    assert read.headers["Content-Disposition"] == ("attachment; filename*=UTF-8''M%C3%A4rz%22.html")
    for elsewhere in (f"/cases/{other}/documents/{key}", f"/cases/{first}/documents/nothing"):
        assert answer(await people.reader.get(elsewhere)) == (
            404,
            "not_found",
            "The test case has no such document.",
        )
    assert (await people.stranger.get(path)).status_code == 404
    (tmp_path / "documents" / key[:2] / key).unlink()
    gone = await people.reader.get(path)
    assert answer(gone) == (404, "not_found", "The document is no longer in the store.")


@pytest.mark.invariant("I9")
async def test_a_hash_opens_no_document_that_one_may_not_read(
    people: People, cases: SeededCases, database: PostgresDatabase
) -> None:
    key = (await give(people.tester, cases.ids[0])).json()["document"]
    async with database.begin() as tx:
        await tx.execute("INSERT INTO report (name, regulation, lob) VALUES ('C', '', 'Cards')")
        await tx.execute(
            "INSERT INTO cycle_report SELECT $1, id FROM report WHERE lob = 'Cards'",
            cases.loans.seeded.cycle_id,
        )
        await tx.execute(
            "UPDATE test_case SET report_id = (SELECT id FROM report WHERE lob = 'Cards')"
            " WHERE id = $1",
            cases.ids[-1],
        )
    theirs = cases.ids[-1]
    assert await ids(people.stranger) == [theirs]

    fished = await attach(people.stranger, key, theirs)
    unknown = await attach(people.stranger, key_of(b"nothing"), theirs)
    foreign_case = await attach(people.tester, key, cases.ids[1], theirs)
    own = await give(people.stranger, theirs, LETTER)

    missing = (404, "not_found", "There is no such document.")
    assert answer(fished) == answer(unknown) == missing
    assert answer(foreign_case) == (404, "not_found", f"There are no such test cases: {theirs}.")
    assert own.status_code == 201
    assert len(await cases.evidence(cases.ids[1])) == 1


async def test_evidence_is_given_by_testers_for_cases_that_they_see(
    people: People, cases: SeededCases
) -> None:
    case_id = cases.ids[0]
    forbidden = (403, "forbidden", "Evidence is given by: Test Executive, Tester.")

    assert answer(await give(people.reader, case_id)) == forbidden
    assert answer(await give(people.owner, case_id)) == forbidden
    assert (await give(people.stranger, case_id)).status_code == 404
    assert (await give(people.admin, case_id)).status_code == 201
    await cases.loans.fetch("UPDATE test_case SET is_active = false RETURNING id")
    retired = answer(await give(people.tester, case_id))
    assert retired[:2] == (400, "wrong_state")
    assert f"superseded: {case_id}." in retired[2]


QUERY = "SELECT orig_ltv FROM landing.loans WHERE ln_nbr = %(Loan Number)s"


async def ask(client: httpx2.AsyncClient, case_id: int, **body: Any) -> httpx2.Response:
    query = {"data_source": "Landing", "sql": QUERY, **body}
    return await client.post(f"/cases/{case_id}/queries", json=query)


async def test_a_query_is_evidence_of_every_case_that_it_serves(
    people: People, database: PostgresDatabase
) -> None:
    cases = await seed_cases(database, secret_ref="LOANS_DSN")
    first, *others = cases.ids[1::4]

    given = await ask(people.tester, first, also=others, parameters={"day": " x", "n": [1, None]})
    again = await ask(people.tester, first, parameters={"day": " x", "n": [1, None]})
    other = await ask(people.tester, first, parameters={"day": "x"})

    assert (given.status_code, given.json()) == (201, {"attached": 3, "unchanged": 0})
    assert (again.status_code, again.json()) == (200, {"attached": 0, "unchanged": 1})
    assert other.status_code == 201
    assert await ids(people.reader, evidence="query") == [first, *others]
    evidence = (await shown(people.reader, others[0]))["evidence"][0]
    assert (evidence["kind"], evidence["data_source"], evidence["sql"]) == (
        "query",
        "Landing",
        QUERY,
    )
    assert (evidence["parameters"], evidence["given_by"]) == (
        {"day": " x", "n": [1, None]},
        "tess",
    )


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"sql": "DROP TABLE landing.loans"}, "does not read"),
        ({"sql": "SELECT 1; SELECT 2"}, "more than one statement"),
        ({"sql": "SELECT %(Original LTV)s"}, "without a value: Original LTV."),
        ({"data_source": "Elsewhere"}, "no data source of this name; it has: Landing."),
        ({"parameters": {"Loan Number": "1"}}, "keys of the record: Loan Number."),
        ({"parameters": {"a": {"b": 1}}}, "cannot be read"),
        ({"sql": ""}, "cannot be read"),
        ({"sql": "SELECT 'a\x00b'"}, "NUL character"),
    ],
)
async def test_a_query_that_cannot_be_run_is_refused(
    people: People, database: PostgresDatabase, body: dict[str, Any], said: str
) -> None:
    cases = await seed_cases(database, secret_ref="LOANS_DSN")

    response = await ask(people.tester, cases.ids[0], **body)

    assert (response.status_code, response.json()["code"]) == (422, "invalid_input")
    assert said in response.json()["detail"]
    assert len(await cases.evidence(cases.ids[0])) == 1


async def test_a_query_serves_cases_of_one_report_only(
    people: People, database: PostgresDatabase
) -> None:
    cases = await seed_cases(database, secret_ref="LOANS_DSN")
    first, other, *_ = cases.ids
    await cases.loans.fetch(
        "INSERT INTO report (name, regulation, lob) VALUES ('Other', '', 'Mortgage') RETURNING id"
    )
    await cases.loans.fetch(
        "WITH held AS (INSERT INTO cycle_report SELECT 1, max(id) FROM report RETURNING report_id)"
        " UPDATE test_case SET report_id = held.report_id FROM held WHERE id = $1 RETURNING id",
        other,
    )

    response = await ask(people.tester, first, also=[other])

    assert answer(response) == (
        422,
        "invalid_input",
        "The test cases belong to several reports.",
    )


async def test_with_our_own_login_no_query_is_taken(people: People, cases: SeededCases) -> None:
    response = await ask(people.tester, cases.ids[0])

    assert response.status_code == 422
    assert "set the data source's secret_ref" in response.json()["detail"]


async def test_queries_are_given_as_documents_are(
    people: People, database: PostgresDatabase
) -> None:
    cases = await seed_cases(database, secret_ref="LOANS_DSN")

    forbidden = answer(await ask(people.owner, cases.ids[0]))
    foreign = await ask(people.stranger, cases.ids[0])
    unknown = answer(await ask(people.tester, cases.ids[0], also=[999_999]))

    assert forbidden[:2] == (403, "forbidden")
    assert foreign.status_code == 404
    assert unknown == (404, "not_found", "There are no such test cases: 999999.")
    assert len(await cases.evidence(cases.ids[0])) == 1


async def review(client: httpx2.AsyncClient, case_id: int, **body: Any) -> httpx2.Response:
    return await client.post(f"/cases/{case_id}/review", json=body)


async def test_a_person_says_how_a_test_ended_and_may_think_again(
    people: People, cases: SeededCases
) -> None:
    case_id = cases.ids[1]
    await cases.execute(case_id)

    passed = await review(people.tester, case_id, result="pass")
    again = await review(people.tester, case_id, result="pass", reason="still")
    failed = await review(people.admin, case_id, result="fail", reason="of another loan")

    assert [one.status_code for one in (passed, again, failed)] == [200, 200, 200]
    assert passed.json()["status"] == passed.json()["latest"]["test_result"] == "pass"
    case = await shown(people.reader, case_id)
    assert case == failed.json()
    assert [
        (one["by"], one["before"], one["test_result"], one["reason"])
        for one in case["latest"]["reviews"]
    ] == [("tess", "pending_review", "pass", ""), ("boss", "pass", "fail", "of another loan")]
    assert await ids(people.reader, status="fail") == [case_id]


async def test_a_new_execution_waits_for_a_person_again(people: People, cases: SeededCases) -> None:
    case_id = cases.ids[1]
    nothing = await review(people.tester, case_id, result="pass")
    await cases.execute(case_id)
    await review(people.tester, case_id, result="pass")
    await cases.execute(case_id, ExecutionOutcome.MISMATCH)

    late = await review(people.tester, case_id, result="pass", reason="seen", execution=1)
    case = await shown(people.reader, case_id)
    seen = await review(people.tester, case_id, result="fail", reason="81.5", execution=2)

    assert answer(nothing) == (
        400,
        "wrong_state",
        "The test case has not been executed: there is nothing to review yet.",
    )
    assert answer(late) == (
        400,
        "wrong_state",
        "Execution 1 is not the latest: look at execution 2, and review that.",
    )
    assert (case["status"], case["outcome"]) == ("pending_review", "mismatch")
    assert [one["test_result"] for one in case["history"]] == ["pending_review", "pass"]
    assert seen.json()["status"] == "fail"


@pytest.mark.parametrize(
    ("outcome", "result", "needs_reason"),
    [
        ("match", "pass", False),
        ("match", "fail", True),
        ("match", "inconclusive", True),
        ("unchanged", "pass", True),
        ("mismatch", "pass", True),
        ("mismatch", "fail", True),
        ("not_found", "inconclusive", True),
    ],
)
async def test_a_verdict_that_does_not_speak_for_itself_needs_a_reason(
    people: People, cases: SeededCases, outcome: str, result: str, needs_reason: bool
) -> None:
    await cases.execute(cases.ids[0], ExecutionOutcome(outcome))

    without = await review(people.tester, cases.ids[0], result=result, reason="  ")
    given = await review(people.tester, cases.ids[0], result=result, reason="because")

    assert without.status_code == (422 if needs_reason else 200)
    assert given.json()["status"] == result


async def test_test_cases_are_reviewed_by_testers_who_see_them(
    people: People, cases: SeededCases
) -> None:
    case_id = cases.ids[0]
    await cases.execute(case_id)

    for client in (people.owner, people.reader):
        assert answer(await review(client, case_id, result="pass")) == (
            403,
            "forbidden",
            "Test cases are reviewed by: Test Executive, Tester.",
        )
    assert (await review(people.stranger, case_id, result="pass")).status_code == 404
    assert (await review(people.tester, case_id, result="pending_review")).status_code == 422
    await cases.loans.fetch("UPDATE test_case SET is_active = false RETURNING id")
    retired = await review(people.tester, case_id, result="pass")
    assert answer(retired)[:2] == (400, "wrong_state")
    assert (await shown(people.reader, case_id))["status"] == "pending_review"


async def test_of_two_who_review_at_once_each_sees_what_the_other_said(
    people: People, cases: SeededCases
) -> None:
    case_id = cases.ids[0]
    await cases.execute(case_id)

    await asyncio.gather(
        review(people.tester, case_id, result="pass"),
        review(people.admin, case_id, result="fail", reason="no"),
    )

    first, second = (await shown(people.reader, case_id))["latest"]["reviews"]
    assert first["before"] == "pending_review"
    assert (second["before"], second["test_result"]) in {("pass", "fail"), ("fail", "pass")}
