"""Decisions of people between jobs: rules of a version, step by step, each in their role."""

import asyncio
import uuid
from typing import Any

import httpx2
import pytest

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.core.principals import Role
from tests.api.conftest import Api
from tests.api.people import ALL, People, answer, approve, decide, submit, take
from tests.decision_samples import SeededVersion, rule_ids, seed_rules

NOWHERE = "0192f000-0000-7000-8000-000000000000"


@pytest.fixture
async def version(database: PostgresDatabase) -> SeededVersion:
    return await seed_rules(database)


async def test_a_version_goes_from_draft_to_approved_through_two_people(
    people: People, version: SeededVersion
) -> None:
    draft = (await people.tester.get(f"/versions/{version.id}")).json()

    by_tester = await decide(people.tester, version.id, **ALL)
    submitted = await take(people.tester, version.id, "submit", reason="done")
    by_owner = await decide(people.owner, version.id, **ALL)
    approved = await take(people.owner, version.id, "approve")

    assert draft["status"] == "draft"
    assert draft["counts"]["waiting_for_tester"] == version.rules
    assert by_tester.json() == {
        "as": "tester",
        "decided": version.rules,
        "unchanged": 0,
        "counts": {
            "total": version.rules,
            "pending": version.rules,
            "approved": 0,
            "rejected": 0,
            "waiting_for_tester": 0,
            "waiting_for_report_owner": version.rules,
        },
    }
    assert submitted.json()["status"] == "pending_approval"
    assert by_owner.json()["counts"]["approved"] == version.rules
    assert approved.json()["status"] == "approved"
    assert approved.json()["counts"]["approved"] == version.rules


async def test_the_newly_approved_version_supersedes_the_one_before(
    people: People, version: SeededVersion, database: PostgresDatabase
) -> None:
    await submit(people, version.id)
    await approve(people, version.id)
    second = await seed_rules(database, report=version.report)
    await submit(people, second.id)

    await approve(people, second.id)

    listed = (await people.reader.get("/versions")).json()["versions"]
    assert [(one["number"], one["status"]) for one in listed] == [
        (2, "approved"),
        (1, "superseded"),
    ]
    history = (await people.reader.get(f"/versions/{version.id}/history")).json()["audit"]
    assert (history[-1]["action"], history[-1]["by"]) == ("superseded", "olga")
    assert history[-1]["details"] == {"by_version": second.id}


async def test_what_one_of_them_rejects_is_rejected(
    people: People, version: SeededVersion, database: PostgresDatabase
) -> None:
    first, second, third, *_ = await rule_ids(database, version.id)

    await decide(people.tester, version.id, decision="rejected", ids=[first], reason="doubtful")
    await submit(people, version.id)
    refused = await decide(people.owner, version.id, decision="approved", ids=[first])
    await decide(people.owner, version.id, decision="rejected", ids=[second], reason="no")
    approved = await approve(people, version.id)

    rules = (await people.reader.get(f"/versions/{version.id}/rules")).json()["entries"]
    by_id = {rule["id"]: rule for rule in rules}
    assert answer(refused) == (
        400,
        "wrong_state",
        "1 of these rules are not approved by the tester: Loan Number 1. The report owner decides "
        "after the tester.",
    )
    assert (by_id[first]["status"], by_id[first]["report_owner_decision"]) == ("rejected", None)
    assert (by_id[second]["status"], by_id[second]["tester_decision"]) == ("rejected", "approved")
    assert by_id[third]["status"] == "approved"
    assert approved["counts"]["rejected"] == 2


async def test_the_tester_may_think_again_while_it_is_a_draft(
    people: People, version: SeededVersion, database: PostgresDatabase
) -> None:
    first, *_ = await rule_ids(database, version.id)
    await decide(people.tester, version.id, decision="approved", ids=[first])

    again = await decide(people.tester, version.id, decision="approved", ids=[first])
    other = await decide(
        people.tester, version.id, decision="rejected", ids=[first.upper()], reason="no"
    )
    await decide(people.tester, version.id, **ALL)
    await take(people.tester, version.id, "submit")
    late = await decide(people.tester, version.id, decision="approved", ids=[first])

    assert (again.json()["decided"], again.json()["unchanged"]) == (0, 1)
    assert (other.json()["decided"], other.json()["counts"]["rejected"]) == (1, 1)
    assert answer(late) == (
        400,
        "wrong_state",
        "The version is pending_approval: the tester decides while it is draft.",
    )


