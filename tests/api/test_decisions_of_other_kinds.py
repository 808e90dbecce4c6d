"""Mappings, recommendations and samples are decided on as rules are."""

from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from longhaul.adapters.postgres.database import PostgresDatabase
from tests.api.conftest import Api
from tests.api.people import ALL, People, answer, take
from tests.rule_samples import Seeded, form_attributes, seed_report

KINDS = ("mappings", "recommendations", "samples")


@dataclass(frozen=True)
class Wanted:
    """Three entries of one kind, and their routes."""

    kind: str
    path: str
    history: str
    version_id: str | None
    entry_ids: tuple[str, ...]


@pytest.fixture
async def report(database: PostgresDatabase) -> Seeded:
    return await seed_report(database, form_attributes("a1")[:3])


async def seed(database: PostgresDatabase, report: Seeded, kind: str) -> Wanted:
    async with database.begin() as tx:
        if kind == "mappings":
            rows = await tx.fetch(
                "INSERT INTO pde_mapping (phase_id, attribute_id, table_name, column_name,"
                " mapping_type, confidence, rationale, provider, model, prompt_version, job_id,"
                " ordinal)"
                " SELECT phase_id, id, 'loans', 'c' || id, 'direct', 0.7, 'Because.', 'offline',"
                " 'x', '1', gen_random_uuid(), line_no FROM attribute WHERE id = ANY ($1)"
                " ORDER BY line_no RETURNING id::text, phase_id",
                report.attribute_ids,
            )
            phase = f"/phases/{rows[0]['phase_id']}/mappings"
            return Wanted(kind, phase, f"{phase}/history", None, tuple(row["id"] for row in rows))
        table = "scoping_version" if kind == "recommendations" else "sample_set"
        (version,) = await tx.fetch(
            f"INSERT INTO {table} (id, cycle_id, report_id, phase_id, number, created_by,"
            " created_at) SELECT gen_random_uuid(), cycle_id, report_id, id,"
            f" 1 + (SELECT count(*) FROM {table}), 'u-1', clock_timestamp()"
            " FROM phase WHERE report_id = $1 AND name = 'Planning' RETURNING id::text",
            report.report_id,
        )
        statement = RECOMMENDATIONS if kind == "recommendations" else SAMPLES
        rows = await tx.fetch(statement, version["id"], report.attribute_ids)
    path = f"/versions/{version['id']}"
    ids = tuple(row["id"] for row in rows)
    return Wanted(kind, f"{path}/{kind}", f"{path}/history", version["id"], ids)


RECOMMENDATIONS = """
INSERT INTO scoping_recommendation (
    version_id, attribute_id, recommendation, risk_score, regulatory_impact, data_complexity,
    common_errors, downstream_dependencies, cde_points, historical_issue_points, priority,
    confidence, rationale, expected_source_documents, keywords, validation_hints, provider, model,
    prompt_version, created_at)
SELECT $1::text::uuid, id, 'test', 4, 1, 1, 1, 1, 0, 0, 'low', 0.6, '{}', '[]', '[]', '[]',
       'offline', 'x', '1', clock_timestamp()
FROM attribute WHERE id = ANY ($2) ORDER BY line_no RETURNING attribute_id::text AS id
"""

SAMPLES = """
INSERT INTO sample (
    set_id, attribute_id, category, kind, table_name, source_key, key_hash, key_values, row_data,
    rationale, risk, confidence, provider, model, prompt_version, ordinal, created_at)
SELECT $1::text::uuid, id, 'clean', 'typical', 'loans', '{}', id::text, '{"Loan Number": 1}',
       '{"Loan Number": 1, "Loan Closing Date": null}', 'Because.', 'low', 0.6, 'offline', 'x', '1',
       line_no, clock_timestamp()
FROM attribute WHERE id = ANY ($2) ORDER BY line_no RETURNING id::text
"""


async def decide(client: httpx2.AsyncClient, wanted: Wanted, **body: Any) -> httpx2.Response:
    return await client.post(f"{wanted.path}/decisions", json=body)


