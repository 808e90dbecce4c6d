"""Attributes that no job could map are mapped by testers, to columns that exist."""

import asyncio
from typing import Any

import asyncpg
import httpx2
import pytest

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.mappings import PostgresMappings
from longhaul.adapters.settings import Settings
from longhaul.core.mappings import Standing
from longhaul.core.principals import Role
from tests.api.conftest import Api, Terminal, make_settings
from tests.api.people import People, answer
from tests.conftest import Servers
from tests.loans import Loans, seed_loans
from tests.ports import new_port
from tests.waiting import until

COLUMN = {"data_source": "Landing", "table": "landing.loans", "column": "st_cd"}


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, servers: Servers, dsn: str) -> Settings:
    away = f"postgresql://longhaul@127.0.0.1:{new_port()}/loans"
    bound = {"LONGHAUL_SOURCES__SECRETS": "LOANS_DSN", "LOANS_DSN": away}
    return make_settings(monkeypatch, servers, dsn, **bound)


@pytest.fixture
async def loans(database: PostgresDatabase) -> Loans:
    """A report whose last attribute has no mapping, and whose second has one of a job."""
    loans = await seed_loans(database)
    *_, last = loans.seeded.attribute_ids
    await loans.fetch("DELETE FROM pde_mapping WHERE attribute_id = $1 RETURNING 1", last)
    await loans.fetch(
        "UPDATE pde_mapping SET job_id = gen_random_uuid(), ordinal = 1, provider = 'offline',"
        " status = 'approved', auto_approved = true, confidence = 0.9, criticality = 'High',"
        " pii_flag = true, business_process = 'Lending', alternatives = '[{}]'"
        " WHERE attribute_id = $1 RETURNING 1",
        loans.seeded.attribute_ids[1],
    )
    return loans


async def phase(loans: Loans) -> str:
    (row,) = await loans.fetch("SELECT id FROM phase")
    return f"/phases/{row['id']}/mappings"


async def put(
    client: httpx2.AsyncClient, loans: Loans, attribute_id: int, **body: Any
) -> httpx2.Response:
    return await client.put(f"{await phase(loans)}/{attribute_id}", json={**COLUMN, **body})


async def history(client: httpx2.AsyncClient, loans: Loans) -> list[Any]:
    return list((await client.get(f"{await phase(loans)}/history")).json()["audit"])


async def test_an_attribute_without_a_mapping_is_mapped_and_waits_for_the_report_owner(
    people: People, loans: Loans
) -> None:
    *_, last = loans.seeded.attribute_ids

    response = await put(people.tester, loans, last, reason="said by the desk", risk="Low")

    assert response.status_code == 200, response.text
    entry = response.json()
    assert (entry["table_name"], entry["column_name"]) == ("landing.loans", "st_cd")
    assert (entry["mapping_type"], entry["risk"], entry["criticality"]) == ("direct", "Low", None)
    assert (entry["provider"], entry["rationale"]) == ("person", "said by the desk")
    assert (entry["status"], entry["tester_decision"], entry["report_owner_decision"]) == (
        "pending",
        "approved",
        None,
    )
    (line,) = await history(people.reader, loans)
    assert (line["action"], line["by"], line["reviewer"], line["reason"]) == (
        "mapped",
        "tess",
        "tester",
        "said by the desk",
    )
    assert (line["entry_id"], line["details"]["before"]) == (entry["id"], None)
    assert line["details"]["after"]["column_name"] == "st_cd"
    approved = await people.owner.post(
        f"{await phase(loans)}/decisions", json={"decision": "approved", "ids": [entry["id"]]}
    )
    assert approved.json()["decided"] == 1
    async with loans.database.begin() as tx:
        assert await PostgresMappings().standing(tx, last) is Standing.DECIDED