@pytest.mark.parametrize(
    ("body", "code", "sentence"),
    [
        ({"decision": "approved"}, "invalid_input", "exactly one of"),
        ({"decision": "approved", "all": True, "ids": ["x"]}, "invalid_input", "exactly one of"),
        ({"decision": "maybe", "all": True}, "invalid_input", "/decision"),
        (
            {"decision": "rejected", "all": True},
            "invalid_input",
            "Give a reason for the rejection.",
        ),
        ({"decision": "approved", "ids": []}, "invalid_input", "/ids"),
        ({"decision": "approved", "ids": ["x"]}, "invalid_input", "There are no such rules here"),
        ({"decision": "approved", "ids": [NOWHERE]}, "invalid_input", "no such rules here: 0192f"),
        ({"decision": "approved", "all": True, "surprise": 1}, "invalid_input", "/surprise"),
    ],
)
async def test_requests_that_mean_nothing_are_refused_and_change_nothing(
    people: People, version: SeededVersion, body: dict[str, Any], code: str, sentence: str
) -> None:
    response = await decide(people.tester, version.id, **body)

    status, found, detail = answer(response)
    assert (status, found) == (422, code)
    assert sentence in detail
    counts = (await people.tester.get(f"/versions/{version.id}")).json()["counts"]
    assert counts["waiting_for_tester"] == version.rules


async def test_one_unknown_id_among_many_spoils_the_request(
    people: People, version: SeededVersion, database: PostgresDatabase
) -> None:
    ids = await rule_ids(database, version.id)
    other = await seed_rules(database, name="FR Y-14M B.1")
    (foreign, *_) = await rule_ids(database, other.id)

    response = await decide(people.tester, version.id, decision="approved", ids=[*ids, foreign])

    assert answer(response)[:2] == (422, "invalid_input")
    counts = (await people.tester.get(f"/versions/{version.id}")).json()["counts"]
    assert counts["waiting_for_tester"] == version.rules


@pytest.mark.parametrize(
    ("who", "body", "expected"),
    [
        ("reader", ALL, (403, "forbidden")),
        ("owner", ALL, (400, "wrong_state")),
        ("admin", ALL, (422, "invalid_input")),
        ("admin", {**ALL, "as": "tester"}, (200, None)),
        ("tester", {**ALL, "as": "tester"}, (200, None)),
        ("tester", {**ALL, "as": "report_owner"}, (403, "forbidden")),
        ("stranger", ALL, (404, "not_found")),
    ],
)
async def test_the_role_says_whose_decision_it_is(
    people: People,
    version: SeededVersion,
    who: str,
    body: dict[str, Any],
    expected: tuple[int, str | None],
) -> None:
    response = await decide(getattr(people, who), version.id, **body)

    assert (response.status_code, response.json().get("code")) == expected


@pytest.mark.parametrize(
    ("step", "who", "status"),
    [
        ("submit", "reader", 403),
        ("submit", "owner", 403),
        ("submit", "stranger", 404),
        ("submit", "admin", 200),
        ("approve", "reader", 403),
        ("approve", "tester", 403),
        ("approve", "stranger", 404),
        ("approve", "admin", 200),
        ("reject", "reader", 403),
        ("reject", "tester", 403),
        ("reject", "stranger", 404),
        ("reject", "owner", 200),
    ],
)
async def test_each_step_belongs_to_a_role(
    people: People, version: SeededVersion, step: str, who: str, status: int
) -> None:
    await decide(people.tester, version.id, **ALL)
    if step != "submit":
        await take(people.tester, version.id, "submit")
        await decide(people.owner, version.id, **ALL)

    response = await take(getattr(people, who), version.id, step, reason="so it is")

    assert response.status_code == status