async def entries(client: httpx2.AsyncClient, wanted: Wanted, **params: Any) -> dict[str, Any]:
    response = await client.get(wanted.path, params=params)
    assert response.status_code == 200, response.text
    return dict(response.json())


@pytest.mark.parametrize("kind", KINDS)
async def test_both_decide_on_every_kind(
    people: People, database: PostgresDatabase, report: Seeded, kind: str
) -> None:
    wanted = await seed(database, report, kind)
    first, second, third = wanted.entry_ids
    early = await decide(people.owner, wanted, **ALL)

    await decide(people.tester, wanted, decision="rejected", ids=[first], reason="no")
    tested = await decide(people.tester, wanted, **ALL)
    if wanted.version_id:
        assert (await take(people.tester, wanted.version_id, "submit")).status_code == 200
    await decide(people.owner, wanted, decision="rejected", ids=[second], reason="no")
    owned = await decide(people.owner, wanted, **ALL)

    assert early.status_code == (400 if wanted.version_id else 200)
    assert (tested.json()["as"], tested.json()["decided"]) == ("tester", 2)
    assert (owned.json()["as"], owned.json()["decided"]) == ("report_owner", 1)
    page = await entries(people.reader, wanted)
    assert page["kind"] == kind
    assert [(one["id"], one["status"]) for one in page["entries"]] == [
        (first, "rejected"),
        (second, "rejected"),
        (third, "approved"),
    ]
    assert page["entries"][0]["attribute"] == "Loan Number"
    assert page["counts"] == {
        "total": 3,
        "pending": 0,
        "approved": 1,
        "rejected": 2,
        "waiting_for_tester": 0,
        "waiting_for_report_owner": 0,
    }
    audit = (await people.reader.get(wanted.history, params={"entry_id": second})).json()["audit"]
    assert [(one["action"], one["by"]) for one in audit] == [
        ("approved", "tess"),
        ("rejected", "olga"),
    ]


@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_is_listed_page_by_page_and_narrowed(
    people: People, database: PostgresDatabase, report: Seeded, kind: str
) -> None:
    wanted = await seed(database, report, kind)
    await decide(people.tester, wanted, decision="approved", ids=[wanted.entry_ids[1]])

    first = await entries(people.reader, wanted, limit=2)
    rest = await entries(people.reader, wanted, limit=2, cursor=first["next_cursor"])
    waiting = await entries(people.reader, wanted, waiting_for="report_owner")
    of_one = await entries(people.reader, wanted, attribute_id=report.attribute_ids[2])
    wrong = await people.reader.get(wanted.path, params={"cursor": "MQoyCng"})
    unknown = await decide(people.tester, wanted, decision="approved", ids=["no-id", "-1", "1 "])

    assert [one["id"] for one in first["entries"] + rest["entries"]] == list(wanted.entry_ids)
    assert rest["next_cursor"] is None
    assert [one["id"] for one in waiting["entries"]] == [wanted.entry_ids[1]]
    assert [one["id"] for one in of_one["entries"]] == [wanted.entry_ids[2]]
    assert wrong.status_code == 400
    assert answer(unknown)[:2] == (422, "invalid_input")


@pytest.mark.invariant("I9")
@pytest.mark.parametrize("kind", KINDS)
async def test_another_line_of_business_finds_nothing(
    people: People, database: PostgresDatabase, report: Seeded, kind: str
) -> None:
    wanted = await seed(database, report, kind)
    noun = "version" if wanted.version_id else "phase"

    for response in (
        await people.stranger.get(wanted.path),
        await people.stranger.get(wanted.history),
        await decide(people.stranger, wanted, **ALL),
    ):
        assert answer(response) == (404, "not_found", f"There is no such {noun}.")


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("recommendations", "Loan Number, Loan Closing Date and 1 more"),
        ("samples", "sample 2 (Loan Number), sample 3 (Loan Closing Date) and 1 more"),
    ],
)
async def test_what_holds_a_version_up_is_named_without_its_values(
    people: People, database: PostgresDatabase, report: Seeded, kind: str, named: str
) -> None:
    wanted = await seed(database, report, kind)
    assert wanted.version_id

    refused = await take(people.tester, wanted.version_id, "submit")
    await decide(people.tester, wanted, decision="approved", ids=wanted.entry_ids[:2])
    nearly = await take(people.tester, wanted.version_id, "submit")

    assert answer(refused) == (
        400,
        "wrong_state",
        f"3 of 3 {kind} wait for the tester: {named}. List them by waiting_for=tester.",
    )
    assert "1 of 3" in answer(nearly)[2]
    assert "more" not in answer(nearly)[2]


