"""Test cases: people look at them, give evidence, and say how each test ended."""

from typing import Any

import httpx2
import pytest

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.core.cases import ExecutionOutcome
from tests.api.people import People, answer
from tests.case_samples import SeededCases, seed_cases
from tests.loans import COLUMNS, ROWS


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
