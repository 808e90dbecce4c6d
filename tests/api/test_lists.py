"""Lists: newest first, complete over pages, narrowed by filters."""

import re

import httpx2
import pytest

from tests.api.conftest import Api

ECHO = {"job_type": "echo", "parameters": {"items": 1}}


async def test_a_list_is_newest_first_and_complete_over_250_jobs_and_three_pages(
    client: httpx2.AsyncClient,
) -> None:
    made = [(await client.post("/jobs", json=ECHO)).json()["job_id"] for _ in range(250)]

    seen, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        params = {"limit": 100} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/jobs", params=params)).json()
        seen += [job["job_id"] for job in page["jobs"]]
        cursor, pages = page["next_cursor"], pages + 1
        assert (page["total"], page["total_exact"]) == (250, True)

    assert pages == 3
    assert seen == made[::-1]


async def test_filters_narrow_a_list(client: httpx2.AsyncClient) -> None:
    in_cycle = ECHO | {"metadata": {"cycle_id": 58, "report_id": 156}}
    filed = (await client.post("/jobs", json=in_cycle)).json()
    other = (await client.post("/jobs", json=ECHO)).json()
    await client.post(f"/jobs/{other['job_id']}/cancel")

    async def ids(**params: object) -> list[str]:
        answer = await client.get("/jobs", params=params)  # type: ignore[arg-type]
        assert answer.status_code == 200
        return [job["job_id"] for job in answer.json()["jobs"]]

    assert await ids(cycle_id=58) == await ids(report_id=156) == [filed["job_id"]]
    assert await ids(status="cancelled") == [other["job_id"]]
    assert len(await ids(status=["cancelled", "pending"])) == 2
    assert len(await ids(job_type="echo")) == 2
    assert await ids(created_before=filed["created_at"]) == []
    assert await ids(created_after=filed["created_at"]) == [other["job_id"]]


async def test_active_jobs_are_those_that_have_not_ended(client: httpx2.AsyncClient) -> None:
    active = (await client.post("/jobs", json=ECHO)).json()
    ended = (await client.post("/jobs", json=ECHO)).json()
    await client.delete(f"/jobs/{ended['job_id']}")

    answer = (await client.get("/jobs/active")).json()

    assert [job["job_id"] for job in answer["active_jobs"]] == [active["job_id"]]
    assert answer["next_cursor"] is None


@pytest.mark.parametrize(
    "cursor", ["nonsense", "bm9uc2Vuc2U", "%00", "x" * 501, "MjAyNi0wMS0wMQoy"]
)
async def test_a_cursor_that_is_none_of_ours_is_refused(
    client: httpx2.AsyncClient, cursor: str
) -> None:
    response = await client.get("/jobs", params={"cursor": cursor})

    assert response.status_code == 400


@pytest.mark.parametrize(
    "params",
    [
        {"limit": 0},
        {"limit": 1001},
        {"status": "nice"},
        {"created_after": "yesterday"},
        {"cycle_id": 99_999_999_999},
        {"report_id": -1},
        {"created_after": "0001-01-01T00:00:00+14:00"},
        {"created_before": "9999-12-31T23:59:59-12:00"},
        {"created_before": "9999-12-31T23:59:59.999999Z"},
    ],
)
async def test_query_parameters_that_cannot_be_read_are_refused(
    client: httpx2.AsyncClient, params: dict[str, object]
) -> None:
    response = await client.get("/jobs", params=params)  # type: ignore[arg-type]

    assert response.status_code == 400
    assert response.json()["code"] == "malformed_request"


async def test_an_unknown_job_type_in_a_filter_is_named(client: httpx2.AsyncClient) -> None:
    response = await client.get("/jobs", params={"job_type": "no_such_type"})

    assert response.status_code == 400
    assert "no_such_type" in response.json()["detail"]


async def test_the_catalog_lists_types_with_their_parameters(client: httpx2.AsyncClient) -> None:
    answer = (await client.get("/jobs/types")).json()

    by_name = {entry["job_type"]: entry for entry in answer["job_types"]}
    assert by_name["echo"]["parameters"]["properties"]["items"]["type"] == "integer"
    assert "Tester" in by_name["data_profiling_llm_generation"]["roles"]


async def test_requests_are_counted_by_their_routes_and_never_by_their_ids(
    client: httpx2.AsyncClient,
) -> None:
    job_id = (await client.post("/jobs", json=ECHO)).json()["job_id"]
    await client.get(f"/jobs/{job_id}/status")
    await client.get(f"http://longhaul/jobs/{job_id}")
    await client.get(f"/jobs/{job_id}/items/a%2Fb%7B%7D")
    await client.get("http://longhaul/livez")
    await client.get("http://longhaul/nowhere")

    metrics = (await client.get("http://longhaul/metrics")).text

    routes = set(re.findall(r'longhaul_http_request_seconds_count{[^}]*route="([^"]*)"', metrics))
    assert routes == {
        "/api/v1/jobs",
        "/api/v1/jobs/{job_id}/status",
        "/jobs/{job_id}",
        "/api/v1/jobs/{job_id}/items/{item_key:path}",
        "/livez",
        "unknown",
    }


async def test_health_needs_no_token(api: Api) -> None:
    async with api.client() as client:
        del client.headers["Authorization"]
        live = await client.get("http://longhaul/livez")
        ready = await client.get("http://longhaul/readyz")
        version = await client.get("http://longhaul/version")
        metrics = await client.get("http://longhaul/metrics")

    assert live.status_code == version.status_code == metrics.status_code == 200
    assert ready.json()["status"] == "ready"
    assert set(ready.json()["checks"]) == {"postgres", "temporal", "redis"}
    assert "longhaul_http_request_seconds" in metrics.text