async def test_nobody_approves_what_they_submitted(
    api: Api, people: People, version: SeededVersion
) -> None:
    async with api.client("both", Role.TESTER, Role.REPORT_OWNER, lob="Mortgage") as both:
        unclear = await decide(both, version.id, **ALL)
        await decide(both, version.id, **ALL, **{"as": "tester"})
        await take(both, version.id, "submit")
        await decide(people.owner, version.id, **ALL)

        approving = await take(both, version.id, "approve")
        rejecting = await take(both, version.id, "reject", reason="no")

    assert answer(unclear)[:2] == (422, "invalid_input")
    assert answer(approving)[:2] == answer(rejecting)[:2] == (403, "forbidden")
    assert (await take(people.owner, version.id, "approve")).status_code == 200


async def test_nobody_decides_for_both_on_a_rule_that_they_edited_or_approved(
    api: Api, people: People, version: SeededVersion, database: PostgresDatabase
) -> None:
    edited, approved, *_ = await rule_ids(database, version.id)
    async with api.client("both", Role.TESTER, Role.REPORT_OWNER, lob="Mortgage") as both:
        as_tester, as_owner = {"as": "tester"}, {"as": "report_owner"}
        await edit(both, version.id, edited, severity="low")
        await decide(both, version.id, decision="approved", ids=[approved], **as_tester)
        await submit(people, version.id)

        own = [
            await decide(both, version.id, decision="approved", ids=[one], **as_owner)
            for one in (edited, approved)
        ]
        await decide(people.owner, version.id, decision="approved", ids=[edited, approved])
        others = await decide(both, version.id, **ALL, **as_owner)

    assert [answer(one)[:2] for one in own] == [(403, "forbidden")] * 2
    assert others.json()["decided"] == version.rules - 2


async def test_wrong_states_are_answered_with_the_state(
    people: People, version: SeededVersion
) -> None:
    too_early = await take(people.owner, version.id, "approve")
    undecided = await take(people.tester, version.id, "submit")
    await submit(people, version.id)
    twice = await take(people.tester, version.id, "submit")
    unready = await take(people.owner, version.id, "approve")
    no_reason = await take(people.owner, version.id, "reject", reason=" ")
    rejected = await take(people.owner, version.id, "reject", reason="too few")
    ended = await take(people.owner, version.id, "approve")

    assert answer(too_early) == (
        400,
        "wrong_state",
        "The version is draft: only one that is pending_approval can be approved.",
    )
    assert answer(undecided)[2] == (
        "6 of 6 rules wait for the tester: Loan Number 1, Loan Number 2 and 4 more. List them by "
        "waiting_for=tester."
    )
    assert answer(twice)[2].startswith("The version is pending_approval")
    assert answer(unready)[2] == (
        "6 of 6 rules wait for the report owner: Loan Number 1, Loan Number 2 and 4 more. List "
        "them by waiting_for=report_owner."
    )
    assert answer(no_reason)[:2] == (422, "invalid_input")
    assert rejected.json()["status"] == "rejected"
    assert answer(ended)[2].startswith("The version is rejected")


async def test_a_version_with_nothing_to_approve_is_not_handed_on(
    people: People, version: SeededVersion, database: PostgresDatabase
) -> None:
    await decide(people.tester, version.id, decision="rejected", all=True, reason="all wrong")
    all_rejected = await take(people.tester, version.id, "submit")
    async with database.begin() as tx:
        await tx.execute("DELETE FROM rule")
    empty = await take(people.tester, version.id, "submit")

    assert answer(all_rejected)[2] == "All 6 rules are rejected: there is nothing to submit."
    assert answer(empty)[2] == "The version has no rules: there is nothing to submit."


PATHS = [
    ("GET", ""),
    ("GET", "/rules"),
    ("GET", "/history"),
    ("POST", "/rules/decisions"),
    ("POST", "/submit"),
    ("POST", "/approve"),
    ("POST", "/reject"),
    ("POST", "/generate-rules"),
]


@pytest.mark.invariant("I9")
@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_a_version_of_another_line_of_business_is_answered_as_one_that_does_not_exist(
    people: People, version: SeededVersion, method: str, path: str
) -> None:
    body = {"/rules/decisions": ALL, "/reject": {"reason": "no"}}.get(path)
    answers = []
    for version_id in (version.id, NOWHERE, "no-uuid"):
        response = await people.stranger.request(method, f"/versions/{version_id}{path}", json=body)
        answers.append(answer(response))

    assert answers == [(404, "not_found", "There is no such version.")] * 3
    assert (await people.stranger.get("/versions")).json()["versions"] == []


