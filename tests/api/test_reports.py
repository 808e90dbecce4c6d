"""Imported reports over HTTP: who imports them, who sees them, what their sources may be."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from longhaul.adapters.postgres.database import PostgresDatabase, PostgresTransaction
from longhaul.adapters.postgres.reports import PHASES, PostgresReports
from longhaul.adapters.sample.report import load_sample
from longhaul.adapters.settings import Settings
from longhaul.adapters.sources.sessions import SourceSessions
from longhaul.api.reports import Reports
from longhaul.core.principals import Principal, Role
from longhaul.job_types.resources import source_access
from tests.api.conftest import Api, make_settings, open_api
from tests.api.people import answer
from tests.conftest import Servers

FORM = """line_no,name,mdrm,mandatory,format
1,Loan Number,M142,Mandatory,Character(32)
2,Balance,M2,Optional,N12.2
"""
CARDS: dict[str, Any] = {
    "name": "Cards",
    "cycle": "June",
    "attributes": [
        {"name": "Loan Number", "line": 1, "mdrm": "M142", "mandatory": True, "format": "C32"},
        {"name": "Is Open", "data_type": "Boolean", "key": False},
    ],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "sources"
    folder.mkdir(parents=True)
    (folder / "loans.csv").write_text("loan_number,balance\n1,2.00\n")
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    return folder


@pytest.fixture
async def api(
    monkeypatch: pytest.MonkeyPatch, servers: Servers, dsn: str, folder: Path
) -> AsyncIterator[Api]:
    settings = make_settings(
        monkeypatch,
        servers,
        dsn,
        LONGHAUL_DATA_DIR=str(folder.parent),
        LONGHAUL_SOURCES__SECRETS="LOANS_DSN, AWAY_DSN",
        LOANS_DSN=dsn,
        AWAY_DSN="postgresql://nobody:geheim@127.0.0.1:1/nothing",
        OTHER_DSN=dsn,
    )
    async with open_api(settings) as opened:
        yield opened


@pytest.fixture
async def executive(api: Api) -> AsyncIterator[httpx2.AsyncClient]:
    async with api.client("tina", Role.TEST_EXECUTIVE, lob="Mortgage") as opened:
        yield opened


@pytest.fixture
async def data_executive(api: Api) -> AsyncIterator[httpx2.AsyncClient]:
    async with api.client("dora", Role.DATA_EXECUTIVE, lob="Mortgage") as opened:
        yield opened


@pytest.fixture
async def report(executive: httpx2.AsyncClient) -> dict[str, Any]:
    body = {"name": "Loans", "cycle": "June", "form": FORM, "regulation": "FR Y-14M"}
    made = await executive.post("/reports", json=body)
    assert made.status_code == 201, made.text
    return dict(made.json())


async def rows(database: PostgresDatabase, *tables: str) -> list[Any]:
    async with database.begin() as tx:
        return [await tx.fetch(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]


TABLES = ("report", "cycle", "cycle_report", "phase", "attribute", "report_audit")


async def test_a_report_is_brought_with_all_that_jobs_need(
    executive: httpx2.AsyncClient, report: dict[str, Any]
) -> None:
    listed = (await executive.get("/reports")).json()
    form = (await executive.get(f"/reports/{report['report_id']}/attributes")).json()

    assert (report["lob"], report["attributes"], report["created"]) == ("Mortgage", 2, True)
    assert tuple(report["phase_ids"]) == PHASES
    in_cycle = {name: report[name] for name in ("cycle_id", "cycle", "phase_ids", "attributes")}
    assert listed["reports"] == [
        {
            **{name: report[name] for name in ("report_id", "name", "regulation", "lob")},
            "cycles": [in_cycle],
            "sources": [],
        }
    ]
    assert tuple(listed["reports"][0]["cycles"][0]["phase_ids"]) == PHASES
    assert [(one["name"], one["data_type"], one["mandatory"]) for one in form["attributes"]] == [
        ("Loan Number", "String", "Mandatory"),
        ("Balance", "Decimal", "Optional"),
    ]


async def test_the_same_form_again_changes_nothing(
    executive: httpx2.AsyncClient, report: dict[str, Any], database: PostgresDatabase
) -> None:
    before = await rows(database, *TABLES)

    again = await executive.post("/reports", json={"name": "Loans", "cycle": "June", "form": FORM})

    assert again.status_code == 200
    assert again.json() == {**report, "created": False}
    assert await rows(database, *TABLES) == before


async def test_a_changed_form_is_refused_in_its_cycle_and_taken_into_a_new_one(
    executive: httpx2.AsyncClient, report: dict[str, Any]
) -> None:
    changed = {"name": "Loans", "form": FORM.replace("Balance", "Rest")}

    refused = await executive.post("/reports", json={**changed, "cycle": "June"})
    taken = await executive.post("/reports", json={**changed, "cycle": "July"})

    assert answer(refused)[:2] == (409, "already_there")
    assert "1 new (Rest); 1 missing (Balance)" in refused.json()["detail"]
    assert (taken.status_code, taken.json()["report_id"]) == (201, report["report_id"])
    where = f"/reports/{report['report_id']}/attributes"
    names = {
        cycle: [one["name"] for one in page.json()["attributes"]]
        for cycle, page in {
            "latest": await executive.get(where),
            "June": await executive.get(where, params={"cycle_id": report["cycle_id"]}),
        }.items()
    }
    assert names == {
        "latest": ["Loan Number", "Rest"],
        "June": ["Loan Number", "Balance"],
    }
    assert (await executive.get(where, params={"cycle_id": 2**31 - 1})).status_code == 404


async def test_a_report_keeps_its_regulation(
    executive: httpx2.AsyncClient, report: dict[str, Any]
) -> None:
    body = {"name": "Loans", "cycle": "July", "form": FORM, "regulation": "Other"}

    refused = await executive.post("/reports", json=body)

    assert answer(refused)[:2] == (409, "already_there")
    assert "'FR Y-14M'" in refused.json()["detail"]


async def test_a_form_may_come_as_a_list(executive: httpx2.AsyncClient) -> None:
    made = await executive.post("/reports", json=CARDS)

    assert made.status_code == 201, made.text
    page = await executive.get(f"/reports/{made.json()['report_id']}/attributes?limit=1")
    (first,) = page.json()["attributes"]
    assert (first["line_no"], first["mandatory"], first["format"]) == (1, "Mandatory", "C32")
    cursor = page.json()["next_cursor"]
    rest = await executive.get(
        f"/reports/{made.json()['report_id']}/attributes", params={"cursor": cursor}
    )
    (second,) = rest.json()["attributes"]
    assert (second["name"], second["line_no"], second["data_type"]) == ("Is Open", 2, "Boolean")
    assert rest.json()["next_cursor"] is None


async def test_a_form_is_read_as_it_was_sent_to_its_last_cell(
    executive: httpx2.AsyncClient,
) -> None:
    form = "\nname\tformat\tmdrm\nA\tN1\tM1\nB\tN1\t"

    made = await executive.post("/reports", json={"name": "Loans", "cycle": "June", "form": form})

    assert made.status_code == 201, made.text
    assert made.json()["attributes"] == 2


@pytest.mark.parametrize(
    ("change", "pointer", "complaint"),
    [
        ({"form": FORM + "3,Day,M3,Mandatory,DDMM\n"}, "/form", "Line 4: format: Unknown format"),
        ({"attributes": [{"name": "A", "format": "??"}]}, "/attributes/0/format", "Unknown format"),
        ({"attributes": [{"name": "A"}]}, "/attributes/0", "give a format or a data type"),
        ({"attributes": []}, "/attributes", "at least 1"),
        ({}, "", "exactly one of"),
        ({"form": FORM, "attributes": CARDS["attributes"]}, "", "exactly one of"),
        ({"form": FORM, "name": "a\0b"}, "/name", "pattern"),
    ],
)
async def test_what_is_wrong_with_a_form_is_said_where_it_is_and_nothing_is_stored(
    executive: httpx2.AsyncClient,
    database: PostgresDatabase,
    change: dict[str, Any],
    pointer: str,
    complaint: str,
) -> None:
    refused = await executive.post("/reports", json={"name": "Loans", "cycle": "June", **change})

    assert answer(refused)[:2] == (422, "invalid_input")
    (error,) = refused.json()["errors"]
    assert error["pointer"] == pointer
    assert complaint in error["detail"]
    assert await rows(database, "report", "cycle") == [[], []]


async def test_reports_are_brought_by_admins_and_test_executives_into_their_own_line(
    api: Api, executive: httpx2.AsyncClient
) -> None:
    async with api.client("tess", Role.TESTER, lob="Mortgage") as tester:
        by_tester = await tester.post("/reports", json=CARDS)
    elsewhere = await executive.post("/reports", json={**CARDS, "lob": "Cards"})
    async with api.client("root", Role.ADMIN) as admin:
        nowhere = await admin.post("/reports", json=CARDS)
        anywhere = await admin.post("/reports", json={**CARDS, "lob": "Cards"})

    assert answer(by_tester)[:2] == (403, "forbidden")
    assert answer(elsewhere)[:2] == (403, "forbidden")
    assert answer(nowhere)[:2] == (422, "invalid_input")
    assert (anywhere.status_code, anywhere.json()["lob"]) == (201, "Cards")


@pytest.mark.invariant("I9")
async def test_nobody_sees_or_touches_a_report_of_another_line(
    api: Api, report: dict[str, Any], folder: Path
) -> None:
    where = f"/reports/{report['report_id']}"
    source = {"name": "s", "kind": "csv", "location": "loans.csv"}
    body = {"name": "Loans", "cycle": "June", "form": FORM.replace("Balance", "Rest")}
    roles = (Role.TEST_EXECUTIVE, Role.DATA_EXECUTIVE)
    async with api.client("sam", *roles, lob="Cards") as stranger:
        listed = await stranger.get("/reports")
        hidden = [
            await stranger.get(f"{where}/attributes"),
            await stranger.get(f"{where}/sources"),
            await stranger.get(f"{where}/history"),
            await stranger.post(f"{where}/sources", json=source),
        ]
        absent = await stranger.post("/reports/2147483647/sources", json=source)
        taken = await stranger.post("/reports", json=body)

    assert listed.json()["reports"] == []
    assert {answer(one) for one in hidden} == {answer(absent)}
    assert absent.status_code == 404
    assert answer(taken) == (
        409,
        "already_there",
        "A report of this name cannot be made here: choose another name.",
    )


async def test_a_file_is_looked_into_and_added_once(
    executive: httpx2.AsyncClient, data_executive: httpx2.AsyncClient, report: dict[str, Any]
) -> None:
    where = f"/reports/{report['report_id']}"
    source = {"name": "extract", "kind": "csv", "location": "loans.csv"}

    made = await data_executive.post(f"{where}/sources", json=source)
    again = await data_executive.post(f"{where}/sources", json=source)
    other = await data_executive.post(f"{where}/sources", json={**source, "location": "."})
    history = (await executive.get(f"{where}/history")).json()["audit"]

    assert made.status_code == 201, made.text
    added = {"source_id": made.json()["source_id"], **source, "secret_ref": None}
    assert made.json() == {**added, "tables": 1, "columns": 2, "created": True}
    assert (again.status_code, again.json()) == (200, {**made.json(), "created": False})
    assert answer(other)[:2] == (409, "already_there")
    assert (await executive.get(f"{where}/sources")).json()["sources"] == [added]
    assert [(one["action"], one["by"]) for one in history] == [
        ("imported", "tina"),
        ("source_added", "dora"),
    ]
    assert history[1]["details"] == added


async def test_a_database_is_reached_by_a_bound_name_and_its_secret_is_shown_nowhere(
    executive: httpx2.AsyncClient,
    data_executive: httpx2.AsyncClient,
    report: dict[str, Any],
    database: PostgresDatabase,
    dsn: str,
) -> None:
    loaded = await load_sample(database, rows=3, random_seed=1)
    where = f"/reports/{report['report_id']}/sources"
    source = {"name": "db", "kind": "postgres", "location": "sample", "secret_ref": "LOANS_DSN"}

    made = await data_executive.post(where, json=source)

    assert made.status_code == 201, made.text
    assert (made.json()["kind"], made.json()["tables"]) == ("postgresql", 1)
    assert made.json()["columns"] > len(loaded.attribute_ids) - 10
    everything = str(await rows(database, "data_source", "report_audit")) + made.text
    assert dsn not in everything


@pytest.mark.parametrize(
    ("change", "status", "complaint"),
    [
        ({"location": "gone.csv"}, 422, "does not exist"),
        ({"location": "../../secret.csv"}, 422, "LONGHAUL_SOURCES__FOLDERS"),
        ({"location": "link.csv"}, 422, "LONGHAUL_SOURCES__FOLDERS"),
        ({"location": "/etc/passwd"}, 422, "LONGHAUL_SOURCES__FOLDERS"),
        ({"location": ""}, 422, "give the file"),
        ({"location": "empty"}, 422, "No table can be read"),
        ({"kind": "parquet"}, 422, "cannot be read"),
        ({"kind": "oracle"}, 422, "'postgresql', 'csv'"),
        ({"secret_ref": "LOANS_DSN"}, 422, "files have no"),
        ({"kind": "postgres", "location": "sample"}, 422, "needs a `secret_ref`"),
        ({"kind": "postgres", "secret_ref": "OTHER_DSN"}, 422, "LONGHAUL_SOURCES__SECRETS"),
        (
            {"kind": "postgres", "secret_ref": "LONGHAUL_POSTGRES__DSN"},
            422,
            "LONGHAUL_SOURCES__SECRETS",
        ),
        ({"kind": "postgres", "secret_ref": "postgresql://u:geheim@h/d"}, 422, "pattern"),
        (
            {"kind": "postgres", "secret_ref": "LOANS_DSN", "location": "postgresql://u:geheim@h"},
            422,
            "No table can be read",
        ),
        (
            {"kind": "postgres", "secret_ref": "LOANS_DSN", "location": "no_such"},
            422,
            "No table can be read",
        ),
        (
            {"kind": "postgres", "secret_ref": "AWAY_DSN", "location": ""},
            503,
            "Check that it runs",
        ),
    ],
)
async def test_a_source_that_cannot_be_read_is_not_added_and_the_answer_says_what_to_do(
    data_executive: httpx2.AsyncClient,
    report: dict[str, Any],
    database: PostgresDatabase,
    folder: Path,
    change: dict[str, Any],
    status: int,
    complaint: str,
) -> None:
    (folder / "link.csv").symlink_to(folder.parents[1] / "secret.csv")
    (folder / "empty").mkdir()
    source = {"name": "s", "kind": "csv", "location": "loans.csv", **change}

    refused = await data_executive.post(f"/reports/{report['report_id']}/sources", json=source)

    assert refused.status_code == status, refused.text
    assert complaint in refused.text
    assert "geheim" not in refused.text
    assert await rows(database, "data_source") == [[]]


async def test_sources_are_added_by_admins_and_data_executives(
    executive: httpx2.AsyncClient, report: dict[str, Any]
) -> None:
    source = {"name": "s", "kind": "csv", "location": "loans.csv"}

    refused = await executive.post(f"/reports/{report['report_id']}/sources", json=source)

    assert answer(refused) == (
        403,
        "forbidden",
        "Data sources are added by: Admin, Data Executive.",
    )


async def test_a_source_is_removed_as_long_as_nothing_has_come_from_it(
    executive: httpx2.AsyncClient,
    data_executive: httpx2.AsyncClient,
    report: dict[str, Any],
    database: PostgresDatabase,
) -> None:
    where = f"/reports/{report['report_id']}"
    source = {"name": "s", "kind": "csv", "location": "loans.csv"}

    async def add() -> str:
        made = await data_executive.post(f"{where}/sources", json=source)
        assert made.status_code == 201, made.text
        return f"{where}/sources/{made.json()['source_id']}"

    first = await add()
    by_other_role = await executive.delete(first)
    removed = await data_executive.delete(first)
    again = await data_executive.delete(first)
    second = await add()
    async with database.begin() as tx:
        await tx.execute(
            "INSERT INTO pde_mapping (phase_id, attribute_id, data_source_id)"
            " SELECT a.phase_id, a.id, d.id FROM attribute AS a, data_source AS d LIMIT 1"
        )
    used = await data_executive.delete(second)

    assert by_other_role.status_code == 403
    assert (removed.status_code, again.status_code) == (204, 404)
    assert answer(used)[:2] == (400, "wrong_state")
    assert len((await executive.get(f"{where}/sources")).json()["sources"]) == 1
    history = (await executive.get(f"{where}/history")).json()["audit"]
    assert [one["action"] for one in history][1:] == [
        "source_added",
        "source_removed",
        "source_added",
    ]


async def test_what_several_bring_at_once_is_made_once(
    executive: httpx2.AsyncClient, data_executive: httpx2.AsyncClient, database: PostgresDatabase
) -> None:
    body = {"name": "Loans", "cycle": "June", "form": FORM}
    other = {**body, "form": FORM.replace("Balance", "Rest")}
    source = {"name": "s", "kind": "csv", "location": "loans.csv"}

    made = await asyncio.gather(*(executive.post("/reports", json=body) for _ in range(4)))
    refused = await executive.post("/reports", json=other)
    where = f"/reports/{made[0].json()['report_id']}/sources"
    added = await asyncio.gather(*(data_executive.post(where, json=source) for _ in range(4)))

    assert sorted(one.status_code for one in made) == [200, 200, 200, 201]
    assert sorted(one.status_code for one in added) == [200, 200, 200, 201]
    assert refused.status_code == 409
    reports, sources, audit = await rows(database, "report", "data_source", "report_audit")
    assert (len(reports), len(sources), len(audit)) == (1, 1, 2)


async def test_reports_are_listed_page_by_page(executive: httpx2.AsyncClient) -> None:
    for number in range(3):
        body = {"name": f"Report {number}", "cycle": "June", "form": FORM}
        assert (await executive.post("/reports", json=body)).status_code == 201

    first = (await executive.get("/reports?limit=2")).json()
    second = (
        await executive.get("/reports", params={"limit": 2, "cursor": first["next_cursor"]})
    ).json()

    names = [[one["name"] for one in page["reports"]] for page in (first, second)]
    assert names == [["Report 0", "Report 1"], ["Report 2"]]
    assert second["next_cursor"] is None


class Watched:
    """A database that remembers its statements."""

    def __init__(self, database: PostgresDatabase) -> None:
        self.database = database
        self.asked: list[str] = []

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[PostgresTransaction]:
        async with self.database.begin() as tx:
            with tx.connection.query_logger(lambda record: self.asked.append(record.query)):
                yield tx


async def test_the_sources_of_a_page_of_reports_are_asked_for_once(
    executive: httpx2.AsyncClient, data_executive: httpx2.AsyncClient, database: PostgresDatabase
) -> None:
    for number in range(3):
        body = {"name": f"Report {number}", "cycle": "June", "form": FORM}
        made = (await executive.post("/reports", json=body)).json()
        source = {"name": f"source {number}", "kind": "csv", "location": "loans.csv"}
        await data_executive.post(f"/reports/{made['report_id']}/sources", json=source)
    watched = Watched(database)
    sources = SourceSessions(source_access(Settings()))
    reports = Reports(database=watched, store=PostgresReports(), sources=sources)
    reader = Principal(sub="rita", lob="Mortgage")

    page = await reports.list(reader, limit=100, cursor=None)

    assert len([query for query in watched.asked if "FROM data_source" in query]) == 1
    named = [[one["name"] for one in report["sources"]] for report in page["reports"]]
    assert named == [["source 0"], ["source 1"], ["source 2"]]