async def test_what_nothing_feeds_is_listed_until_somebody_maps_it(
    people: People, loans: Loans
) -> None:
    _, second, _, last = loans.seeded.attribute_ids
    rejected = "UPDATE pde_mapping SET status = 'rejected' WHERE attribute_id = $1 RETURNING 1"
    await loans.fetch(rejected, second)
    path = f"{await phase(loans)}/missing"

    page = (await people.reader.get(path, params={"limit": 1})).json()
    rest = (await people.reader.get(path, params={"cursor": page["next_cursor"]})).json()
    await put(people.tester, loans, last)
    await loans.fetch("UPDATE attribute SET is_active = false WHERE id = $1 RETURNING 1", second)
    nothing = (await people.reader.get(path)).json()

    (one,), (other,) = page["attributes"], rest["attributes"]
    assert (one["attribute_id"], one["name"], one["is_rejected"]) == (second, "Original LTV", True)
    assert (other["attribute_id"], other["name"], other["is_rejected"]) == (last, "State", False)
    assert nothing == {"attributes": [], "next_cursor": None}
    assert (await people.stranger.get(path)).status_code == 404


async def test_what_a_job_had_proposed_is_replaced_and_stands_in_the_audit(
    people: People, loans: Loans
) -> None:
    second = loans.seeded.attribute_ids[1]
    async with loans.database.begin() as tx:
        assert await PostgresMappings().standing(tx, second) is Standing.PROPOSED

    entry = (await put(people.tester, loans, second, mapping_type="lookup")).json()

    assert (entry["column_name"], entry["mapping_type"]) == ("st_cd", "lookup")
    assert (entry["status"], entry["auto_approved"]) == ("pending", False)
    assert (entry["confidence"], entry["alternatives"]) == (None, [])
    assert (entry["criticality"], entry["pii_flag"], entry["business_process"]) == (
        "High",
        True,
        "Lending",
    )
    (line,) = await history(people.reader, loans)
    before = line["details"]["before"]
    assert (before["column_name"], before["provider"], before["status"]) == (
        "orig_ltv",
        "offline",
        "approved",
    )
    assert (before["data_source"], before["auto_approved"]) == ("Landing", True)
    async with loans.database.begin() as tx:
        assert await PostgresMappings().standing(tx, second) is Standing.DECIDED


async def test_what_the_report_owner_had_said_of_another_column_counts_no_more(
    people: People, loans: Loans
) -> None:
    *_, last = loans.seeded.attribute_ids
    entry = (await put(people.tester, loans, last)).json()
    rejected = {"decision": "rejected", "ids": [entry["id"]], "reason": "no"}
    await people.owner.post(f"{await phase(loans)}/decisions", json=rejected)

    again = (await put(people.tester, loans, last, column="close_dt")).json()

    assert again["id"] == entry["id"]
    assert (again["status"], again["report_owner_decision"]) == ("pending", None)
    before = (await history(people.reader, loans))[-1]["details"]["before"]
    assert (before["status"], before["report_owner_decision"]) == ("rejected", "rejected")


async def test_nobody_decides_as_report_owner_on_a_mapping_of_their_own(
    api: Api, loans: Loans
) -> None:
    *_, last = loans.seeded.attribute_ids
    async with api.client("both", Role.TESTER, Role.REPORT_OWNER, lob="Mortgage") as both:
        entry = (await put(both, loans, last)).json()
        response = await both.post(
            f"{await phase(loans)}/decisions",
            json={"decision": "approved", "ids": [entry["id"]], "as": "report_owner"},
        )

    assert answer(response)[:2] == (403, "forbidden")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"data_source": "Elsewhere"}, "no data source of this name; it has: Landing."),
        ({"table": "loans"}, "no such table; named alike: landing.loans."),
        ({"table": "nothing"}, "The data source has no such table."),
        ({"column": "ST_CODE"}, "no such column; named alike: st_cd."),
        ({"column": "zzzz"}, "The table has no such column."),
        ({"mapping_type": "guessed"}, "mapping_type"),
        ({"risk": "huge"}, "risk"),
        ({"column": ""}, "column"),
    ],
)
async def test_what_is_not_there_is_refused_and_what_is_named_alike_is_said(
    people: People, loans: Loans, body: dict[str, str], said: str
) -> None:
    *_, last = loans.seeded.attribute_ids

    response = await put(people.tester, loans, last, **body)

    assert (response.status_code, response.json()["code"]) == (422, "invalid_input")
    assert said in response.text
    assert await history(people.reader, loans) == []


