"""I9: nobody sees or changes a job that is not theirs."""

from datetime import UTC, datetime, timedelta

import httpx2
import jwt
import pytest

from tests.api.conftest import Api
from tests.tokens import SECRET, token

pytestmark = pytest.mark.invariant("I9")

ECHO = {"job_type": "echo", "parameters": {"items": 3}}

NOWHERE = "0192f000-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "Basic dTpw",
        "Bearer ",
        "Bearer nonsense",
        f"Bearer {jwt.encode({'sub': 'u'}, SECRET)}",
        f"Bearer {jwt.encode({'sub': 'u', 'exp': 1}, SECRET)}",
        f"Bearer {token('')}",
        f"Bearer {token('u', roles='Admin')}",
        "Bearer "
        + jwt.encode(
            {"sub": "u", "exp": datetime.now(UTC) + timedelta(hours=1)},
            "another secret that is long enough",
        ),
        "Bearer "
        + jwt.encode({"sub": "u", "exp": datetime.now(UTC) + timedelta(hours=1)}, "", "none"),
    ],
    ids=[
        "none",
        "of another kind",
        "empty",
        "not a token",
        "without an end",
        "over",
        "without a subject",
        "with roles that are no list",
        "signed by another",
        "unsigned",
    ],
)
async def test_without_a_valid_token_there_is_nothing(api: Api, authorization: str | None) -> None:
    async with api.client() as client:
        del client.headers["Authorization"]
        headers = {"Authorization": authorization} if authorization else {}

        response = await client.get("/jobs", headers=headers)

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.json()["code"] == "not_authenticated"


async def test_two_owners_see_only_their_own(api: Api) -> None:
    async with api.client("u-1") as one, api.client("u-2") as other:
        mine = (await one.post("/jobs", json=ECHO)).json()["job_id"]
        theirs = (await other.post("/jobs", json=ECHO)).json()["job_id"]

        listed = (await one.get("/jobs")).json()
        active = (await other.get("/jobs/active")).json()

    assert [job["job_id"] for job in listed["jobs"]] == [mine]
    assert listed["total"] == 1
    assert [job["job_id"] for job in active["active_jobs"]] == [theirs]


ROUTES = [
    ("GET", ""),
    ("GET", "/status"),
    ("GET", "/history"),
    ("GET", "/items"),
    ("GET", "/items/echo-0"),
    ("GET", "/logs"),
    ("GET", "/report"),
    ("GET", "/children"),
    ("GET", "/approvals"),
    ("POST", "/approve"),
    ("POST", "/pause"),
    ("POST", "/resume"),
    ("POST", "/cancel"),
    ("POST", "/retry"),
    ("POST", "/purge"),
    ("POST", "/control"),
    ("PATCH", ""),
    ("DELETE", ""),
]


def body_for(method: str, path: str) -> dict[str, object] | None:
    if path == "/control":
        return {"action": "cancel"}
    if path == "/approve":
        return {"decision": "approved"}
    return {"priority": 1} if method == "PATCH" else None


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_someone_elses_job_is_answered_exactly_as_one_that_does_not_exist(
    api: Api, method: str, path: str
) -> None:
    async with api.client("u-1") as one, api.client("u-2") as other:
        job_id = (await one.post("/jobs", json=ECHO)).json()["job_id"]
        body = body_for(method, path)

        theirs = await other.request(method, f"/jobs/{job_id}{path}", json=body)
        nobodys = await other.request(method, f"/jobs/{NOWHERE}{path}", json=body)
        untouched = (await one.get(f"/jobs/{job_id}")).json()

    def answer(response: httpx2.Response) -> tuple[int, str, str]:
        return response.status_code, response.json()["code"], response.json()["detail"]

    assert answer(theirs) == answer(nobodys) == (404, "not_found", "There is no such job.")
    assert untouched["status"] in ("pending", "running")
    assert untouched["requested"] is None


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_an_admin_may_do_it_all(api: Api, method: str, path: str) -> None:
    async with api.client("u-1") as one, api.client("boss", "Admin") as admin:
        job_id = (await one.post("/jobs", json=ECHO)).json()["job_id"]

        response = await admin.request(method, f"/jobs/{job_id}{path}", json=body_for(method, path))

    # Only items and reports do not exist yet: the job is not planned.
    assert response.status_code != 404 or path in ("/items/echo-0", "/report")


async def test_a_cursor_of_one_owner_shows_nothing_to_another(api: Api) -> None:
    async with api.client("u-1") as one, api.client("u-2") as other:
        for _ in range(3):
            await one.post("/jobs", json=ECHO)
        cursor = (await one.get("/jobs", params={"limit": 1})).json()["next_cursor"]

        page = (await other.get("/jobs", params={"cursor": cursor})).json()

    assert page["jobs"] == []
    assert page["total"] == 0


async def test_only_an_admin_may_list_the_jobs_of_others(api: Api) -> None:
    async with api.client("u-1") as one, api.client("boss", "Admin") as admin:
        await one.post("/jobs", json=ECHO)
        refused = await one.get("/jobs", params={"owner": "u-2"})
        listed = await admin.get("/jobs", params={"owner": "u-1"})
        all_of_them = await admin.get("/jobs")

    assert refused.status_code == 403
    assert listed.json()["total"] == all_of_them.json()["total"] == 1
