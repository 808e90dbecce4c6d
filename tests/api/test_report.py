"""The report route: who may read it, in which form, and its headers for browsers."""

import httpx2
import pytest

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.report.page import HEADERS
from longhaul.api.quality import prefers_html
from tests.api.conftest import Api
from tests.pages import read_page
from tests.quality_runs import Stored, StoredRun, store_run
from tests.quality_samples import HOSTILE


@pytest.fixture
async def run(database: PostgresDatabase) -> StoredRun:
    examples = [{"key": {"ln_nbr": HOSTILE}, "values": {"occ_cd": HOSTILE}}]
    return await store_run(database, [Stored(failed=5, examples=examples), Stored(attribute=1)])


async def test_the_page_and_the_json_say_the_same(
    client: httpx2.AsyncClient, run: StoredRun
) -> None:
    where = f"/jobs/{run.job.id}/report"
    page = await client.get(where, headers={"Accept": "text/html,*/*;q=0.8"})
    document = (await client.get(where)).json()

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert document["overall"]["failed"] == 5
    assert document["overall"]["pass_rate"] == 97.5
    assert document["rules"][0]["failing"][0]["values"] == {"occ_cd": HOSTILE}
    shown = read_page(page.text)
    assert "97.50 % of 200 checked values pass" in shown.text
    assert HOSTILE in shown.one("section", id="worst").text
    assert not list(shown.all("script"))


async def test_a_browser_is_told_to_run_and_to_keep_nothing(
    client: httpx2.AsyncClient, run: StoredRun
) -> None:
    page = await client.get(f"/jobs/{run.job.id}/report?format=html")

    assert HEADERS.items() <= dict(page.headers.multi_items()).items() | {
        (name, page.headers[name]) for name in HEADERS
    }
    assert page.headers["vary"] == "Accept"
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    ("query", "accept", "kind"),
    [
        ("", "*/*", "application/json"),
        ("", "text/html", "text/html"),
        ("", "text/html;q=0.1, application/json", "application/json"),
        ("?format=html", "application/json", "text/html"),
        ("?format=json", "text/html", "application/json"),
    ],
)
async def test_whoever_asks_says_in_which_form(
    client: httpx2.AsyncClient, run: StoredRun, query: str, accept: str, kind: str
) -> None:
    answer = await client.get(f"/jobs/{run.job.id}/report{query}", headers={"Accept": accept})

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)


async def test_another_form_is_refused(client: httpx2.AsyncClient, run: StoredRun) -> None:
    assert (await client.get(f"/jobs/{run.job.id}/report?format=pdf")).status_code == 400


@pytest.mark.invariant("I9")
async def test_a_report_is_shown_to_those_who_may_see_the_job(api: Api, run: StoredRun) -> None:
    where = f"/jobs/{run.job.id}/report"
    async with api.client("u-2") as other, api.client("boss", "Admin") as admin:
        refused = await other.get(where)
        shown = await admin.get(where)

    assert (refused.status_code, refused.json()["detail"]) == (404, "There is no such job.")
    assert shown.status_code == 200


async def test_a_job_without_rules_has_no_report(client: httpx2.AsyncClient) -> None:
    made = await client.post("/jobs", json={"job_type": "echo", "parameters": {"items": 1}})

    answer = await client.get(f"/jobs/{made.json()['job_id']}/report")

    assert answer.status_code == 404
    assert answer.json()["detail"] == "The job has no report: it has executed no rules."


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        ("", False),
        ("*/*", False),
        ("text/html", True),
        ("application/json", False),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        ("text/html;q=0.5, application/json;q=0.4", True),
        ("text/*", True),
        ("text/html;q=nonsense", False),
        (";;,,q=", False),
        ("image/png", False),
    ],
)
def test_a_page_is_for_those_who_would_rather_have_one(accept: str, html: bool) -> None:
    assert prefers_html(accept) is html