async def test_a_source_that_does_not_answer_is_said_and_nothing_is_mapped(
    people: People, loans: Loans
) -> None:
    *_, last = loans.seeded.attribute_ids
    await loans.fetch("UPDATE data_source SET secret_ref = 'LOANS_DSN' RETURNING 1")
    away = await put(people.tester, loans, last)
    await loans.fetch("UPDATE data_source SET secret_ref = 'NOT_BOUND' RETURNING 1")
    unbound = await put(people.tester, loans, last)

    assert answer(away) == (
        503,
        "unavailable",
        "The data source did not answer. Check that it runs and can be reached from here, then try "
        "again.",
    )
    assert answer(unbound)[:2] == (422, "invalid_input")
    assert unbound.json()["errors"] == [{"pointer": "/data_source", "detail": "secret_missing"}]
    assert await history(people.reader, loans) == []


async def test_a_source_that_is_removed_meanwhile_is_said_and_nothing_is_mapped(
    people: People, loans: Loans, dsn: str
) -> None:
    *_, last = loans.seeded.attribute_ids
    await loans.fetch("DELETE FROM pde_mapping RETURNING 1")
    other = await asyncpg.connect(dsn)

    async def somebody_waits() -> bool:
        sql = "SELECT FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))"
        return bool(await loans.fetch(sql, other.get_server_pid()))

    try:
        async with other.transaction():
            await other.execute("DELETE FROM data_source")
            mapping = asyncio.create_task(put(people.tester, loans, last))
            await until(somebody_waits, what="the mapping to need its source")
        response = await mapping
    finally:
        await other.close()

    assert answer(response)[:2] == (422, "invalid_input")
    assert response.json()["errors"] == [{"pointer": "/data_source", "detail": "unknown"}]
    assert await history(people.reader, loans) == []


@pytest.mark.invariant("I9")
async def test_mappings_are_made_by_testers_who_see_the_report(
    people: People, loans: Loans
) -> None:
    *_, last = loans.seeded.attribute_ids

    assert answer(await put(people.stranger, loans, last)) == (
        404,
        "not_found",
        "There is no such phase.",
    )
    assert (await put(people.owner, loans, last)).status_code == 403
    assert (await put(people.reader, loans, last)).status_code == 403
    assert answer(await put(people.tester, loans, 999_999)) == (
        404,
        "not_found",
        "The phase has no such attribute.",
    )
    assert (await put(people.admin, loans, last)).status_code == 200


async def test_an_attribute_is_mapped_from_the_command_line(
    terminal: Terminal, loans: Loans
) -> None:
    *_, last = map(str, loans.seeded.attribute_ids)
    (row,) = await loans.fetch("SELECT id FROM phase")
    column = ("--source", "Landing", "--table", "landing.loans", "--column", "st_cd")

    missing = await terminal.text("mappings", "missing", str(row["id"]))
    entry = await terminal.json(
        *("mappings", "set", str(row["id"]), last, *column, "--type", "lookup"),
        *("--reason", "said by the desk", "--pii", "--security", "HRCI"),
    )
    text = await terminal.text("mappings", "set", str(row["id"]), last, *column)
    wrong = await terminal.run("mappings", "set", str(row["id"]), last, *column[:-1], "st")

    assert (entry["column_name"], entry["mapping_type"]) == ("st_cd", "lookup")
    assert (entry["pii_flag"], entry["information_security_classification"]) == (True, "HRCI")
    assert "State" in missing
    assert "st_cd" in text
    assert wrong[0] == 2
    assert "named alike: st_cd" in wrong[2]
