"""Suites of rules: out of a version, into a draft, and back as they were."""

from typing import Any

import pytest

from longhaul.adapters.postgres.database import PostgresDatabase
from tests.api.people import People, submit
from tests.decision_samples import SeededVersion, seed_rules

LOAN = "Loan Number"


@pytest.fixture
async def version(database: PostgresDatabase) -> SeededVersion:
    return await seed_rules(database)


def expectation(kind: str, **kwargs: Any) -> dict[str, Any]:
    return {"type": f"expect_{kind}", "kwargs": kwargs}


async def test_what_was_taken_out_can_be_taken_in_elsewhere(
    people: People, version: SeededVersion, database: PostgresDatabase
) -> None:
    taken = (await people.reader.get(f"/versions/{version.id}/suite")).json()
    await submit(people, version.id)
    draft = await seed_rules(database, report=version.report)
    async with database.begin() as tx:
        await tx.execute("DELETE FROM rule WHERE version_id = $1", draft.id)

    # The seeded ranges have no ends, which is refused, so they get one.
    for one in taken["expectations"]:
        if one["type"].endswith("to_be_between"):
            one["type"] = "expect_column_value_lengths_to_be_between"
            one["kwargs"]["min_value"] = 1
    usable = [one for one in taken["expectations"] if one["kwargs"]["column"] == LOAN]
    answer = await people.tester.post(
        f"/versions/{draft.id}/suite", json={**taken, "expectations": usable}
    )

    assert (answer.status_code, answer.json()) == (200, {"added": len(usable), "known": 0})
    again = (await people.reader.get(f"/versions/{draft.id}/suite")).json()
    rules = [(one["type"], one["kwargs"], one["severity"]) for one in again["expectations"]]
    assert rules == [(one["type"], one["kwargs"], one["severity"]) for one in usable]
    about = again["expectations"][0]["meta"]["longhaul"]
    assert (about["provider"], about["model"]) == ("import", taken["name"])
    assert about["attribute"] == LOAN
    assert about["rationale"] == "Because."


async def test_a_plain_suite_of_great_expectations_is_taken_in_once(
    people: People, version: SeededVersion
) -> None:
    suite = {
        "name": "ours",
        "expectations": [
            expectation("column_values_to_not_be_null", column=LOAN),
            {
                **expectation("column_values_to_match_regex", column=LOAN, regex="^[0-9]+$"),
                "severity": "critical",
                "id": "1b",
            },
        ],
        "meta": {"great_expectations_version": "1.24.1"},
        "data_context_id": None,
    }

    first = (await people.tester.post(f"/versions/{version.id}/suite", json=suite)).json()
    second = (await people.tester.post(f"/versions/{version.id}/suite", json=suite)).json()

    assert first == {"added": 1, "known": 1}
    assert second == {"added": 0, "known": 2}
    listed = (await people.reader.get(f"/versions/{version.id}/rules")).json()["entries"]
    (new,) = [one for one in listed if one["expectation"].endswith("match_regex")]
    assert (new["severity"], new["rule_type"], new["status"]) == ("critical", "format", "pending")
    history = (await people.reader.get(f"/versions/{version.id}/history")).json()["audit"]
    assert [(one["action"], one["by"]) for one in history] == [("imported", "tess")] * 2


async def test_a_suite_with_a_bad_rule_is_refused_as_a_whole(
    people: People, version: SeededVersion
) -> None:
    before = (await people.reader.get(f"/versions/{version.id}/suite")).json()
    suite = {
        "expectations": [
            expectation("column_values_to_match_regex", column=LOAN, regex="^[0-9]+$"),
            expectation("column_values_to_not_be_null", column="no such thing"),
            expectation("column_values_to_be_between", column=LOAN, min_value=1),
        ]
    }

    answer = await people.tester.post(f"/versions/{version.id}/suite", json=suite)

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "invalid_input")
    assert [one["pointer"] for one in problem["errors"]] == ["/expectations/1", "/expectations/2"]
    assert (await people.reader.get(f"/versions/{version.id}/suite")).json() == before


async def test_a_pattern_that_a_source_would_refuse_is_refused(
    people: People, version: SeededVersion
) -> None:
    rule = expectation("column_values_to_match_regex", column=LOAN, regex="(?=a)b")

    answer = await people.tester.post(
        f"/versions/{version.id}/suite", json={"expectations": [rule]}
    )

    assert answer.status_code == 422
    assert "RE2" in answer.json()["errors"][0]["detail"]


async def test_only_a_tester_takes_suites_in_and_only_into_a_draft(
    people: People, version: SeededVersion
) -> None:
    suite = {"expectations": [expectation("column_values_to_not_be_null", column=LOAN)]}
    path = f"/versions/{version.id}/suite"

    by_owner = await people.owner.post(path, json=suite)
    by_stranger = await people.stranger.post(path, json=suite)
    unseen = await people.stranger.get(path)
    await submit(people, version.id)
    late = await people.tester.post(path, json=suite)

    assert by_owner.status_code == 403
    assert by_stranger.status_code == unseen.status_code == 404
    assert (late.status_code, late.json()["code"]) == (400, "wrong_state")
