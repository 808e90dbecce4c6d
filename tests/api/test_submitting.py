"""POST /jobs: what is accepted, what is refused, and what counts as the same."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.sample.report import load_sample
from tests.api.conftest import Api

ECHO = {"job_type": "echo", "parameters": {"items": 3}}


async def test_a_job_is_accepted_with_its_whole_object(client: httpx2.AsyncClient) -> None:
    response = await client.post("/jobs", json=ECHO | {"metadata": {"ticket": "T-1", "user_id": 5}})

    job = response.json()
    assert response.status_code == 202
    assert response.headers["Location"] == f"/api/v1/jobs/{job['job_id']}"
    assert job["status"] == "pending"
    assert job["owner"] == "u-1"
    assert job["metadata"]["ticket"] == "T-1"
    assert job["metadata"]["user_id"] == "u-1"
    assert job["metadata"]["celery_task_id"] == job["job_id"]
    assert set(job) == {
        "job_id", "job_type", "task_name", "status", "outcome", "progress_percentage",
        "current_step", "total_steps", "completed_steps", "message", "progress", "result",
        "error", "error_detail", "priority", "description", "owner", "attempt", "version",
        "requested", "waiting_for", "pause", "parameters", "options", "calls", "tokens",
        "cost_usd", "created_at", "started_at", "paused_at", "completed_at", "updated_at",
        "metadata", "parent_id", "step",
    }  # fmt: skip


async def test_what_the_system_says_of_a_job_is_never_the_callers_word(
    client: httpx2.AsyncClient,
) -> None:
    told = {"phase_id": 475, "cycle_id": "58", "report_id": 2**40, "run_id": "r-1", "ticket": "T"}

    job = (await client.post("/jobs", json=ECHO | {"metadata": told})).json()

    assert job["metadata"] == {
        "ticket": "T",
        "phase_id": None,
        "cycle_id": None,
        "report_id": None,
        "user_id": "u-1",
        "workflow_id": job["job_id"],
        "run_id": None,
        "celery_task_id": job["job_id"],
    }


async def test_both_mounts_serve_the_same_routes(api: Api) -> None:
    async with api.client() as client:
        job = (await client.post("http://longhaul/jobs", json=ECHO)).json()

        old = await client.get(f"http://longhaul/jobs/{job['job_id']}")
        new = await client.get(f"/jobs/{job['job_id']}/status")

    assert old.status_code == new.status_code == 200
    assert old.json()["job_id"] == new.json()["job_id"] == job["job_id"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"job_type": "no_such_type"}, 400, "unknown_job_type"),
        ({}, 422, "invalid_input"),
        ({"job_type": "echo", "task_name": "echo"}, 422, "invalid_input"),
        (ECHO | {"surprise": 1}, 422, "invalid_input"),
        (ECHO | {"priority": 11}, 422, "invalid_input"),
        (ECHO | {"options": {"concurrency": 0}}, 422, "invalid_input"),
        (ECHO | {"options": {"concurrency": 1001}}, 422, "invalid_input"),
        (ECHO | {"start_at": "2026-01-01T00:00:00"}, 422, "invalid_input"),
        (ECHO | {"start_at": "9999-12-31T23:59:59-12:00"}, 422, "invalid_input"),
        (ECHO | {"options": {"deadline_seconds": 1e12}}, 422, "invalid_input"),
        (
            ECHO | {"start_at": "2026-01-01T00:00:00Z", "start_delay_seconds": 3},
            422,
            "invalid_input",
        ),
        ({"job_type": "echo", "parameters": {"speed": 3}}, 422, "invalid_input"),
        ({"job_type": "echo", "parameters": {"items": "x"}}, 422, "invalid_input"),
    ],
)
async def test_bad_bodies_are_refused_with_a_problem_that_says_where(
    client: httpx2.AsyncClient, body: dict[str, object], status: int, code: str
) -> None:
    response = await client.post("/jobs", json=body)

    problem = response.json()
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert problem["code"] == code
    assert set(problem) >= {"type", "title", "status", "detail", "code", "instance", "trace_id"}


async def test_an_unknown_parameter_is_named(client: httpx2.AsyncClient) -> None:
    body = {"job_type": "echo", "parameters": {"speed": 3}}

    problem = (await client.post("/jobs", json=body)).json()

    assert problem["errors"][0]["pointer"] == "/parameters/speed"
    assert "/parameters/speed" in problem["detail"]


async def test_a_dry_run_answers_parameters_and_items_and_starts_nothing(
    client: httpx2.AsyncClient,
) -> None:
    response = await client.post("/jobs", params={"validate_only": True}, json=ECHO)

    answer = response.json()
    assert response.status_code == 200
    assert (answer["valid"], answer["job_type"], answer["items"]) == (True, "echo", 3)
    assert answer["parameters"]["items"] == 3
    assert (await client.get("/jobs")).json()["total"] == 0


async def test_a_dry_run_names_no_version_that_it_would_only_make(
    api: Api, database: PostgresDatabase
) -> None:
    client = api.client("u-1", "Admin")
    report = await load_sample(database, rows=3, random_seed=1, attributes=4)
    parameters = {"cycle_id": report.cycle_id, "report_id": report.report_id}
    body = {"job_type": "data_profiling_llm_generation", "parameters": parameters}

    checked = await client.post("/jobs", params={"validate_only": True}, json=body)
    again = {**body, "parameters": checked.json()["parameters"]}
    created = await client.post("/jobs", json=again)

    assert checked.json()["items"] == 4
    assert checked.json()["parameters"]["version_id"] is None
    assert created.status_code == 202


async def test_the_same_key_answers_the_same_job(client: httpx2.AsyncClient) -> None:
    headers = {"Idempotency-Key": "k-1"}

    first, second = await asyncio.gather(
        *(client.post("/jobs", json=ECHO, headers=headers) for _ in range(2))
    )
    third = await client.post("/jobs", json=ECHO, headers=headers)

    assert {first.status_code, second.status_code} == {200, 202}
    assert third.status_code == 200
    assert len({answer.json()["job_id"] for answer in (first, second, third)}) == 1
    assert (await client.get("/jobs")).json()["total"] == 1


async def test_a_key_with_another_body_is_refused(client: httpx2.AsyncClient) -> None:
    headers = {"Idempotency-Key": "k-2"}
    await client.post("/jobs", json=ECHO, headers=headers)

    response = await client.post("/jobs", json=ECHO | {"priority": 9}, headers=headers)

    assert response.status_code == 422
    assert response.json()["code"] == "idempotency_conflict"


async def test_keys_of_different_owners_do_not_meet(api: Api) -> None:
    headers = {"Idempotency-Key": "k-3"}
    async with api.client("u-1") as one, api.client("u-2") as other:
        first = await one.post("/jobs", json=ECHO, headers=headers)
        second = await other.post("/jobs", json=ECHO, headers=headers)

    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["job_id"] != second.json()["job_id"]


@pytest.mark.parametrize("key", ["", "with space", "x" * 201])
async def test_a_bad_key_is_refused(client: httpx2.AsyncClient, key: str) -> None:
    response = await client.post("/jobs", json=ECHO, headers={"Idempotency-Key": key})

    assert response.status_code == 400


@pytest.mark.parametrize("announced", [True, False])
async def test_bodies_over_a_mebibyte_are_refused(
    client: httpx2.AsyncClient, announced: bool
) -> None:
    body = b'{"job_type": "echo", "description": "' + b"x" * 1024 * 1024 + b'"}'

    async def chunks() -> AsyncIterator[bytes]:
        yield body

    response = await client.post("/jobs", content=body if announced else chunks())

    assert response.status_code == 413
    assert response.json()["code"] == "body_too_large"