@pytest.mark.parametrize("kind", KINDS[1:])
async def test_versions_of_every_kind_are_submitted_and_approved(
    people: People, database: PostgresDatabase, report: Seeded, kind: str
) -> None:
    older, newer = [await seed_and_approve(people, database, report, kind) for _ in range(2)]

    listed = (await people.reader.get("/versions", params={"kind": kind})).json()["versions"]

    assert [(one["version_id"], one["status"]) for one in listed] == [
        (newer.version_id, "approved"),
        (older.version_id, "superseded"),
    ]
    other_kind = await people.reader.get(f"/versions/{newer.version_id}/rules")
    assert answer(other_kind) == (404, "not_found", f"The version has {kind}, not rules.")
    trigger = await people.tester.post(f"/versions/{newer.version_id}/generate-rules")
    assert trigger.status_code == 404


async def test_an_approved_sample_set_has_test_cases_and_a_superseded_one_has_none_left(
    people: People, database: PostgresDatabase, report: Seeded
) -> None:
    older = await seed_and_approve(people, database, report, "samples")
    first = await cases(database)
    newer = await seed_and_approve(people, database, report, "samples")
    both = await cases(database)

    assert len(first) == 2 * len(report.attribute_ids)
    assert {(one["set_id"], one["is_active"]) for one in first} == {(older.version_id, True)}
    assert {(one["set_id"], one["is_active"]) for one in both} == {
        (older.version_id, False),
        (newer.version_id, True),
    }


async def test_a_mapping_that_is_sure_enough_holds_until_somebody_rejects_it(
    people: People, database: PostgresDatabase, report: Seeded
) -> None:
    wanted = await seed(database, report, "mappings")
    sure, *_ = wanted.entry_ids
    async with database.begin() as tx:
        await tx.execute(
            "UPDATE pde_mapping SET auto_approved = true, status = 'approved' WHERE id = $1",
            int(sure),
        )
    before = await entries(people.reader, wanted)

    everything = await decide(people.tester, wanted, **ALL)
    confirmed = await decide(people.tester, wanted, decision="approved", ids=[sure])
    approved = await entries(people.reader, wanted, status="approved")
    await decide(people.owner, wanted, decision="rejected", ids=[sure], reason="another column")
    rejected = await entries(people.reader, wanted, status="rejected")

    assert (before["counts"]["approved"], before["counts"]["waiting_for_tester"]) == (1, 2)
    assert everything.json()["decided"] == 2
    assert confirmed.json()["decided"] == 1
    assert [one["id"] for one in approved["entries"]] == [sure]
    assert [one["id"] for one in rejected["entries"]] == [sure]


async def test_any_phase_of_the_report_leads_to_its_mappings(
    api: Api, people: People, database: PostgresDatabase, report: Seeded
) -> None:
    wanted = await seed(database, report, "mappings")
    async with database.begin() as tx:
        (other,) = await tx.fetch(
            "INSERT INTO phase (cycle_id, report_id, name) VALUES ($1, $2, 'Scoping') RETURNING id",
            report.cycle_id,
            report.report_id,
        )

    page = await people.reader.get(f"/phases/{other['id']}/mappings")
    unknown = await people.reader.get("/phases/999999/mappings")
    no_number = await people.reader.get("/phases/first/mappings")

    assert [one["id"] for one in page.json()["entries"]] == list(wanted.entry_ids)
    assert answer(unknown) == (404, "not_found", "There is no such phase.")
    assert no_number.status_code == 404