async def test_versions_are_listed_newest_first_page_by_page(
    people: People, database: PostgresDatabase
) -> None:
    made = [await seed_rules(database, attributes=1, name=f"Report {n}") for n in range(5)]
    await submit(people, made[1].id)
    found: list[str] = []
    cursor: str | None = None

    while True:
        params = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await people.reader.get("/versions", params=params)).json()
        found += [one["version_id"] for one in page["versions"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert found == [one.id for one in reversed(made)]

    async def listed(**params: Any) -> list[str]:
        answered = (await people.reader.get("/versions", params=params)).json()
        return [one["version_id"] for one in answered["versions"]]

    assert await listed(status="pending_approval") == [made[1].id]
    assert await listed(report_id=made[3].report.report_id) == [made[3].id]
    assert await listed(cycle_id=made[2].report.cycle_id, kind="rules") == [made[2].id]
    assert (await people.reader.get("/versions", params={"cursor": "x"})).status_code == 400
    assert (await people.reader.get("/versions", params={"kind": "mappings"})).status_code == 400


async def test_rules_are_listed_in_the_order_of_the_form_page_by_page(
    people: People, database: PostgresDatabase
) -> None:
    version = await seed_rules(database, attributes=5)
    path = f"/versions/{version.id}/rules"
    found: list[dict[str, Any]] = []
    cursor: str | None = None

    while True:
        params = {"limit": "4"} | ({"cursor": cursor} if cursor else {})
        page = (await people.reader.get(path, params=params)).json()
        found += page["entries"]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert [rule["id"] for rule in found] == list(await rule_ids(database, version.id))
    assert page["counts"]["total"] == len(found) == 15
    assert page["kind"] == "rules"
    one = found[0]
    assert one["attribute"] == "Loan Number"
    assert one["kwargs"] == {"column": "Loan Number"}
    assert (one["status"], one["tester_decision"], one["provider"]) == ("pending", None, "offline")
    assert one["created_at"].endswith("Z")
    assert one.keys().isdisjoint({"kwargs_hash", "place", "line_no", "entry_id"})


async def test_rules_are_narrowed_by_status_attribute_and_whom_they_wait_for(
    people: People, database: PostgresDatabase, version: SeededVersion
) -> None:
    first, second = version.report.attribute_ids
    path = f"/versions/{version.id}/rules"
    await decide(people.tester, version.id, decision="approved", attribute_ids=[first])
    (last, *_) = reversed(await rule_ids(database, version.id))
    await decide(people.tester, version.id, decision="rejected", ids=[last], reason="no")

    async def count(**params: Any) -> int:
        return len((await people.reader.get(path, params=params)).json()["entries"])

    assert await count(attribute_id=first) == 3
    assert await count(status="pending") == 5
    assert await count(status=["pending", "rejected"], attribute_id=second) == 3
    assert await count(waiting_for="tester") == 2
    assert await count(waiting_for="report_owner") == 3
    assert (await people.reader.get(path, params={"waiting_for": "x"})).status_code == 400
    assert (await people.reader.get(path, params={"cursor": "MQoyCjM"})).status_code == 400
    assert (await people.reader.get(f"/versions/{version.id}/samples")).status_code == 404


async def test_the_audit_says_who_did_what_when_and_why(
    people: People, database: PostgresDatabase, version: SeededVersion
) -> None:
    first, *_ = await rule_ids(database, version.id)
    await decide(people.tester, version.id, decision="approved", ids=[first])
    await decide(
        people.tester, version.id, decision="rejected", ids=[first], reason="on reflection"
    )
    await submit(people, version.id)
    await decide(people.admin, version.id, **ALL, **{"as": "report_owner"})

    async def lines(**params: Any) -> list[dict[str, Any]]:
        response = await people.reader.get(f"/versions/{version.id}/history", params=params)
        return list(response.json()["audit"])

    of_first = await lines(entry_id=first)
    page = (await people.reader.get(f"/versions/{version.id}/history", params={"limit": 3})).json()
    rest = await lines(cursor=page["next_cursor"])

    assert [(one["action"], one["by"], one["reason"]) for one in of_first] == [
        ("approved", "tess", ""),
        ("rejected", "tess", "on reflection"),
    ]
    assert of_first[1]["details"] == {"before": "approved", "status": "rejected"}
    everything = page["audit"] + rest
    assert everything == await lines()
    assert len(everything) == 2 + 5 + 1 + 5
    assert {(one["by"], one["reviewer"]) for one in everything} == {
        ("tess", "tester"),
        ("tess", None),
        ("boss", "report_owner"),
    }
    assert everything[7]["action"] == "submitted"
    assert everything[7]["details"] == {"approved": 0, "rejected": 1, "total": 6}


async def test_two_people_who_decide_at_once_leave_one_story(
    people: People, database: PostgresDatabase
) -> None:
    version = await seed_rules(database, attributes=20)
    ids = list(await rule_ids(database, version.id))

    answers = await asyncio.gather(
        decide(people.tester, version.id, decision="approved", ids=ids),
        decide(people.tester, version.id, decision="rejected", ids=ids[::-1], reason="no"),
        decide(people.admin, version.id, **ALL, **{"as": "tester"}),
    )

    assert [one.status_code for one in answers] == [200, 200, 200]
    counts = (await people.tester.get(f"/versions/{version.id}")).json()["counts"]
    assert (counts["total"], counts["waiting_for_tester"]) == (60, 0)
    assert counts["rejected"] in (0, 60)
    audit = (
        await people.tester.get(f"/versions/{version.id}/history", params={"limit": 1000})
    ).json()["audit"]
    for entry_id in ids:
        told = [line for line in audit if line["entry_id"] == entry_id]
        earlier = [line["details"]["before"] for line in told]
        assert earlier == [None, *(line["action"] for line in told[:-1])]


async def test_of_two_who_approve_at_once_one_is_told_the_state(
    people: People, version: SeededVersion
) -> None:
    await submit(people, version.id)
    await decide(people.owner, version.id, **ALL)

    answers = await asyncio.gather(
        *(take(client, version.id, "approve") for client in (people.owner, people.admin))
    )

    assert sorted(one.status_code for one in answers) == [200, 400]
    history = (await people.owner.get(f"/versions/{version.id}/history")).json()["audit"]
    assert [line["action"] for line in history if line["entry_id"] is None] == [
        "submitted",
        "approved",
    ]


async def test_two_versions_of_a_report_approved_at_once_leave_one_approved(
    people: People, database: PostgresDatabase, version: SeededVersion
) -> None:
    versions = [version]
    for _ in range(3):
        await submit(people, versions[-1].id)
        await decide(people.owner, versions[-1].id, **ALL)
        versions.append(await seed_rules(database, report=version.report))
    ready = versions[:3]

    answers = await asyncio.gather(*(take(people.owner, one.id, "approve") for one in ready))

    assert [one.status_code for one in answers] == [200, 200, 200]
    listed = (await people.owner.get("/versions")).json()["versions"]
    assert sorted(one["status"] for one in listed) == [
        "approved", "draft", "superseded", "superseded"
    ]  # fmt: skip


async def test_the_older_trigger_starts_rule_generation(
    people: People, version: SeededVersion
) -> None:
    path = f"/versions/{version.id}/generate-rules"

    started = await people.tester.post(path, json={"force": True})
    again = await people.tester.post(path, json={"force": True})
    old_mount = await people.tester.post(
        f"http://longhaul/versions/{version.id}/generate-rules", json={"force": True}
    )
    other = await people.tester.post(path)
    not_theirs = await people.owner.post(path)
    job = (await people.tester.get(f"/jobs/{started.json()['job_id']}")).json()

    assert started.status_code == 202
    assert started.json() == {"job_id": job["job_id"], "message": "Rule generation has started."}
    assert job["parameters"]["version_id"] == version.id
    assert job["parameters"]["force"] is True
    assert again.json() == old_mount.json()
    assert again.json()["message"] == "Rule generation is running already."
    assert (other.status_code, other.json()["code"]) == (409, "singleton_busy")
    assert not_theirs.status_code == 403


async def test_the_older_trigger_refuses_what_is_no_draft(
    people: People, version: SeededVersion
) -> None:
    await submit(people, version.id)

    response = await people.tester.post(f"/versions/{version.id}/generate-rules")

    assert answer(response) == (
        400,
        "wrong_state",
        "The version is pending_approval: rules are only generated into a draft.",
    )
    unknown = await people.tester.post(f"/versions/{uuid.uuid4()}/generate-rules")
    assert unknown.status_code == 404


async def edit(client: httpx2.AsyncClient, version_id: str, rule_id: str, **body: Any) -> Any:
    return await client.patch(f"/versions/{version_id}/rules/{rule_id}", json=body)


async def test_a_tester_changes_a_rule_and_approves_it_so(
    people: People, database: PostgresDatabase, version: SeededVersion
) -> None:
    first, *_ = await rule_ids(database, version.id)

    response = await edit(
        people.tester,
        version.id,
        first,
        severity="Major",
        kwargs={"column": "Loan Number", "mostly": 0.9},
    )

    rule = response.json()
    assert response.status_code == 200
    assert (rule["id"], rule["severity"], rule["name"]) == (first, "high", "Loan Number 1")
    assert rule["kwargs"] == {"column": "Loan Number", "mostly": 0.9}
    assert (rule["tester_decision"], rule["status"]) == ("approved", "pending")
    history = (await people.tester.get(f"/versions/{version.id}/history")).json()["audit"]
    assert (history[-1]["action"], history[-1]["by"], history[-1]["entry_id"]) == (
        "edited",
        "tess",
        first,
    )
    assert history[-1]["details"] == {
        "before": {"severity": "high", "kwargs": {"column": "Loan Number"}},
        "after": {"severity": "Major", "kwargs": {"column": "Loan Number", "mostly": 0.9}},
    }
    listed = await people.tester.get(f"/versions/{version.id}/rules", params={"id": first.upper()})
    assert [one["id"] for one in listed.json()["entries"]] == [first]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"kwargs": {"column": "No Such Attribute"}}, "column"),
        ({"type": "expect_miracles"}, "expect_miracles"),
        ({"severity": "dreadful"}, "severity must be one of"),
        ({"kwargs": {"column": "Loan Number", "mostly": 7}}, "mostly"),
        ({"type": "expect_column_values_to_be_unique"}, "is the same"),
        ({"surprise": 1}, "/surprise"),
        (
            {
                "type": "expect_column_values_to_match_regex",
                "kwargs": {"column": "Loan Number", "regex": "(?=x)"},
            },
            "",
        ),
    ],
)
async def test_an_edited_rule_is_held_to_the_same_checks(
    people: People,
    database: PostgresDatabase,
    version: SeededVersion,
    body: dict[str, Any],
    sentence: str,
) -> None:
    first, *_ = await rule_ids(database, version.id)
    path = f"/versions/{version.id}/rules"
    before = (await people.tester.get(path)).json()

    response = await edit(people.tester, version.id, first, **body)

    status, code, detail = answer(response)
    assert (status, code) == (422, "invalid_input")
    assert sentence in detail
    assert (await people.tester.get(path)).json() == before


async def test_only_a_tester_edits_and_only_a_draft(
    people: People, database: PostgresDatabase, version: SeededVersion
) -> None:
    first, *_ = await rule_ids(database, version.id)
    owner = await edit(people.owner, version.id, first, severity="low")
    stranger = await edit(people.stranger, version.id, first, severity="low")
    unknown = [
        await edit(people.tester, version.id, rule_id, severity="low")
        for rule_id in (NOWHERE, "no-uuid")
    ]
    admin = await edit(people.admin, version.id, first, severity="low")
    await submit(people, version.id)
    late = await edit(people.tester, version.id, first, severity="low")

    assert answer(owner)[:2] == (403, "forbidden")
    assert answer(stranger) == (404, "not_found", "There is no such version.")
    assert {answer(one) for one in unknown} == {(404, "not_found", "The version has no such rule.")}
    assert admin.json()["severity"] == "low"
    assert answer(late)[:2] == (400, "wrong_state")