@pytest.mark.parametrize("kind", KINDS)
async def test_attributes_that_have_no_entries_are_named(
    people: People, database: PostgresDatabase, report: Seeded, kind: str
) -> None:
    wanted = await seed(database, report, kind)
    known = report.attribute_ids[0]

    foreign = await decide(
        people.tester, wanted, decision="approved", attribute_ids=[known, 999_999]
    )
    listed = await entries(people.reader, wanted)
    first = await decide(people.tester, wanted, decision="approved", attribute_ids=[known])
    again = await decide(people.tester, wanted, decision="approved", attribute_ids=[known])

    assert answer(foreign) == (
        422, "invalid_input", f"There are no {kind} here of the attributes: 999999.",
    )  # fmt: skip
    assert listed["counts"]["waiting_for_tester"] == 3
    assert (first.json()["decided"], again.json()["decided"]) == (1, 0)


@pytest.mark.parametrize("kind", KINDS)
async def test_nobody_decides_on_an_entry_for_both(
    api: Api, database: PostgresDatabase, report: Seeded, kind: str
) -> None:
    wanted = await seed(database, report, kind)
    first, second, third = wanted.entry_ids
    owner, yes = {"as": "report_owner"}, {"decision": "approved"}
    async with (
        api.client("both", "Tester", "Report Owner", lob="Mortgage") as both,
        api.client("tess", "Tester", lob="Mortgage") as tester,
        api.client("boss", "Admin") as admin,
    ):
        await decide(both, wanted, **yes, ids=[first, second], **{"as": "tester"})
        # The one who rejects and approves again is the tester from then on.
        await decide(both, wanted, **yes, ids=[third], **{"as": "tester"})
        await decide(tester, wanted, decision="rejected", ids=[third], reason="no")
        await decide(tester, wanted, **yes, ids=[third])
        if wanted.version_id:
            assert (await take(tester, wanted.version_id, "submit")).status_code == 200
        own = await decide(both, wanted, **yes, all=True, **owner)
        others = await decide(both, wanted, **yes, ids=[third], **owner)
        by_admin = await decide(admin, wanted, **yes, ids=[first, second], **owner)

    named = "Loan Number, Loan Closing Date"
    if kind == "samples":
        named = "sample 2 (Loan Number), sample 3 (Loan Closing Date)"
    assert answer(own) == (
        403, "forbidden",
        f"You decided on 2 of these as tester: {named}. Somebody else has to decide on them as "
        "report owner.",
    )  # fmt: skip
    assert others.json()["decided"] == 1
    assert by_admin.json()["decided"] == 2


@pytest.mark.invariant("I9")
@pytest.mark.parametrize("kind", KINDS)
async def test_an_entry_does_not_name_the_job_that_proposed_it(
    people: People, database: PostgresDatabase, report: Seeded, kind: str
) -> None:
    wanted = await seed(database, report, kind)

    listed = await entries(people.reader, wanted)

    assert listed["entries"]
    assert not any({"job_id", "ordinal"} & set(one) for one in listed["entries"])


async def seed_and_approve(
    people: People, database: PostgresDatabase, report: Seeded, kind: str
) -> Wanted:
    wanted = await seed(database, report, kind)
    assert wanted.version_id
    for client, step in ((people.tester, "submit"), (people.owner, "approve")):
        assert (await decide(client, wanted, **ALL)).status_code == 200
        response = await take(client, wanted.version_id, step)
        assert response.status_code == 200, response.text
    return wanted


async def cases(database: PostgresDatabase) -> list[Any]:
    async with database.begin() as tx:
        return list(
            await tx.fetch(
                "SELECT s.set_id::text AS set_id, c.is_active"
                " FROM test_case AS c JOIN sample AS s ON s.id = c.sample_id"
            )
        )
