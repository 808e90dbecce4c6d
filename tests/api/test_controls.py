"""Pause, resume, cancel, retry and change over HTTP, with a worker."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from redis.asyncio import Redis
from temporalio.client import Client

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.api.cursors import write_cursor
from longhaul.core.jobs import JobStatus
from tests.api.conftest import Api
from tests.engine import Engine
from tests.waiting import until

ENDED = (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)


async def submit(client: httpx2.AsyncClient, **parameters: Any) -> str:
    concurrency = parameters.pop("concurrency", 4)
    body = {
        "job_type": "echo",
        "parameters": parameters,
        "options": {"concurrency": concurrency},
    }
    response = await client.post("/jobs", json=body)
    assert response.status_code == 202
    return str(response.json()["job_id"])


async def read(client: httpx2.AsyncClient, job_id: str) -> dict[str, Any]:
    response = await client.get(f"/jobs/{job_id}")
    assert response.status_code == 200
    return dict(response.json())


async def becomes(client: httpx2.AsyncClient, job_id: str, *statuses: str) -> dict[str, Any]:
    job: dict[str, Any] = {}

    async def has_become() -> bool:
        nonlocal job
        job = await read(client, job_id)
        return job["status"] in statuses

    await until(has_become, what=f"{job_id} to be {statuses}")
    return job


@pytest.mark.usefixtures("worker")
async def test_a_job_runs_from_202_to_its_result(
    client: httpx2.AsyncClient, engine: Engine
) -> None:
    job_id = await submit(client, items=20, failing=[3], skipped=[4])

    job = await becomes(client, job_id, *ENDED)

    assert (job["status"], job["outcome"]) == ("completed", "partial")
    assert job["progress"]["succeeded"] == 18
    assert job["progress_percentage"] == 100
    assert job["result"] == {"echoes": 18}
    assert job["error"] == "1 of 20 items failed."
    assert job["error_detail"]["item_count"] == 1
    assert job["message"] == "18 done, 1 failed, 1 skipped"
    assert job["completed_at"] is not None
    await engine.check_numbers_agree(job_id)


@pytest.mark.usefixtures("worker")
async def test_pause_and_resume_answer_with_the_row(
    client: httpx2.AsyncClient, engine: Engine
) -> None:
    engine.echo.gate = asyncio.Event()
    job_id = await submit(client, items=8)
    await until(_started(engine, 4), what="items to start")

    paused = await client.post(f"/jobs/{job_id}/pause", json={"mode": "now", "reason": "lunch"})
    at_rest = await becomes(client, job_id, "paused")
    again = await client.post(f"/jobs/{job_id}/pause")
    engine.echo.gate.set()
    resumed = await client.post(f"/jobs/{job_id}/resume")
    running = await client.post(f"/jobs/{job_id}/resume")
    ended = await becomes(client, job_id, *ENDED)
    late = await client.post(f"/jobs/{job_id}/resume")

    assert (paused.status_code, paused.json()["status"]) == (202, paused.json()["status"])
    assert paused.json()["status"] in ("pausing", "paused")
    assert at_rest["pause"] == {"mode": "now", "by": "u-1", "reason": "lunch", "until": None}
    assert at_rest["requested"] is None
    assert again.status_code == 200
    assert resumed.status_code == 202
    assert resumed.json()["original_job_id"] == job_id
    assert running.status_code in (200, 400)
    assert ended["progress"]["succeeded"] == 8
    assert late.status_code == 400
    assert "completed" in late.json()["detail"]


@pytest.mark.usefixtures("worker")
async def test_a_paused_job_takes_another_time_and_reason(
    client: httpx2.AsyncClient, engine: Engine
) -> None:
    engine.echo.gate = asyncio.Event()
    job_id = await submit(client, items=8)
    await until(_started(engine, 4), what="items to start")
    await client.post(f"/jobs/{job_id}/pause", json={"mode": "now", "reason": "lunch"})
    await becomes(client, job_id, "paused")
    longer = {"until": "2999-01-01T00:00:00Z", "reason": "holidays"}

    changed = await client.post(f"/jobs/{job_id}/pause", json=longer)
    same = await client.post(f"/jobs/{job_id}/pause", json=longer)

    history = (await client.get(f"/jobs/{job_id}/history")).json()
    assert (changed.status_code, same.status_code) == (202, 200)
    assert same.json()["pause"]["until"] == "2999-01-01T00:00:00Z"
    assert same.json()["pause"]["reason"] == "holidays"
    assert [line["details"]["until"] for line in history["audit"] if line["action"] == "pause"] == [
        None,
        "2999-01-01T00:00:00.000000Z",
    ]


async def test_a_pause_asked_for_before_any_worker_came_holds_when_one_comes(
    client: httpx2.AsyncClient, engine: Engine
) -> None:
    job_id = await submit(client, items=5)

    answer = await client.post(f"/jobs/{job_id}/pause", json={"reason": "wait"})
    async with engine.worker():
        paused = await becomes(client, job_id, "paused")
        started_before = len(engine.echo.started)
        await client.post(f"/jobs/{job_id}/resume")
        ended = await becomes(client, job_id, *ENDED)

    assert (answer.status_code, answer.json()["requested"]) == (202, "pause")
    assert answer.json()["pause"] is None
    assert paused["pause"]["reason"] == "wait"
    assert started_before == 0
    assert ended["progress"]["succeeded"] == 5


async def test_a_pause_asked_for_after_the_worker_has_gone_holds_when_one_comes(
    client: httpx2.AsyncClient, engine: Engine
) -> None:
    quick = asyncio.Event()

    async def take_time(_: str) -> None:
        await asyncio.wait([asyncio.create_task(quick.wait())], timeout=0.1)

    # The worker that has the workflow cached would be waited for before another may take it.
    engine.cached_workflows = 0
    engine.echo.before_each = take_time
    async with engine.worker():
        # Work for half a minute, most of which is left by the pause.
        job_id = await submit(client, items=300, concurrency=1)
        await until(_started(engine, 3), what="items to start")

    answer = await client.post(f"/jobs/{job_id}/pause", json={"reason": "wait"})
    async with engine.worker():
        paused = await becomes(client, job_id, "paused")
        quick.set()
        await client.post(f"/jobs/{job_id}/resume")
        ended = await becomes(client, job_id, *ENDED)

    assert (answer.status_code, answer.json()["requested"]) == (202, "pause")
    assert (paused["pause"]["reason"], paused["requested"]) == ("wait", None)
    assert paused["progress"]["current"] < 300
    assert ended["progress"]["succeeded"] == 300
    assert sorted(engine.echo.started) == [(job_id, ordinal) for ordinal in range(300)]


async def test_a_pending_job_is_cancelled_in_its_row(
    client: httpx2.AsyncClient, engine: Engine
) -> None:
    job_id = await submit(client, items=5)

    cancelled = await client.post(f"/jobs/{job_id}/cancel")
    again = await client.delete(f"/jobs/{job_id}")
    async with engine.worker():
        later = await submit(client, items=1)
        await becomes(client, later, *ENDED)
    job = await read(client, job_id)

    assert (cancelled.status_code, cancelled.json()["status"]) == (202, "cancelled")
    assert again.status_code == 200
    assert (job["status"], job["outcome"]) == ("cancelled", "cancelled")
    assert [one for one in engine.echo.started if one[0] == job_id] == []


@pytest.mark.usefixtures("worker")
async def test_cancelling_a_running_job_keeps_what_is_done(
    client: httpx2.AsyncClient, engine: Engine
) -> None:
    engine.echo.gate = asyncio.Event()
    job_id = await submit(client, items=50, held_from=5, concurrency=2)
    await until(_done(engine, job_id, 5), what="five items")

    answer = await client.post(f"/jobs/{job_id}/control", json={"action": "cancel"})
    job = await becomes(client, job_id, *ENDED)
    ended_again = await client.post(f"/jobs/{job_id}/pause")

    assert answer.status_code == 202
    assert job["status"] == "cancelled"
    assert job["progress"]["succeeded"] == 5
    assert ended_again.status_code == 400
    await engine.check_numbers_agree(job_id)


@pytest.mark.usefixtures("worker")
async def test_retry_runs_the_failed_items_again_under_the_same_id(
    client: httpx2.AsyncClient, engine: Engine
) -> None:
    job_id = await submit(client, items=10, failing_once=[2, 5, 7])
    first = await becomes(client, job_id, *ENDED)

    answer = await client.post(f"/jobs/{job_id}/retry")
    job = await becomes(client, job_id, *ENDED)
    nothing_left = await client.post(f"/jobs/{job_id}/retry")
    history = (await client.get(f"/jobs/{job_id}/history")).json()

    assert first["outcome"] == "partial"
    assert answer.status_code == 202
    assert answer.json()["attempt"] == 2
    assert answer.json()["result"] is None
    assert (job["outcome"], job["progress"]["succeeded"]) == ("succeeded", 10)
    assert len(engine.echo.started) == 13
    assert nothing_left.status_code == 400
    assert [attempt["counts"]["done"] for attempt in history["attempts"]] == [7, 10]
    assert [line["action"] for line in history["audit"]] == [
        "created", "started", "finished", "retried", "started", "finished",
    ]  # fmt: skip
    await engine.check_numbers_agree(job_id)


@pytest.mark.usefixtures("worker")
async def test_a_retry_can_name_items_that_are_still_open(
    client: httpx2.AsyncClient, engine: Engine
) -> None:
    engine.echo.gate = asyncio.Event()
    job_id = await submit(client, items=30)
    await until(_started(engine, 4), what="items to start")
    await client.post(f"/jobs/{job_id}/cancel")
    await becomes(client, job_id, "cancelled")
    engine.echo.gate.set()

    answer = await client.post(f"/jobs/{job_id}/retry", json={"items": ["echo-29"]})
    ended = await becomes(client, job_id, *ENDED)

    assert answer.status_code == 202
    assert ended["progress"]["succeeded"] == 30


@pytest.mark.usefixtures("worker")
async def test_a_retry_can_name_its_items(client: httpx2.AsyncClient) -> None:
    job_id = await submit(client, items=6, failing_once=[1, 3])
    await becomes(client, job_id, *ENDED)

    done = await client.post(f"/jobs/{job_id}/retry", json={"items": ["echo-1", "echo-2"]})
    unknown = await client.post(f"/jobs/{job_id}/retry", json={"items": ["no-such-item"]})
    named = await client.post(f"/jobs/{job_id}/retry", json={"items": ["echo-1"]})
    job = await becomes(client, job_id, *ENDED)

    assert done.status_code == unknown.status_code == 422
    assert "echo-2" in done.json()["detail"]
    assert named.status_code == 202
    assert job["progress"]["failed"] == 1


@pytest.mark.usefixtures("worker")
async def test_a_cancelled_job_can_be_retried_to_its_end(
    client: httpx2.AsyncClient, engine: Engine
) -> None:
    engine.echo.gate = asyncio.Event()
    job_id = await submit(client, items=40, held_from=8)
    await until(_done(engine, job_id, 8), what="eight items")
    await client.post(f"/jobs/{job_id}/cancel")
    await becomes(client, job_id, "cancelled")
    engine.echo.gate.set()

    await client.post(f"/jobs/{job_id}/retry")
    job = await becomes(client, job_id, "completed")

    assert job["progress"]["succeeded"] == 40
    await engine.check_numbers_agree(job_id)


@pytest.mark.usefixtures("worker")
async def test_a_running_job_can_be_changed(client: httpx2.AsyncClient, engine: Engine) -> None:
    engine.echo.gate = asyncio.Event()
    job_id = await submit(client, items=6)
    await until(_started(engine, 4), what="items to start")

    changed = await client.patch(
        f"/jobs/{job_id}", json={"concurrency": 9, "priority": 8, "description": "urgent"}
    )
    engine.echo.gate.set()
    await becomes(client, job_id, *ENDED)
    late = await client.patch(f"/jobs/{job_id}", json={"priority": 1})

    assert changed.status_code == 200
    assert changed.json()["options"]["concurrency"] == 9
    assert (changed.json()["priority"], changed.json()["description"]) == (8, "urgent")
    assert late.status_code == 400


@pytest.mark.usefixtures("worker")
async def test_concurrency_changed_while_a_job_runs_is_what_it_runs_with(
    client: httpx2.AsyncClient, engine: Engine
) -> None:
    first_chunk, others = asyncio.Event(), asyncio.Event()

    async def hold(_: str) -> None:
        _, ordinal = engine.echo.started[-1]
        await (first_chunk if ordinal < 2 else others).wait()

    engine.echo.before_each = hold
    job_id = await submit(client, items=300, concurrency=1)
    await until(_started(engine, 1), what="items to start")

    await client.patch(f"/jobs/{job_id}", json={"concurrency": 12})
    first_chunk.set()
    await until(_in_flight(client, job_id, 12), what="twelve items in flight")
    others.set()
    job = await becomes(client, job_id, *ENDED)

    assert job["options"]["concurrency"] == 12
    assert job["progress"]["succeeded"] == 300
    assert len(engine.echo.started) == 300


@pytest.mark.usefixtures("worker")
async def test_priority_changed_while_a_job_runs_is_that_of_its_next_chunks(
    client: httpx2.AsyncClient, engine: Engine, temporal_client: Client
) -> None:
    engine.echo.gate = asyncio.Event()
    job_id = await submit(client, items=12, concurrency=1)
    await until(_started(engine, 1), what="items to start")

    await client.patch(f"/jobs/{job_id}", json={"priority": 9})
    engine.echo.gate.set()
    await becomes(client, job_id, *ENDED)
    history = await temporal_client.get_workflow_handle(job_id).fetch_history()
    scheduled = [
        event.activity_task_scheduled_event_attributes
        for event in history.events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    keys = [one.priority.priority_key for one in scheduled if one.activity_type.name == "run_chunk"]

    assert (keys[0], keys[-1]) == (3, 1)


def _done(engine: Engine, job_id: str, count: int) -> Any:
    async def as_many() -> bool:
        return (await engine.job(job_id)).counts.done >= count

    return as_many


def _in_flight(client: httpx2.AsyncClient, job_id: str, count: int) -> Any:
    async def as_many() -> bool:
        return bool((await read(client, job_id))["progress"]["in_flight"] == count)

    return as_many


async def follow_logs(client: httpx2.AsyncClient, job_id: str) -> list[Any]:
    """Every line of a job, a page of one moment after the other."""
    seen: list[Any] = []
    cursor = write_cursor(datetime(2020, 1, 1, tzinfo=UTC))
    while True:
        params: dict[str, str | int] = {"tail": 1, "cursor": cursor}
        page = (await client.get(f"/jobs/{job_id}/logs", params=params)).json()
        if not page["logs"]:
            return seen
        seen += page["logs"]
        cursor = page["next_cursor"]


@pytest.mark.parametrize("route", ["retry", "control"])
async def test_a_retry_may_be_run_differently(client: httpx2.AsyncClient, route: str) -> None:
    options = {"concurrency": 3, "stop_after_failure_ratio": 0.5, "deadline_seconds": 60}
    body = {"job_type": "echo", "parameters": {"items": 1}, "options": options}
    job_id = (await client.post("/jobs", json=body)).json()["job_id"]

    async def retry(**changes: Any) -> dict[str, Any]:
        await client.post(f"/jobs/{job_id}/cancel")
        response = await client.post(
            f"/jobs/{job_id}/{route}",
            json={"options": changes, **({"action": "retry"} if route == "control" else {})},
        )
        assert response.status_code == 202, response.text
        return dict(response.json()["options"])

    as_before = await retry()
    bounded = await retry(stop_after_failure_ratio=0.1, deadline_seconds=3600)
    unbounded = await retry(concurrency=None, stop_after_failure_ratio=None, deadline_seconds=None)
    refused = await client.post(f"/jobs/{job_id}/retry", json={"options": {"deadline_seconds": 0}})

    assert as_before == options
    assert bounded == {
        "concurrency": 3, "stop_after_failure_ratio": 0.1, "deadline_seconds": 3600,
    }  # fmt: skip
    assert unbounded == {
        "concurrency": 3, "stop_after_failure_ratio": None, "deadline_seconds": None,
    }  # fmt: skip
    assert refused.status_code == 422


@pytest.mark.parametrize("route", ["pause", "control"])
async def test_a_pause_until_a_time_that_is_over_is_refused(
    client: httpx2.AsyncClient, route: str
) -> None:
    job_id = await submit(client, items=1)
    action = {"action": "pause"} if route == "control" else {}

    late = await client.post(
        f"/jobs/{job_id}/{route}", json={"until": "2020-01-01T00:00:00Z", **action}
    )
    in_time = await client.post(
        f"/jobs/{job_id}/{route}", json={"until": "2999-01-01T00:00:00Z", **action}
    )

    assert late.status_code == 422
    assert late.json()["errors"][0]["pointer"] == "/until"
    assert in_time.status_code == 202


@pytest.mark.usefixtures("worker")
async def test_items_logs_and_purge(client: httpx2.AsyncClient) -> None:
    job_id = await submit(client, items=5, failing=[2])
    await becomes(client, job_id, *ENDED)

    items = (await client.get(f"/jobs/{job_id}/items", params={"limit": 2})).json()
    rest = (
        await client.get(f"/jobs/{job_id}/items", params={"cursor": items["next_cursor"]})
    ).json()
    failed = (await client.get(f"/jobs/{job_id}/items", params={"state": "failed"})).json()
    one = (await client.get(f"/jobs/{job_id}/items/echo-2")).json()
    none = await client.get(f"/jobs/{job_id}/items/echo-9")
    logs = (await client.get(f"/jobs/{job_id}/logs")).json()
    errors_only = (await client.get(f"/jobs/{job_id}/logs", params={"level": "error"})).json()
    newer = (
        await client.get(f"/jobs/{job_id}/logs", params={"cursor": logs["next_cursor"]})
    ).json()
    followed = await follow_logs(client, job_id)
    purged = await client.post(f"/jobs/{job_id}/purge")
    history = (await client.get(f"/jobs/{job_id}/history")).json()

    assert followed == logs["logs"]
    assert [item["ordinal"] for item in items["items"] + rest["items"]] == [0, 1, 2, 3, 4]
    assert (items["total"], rest["next_cursor"]) == (5, None)
    assert [item["item_key"] for item in failed["items"]] == ["echo-2"]
    assert one["error"] == {"code": "no_echo", "message": "This item does not echo."}
    assert (one["attempts"], one["call_list"]) == (1, [])
    assert none.status_code == 404
    assert [line["event"] for line in logs["logs"]] == [
        "created", "started", "item_failed", "finished",
    ]  # fmt: skip
    assert [line["event"] for line in errors_only["logs"]] == ["item_failed"]
    assert newer["logs"] == []
    assert purged.status_code == 204
    assert (await client.get(f"/jobs/{job_id}")).status_code == 404
    assert [(line["action"], line["by"]) for line in history["audit"]] == [
        ("created", "u-1"), ("started", "longhaul"), ("finished", "longhaul"), ("purged", "u-1"),
    ]  # fmt: skip
    assert history["attempts"][0]["outcome"] == "partial"


@pytest.mark.invariant("I9")
async def test_what_is_left_of_a_purged_job_is_its_audit_for_its_owner_and_admins(
    api: Api, database: PostgresDatabase
) -> None:
    async with (
        api.client("u-1") as owner,
        api.client("u-2") as stranger,
        api.client("boss", "Admin") as admin,
    ):
        job_id = (await owner.post("/jobs", json={"job_type": "echo"})).json()["job_id"]
        async with database.begin() as tx:
            await tx.execute(
                "INSERT INTO job_item (job_id, ordinal, item_key) "
                "SELECT $1, n, n::text FROM generate_series(0, 99) AS n",
                job_id,
            )
        await owner.post(f"/jobs/{job_id}/cancel")

        before = await stranger.get(f"/jobs/{job_id}/history")
        purged = await owner.post(f"/jobs/{job_id}/purge")
        again = await owner.post(f"/jobs/{job_id}/purge")
        shown = [await one.get(f"/jobs/{job_id}/history") for one in (owner, admin)]
        hidden = await stranger.get(f"/jobs/{job_id}/history")
    async with database.begin() as tx:
        left = await tx.fetch("SELECT job_id FROM job_item UNION ALL SELECT job_id FROM job_purge")

    assert (purged.status_code, again.status_code) == (204, 404)
    assert [one.json()["audit"][-1]["action"] for one in shown] == ["purged", "purged"]
    assert before.status_code == hidden.status_code == 404
    assert left == []


@pytest.mark.invariant("I5")
@pytest.mark.usefixtures("worker")
async def test_wiping_redis_changes_no_answer(
    client: httpx2.AsyncClient, redis_client: Redis
) -> None:
    job_id = await submit(client, items=5, failing=[2])
    await becomes(client, job_id, *ENDED)
    before = [await read(client, job_id), (await client.get("/jobs")).json()]

    await redis_client.flushall()
    after = [await read(client, job_id), (await client.get("/jobs")).json()]

    assert after == before


async def test_a_job_that_is_to_start_later_waits_for_its_time(
    client: httpx2.AsyncClient, engine: Engine
) -> None:
    body = {"job_type": "echo", "parameters": {"items": 1}, "start_delay_seconds": 1.5}
    job = (await client.post("/jobs", json=body)).json()

    async with engine.worker():
        ended = await becomes(client, job["job_id"], *ENDED)

    assert job["waiting_for"] == "start_time"
    waited = _time(ended["started_at"]) - _time(ended["created_at"])
    assert waited.total_seconds() >= 1.5


def _time(text: str) -> Any:
    from datetime import datetime  # noqa: PLC0415

    return datetime.fromisoformat(text)


def _started(engine: Engine, count: int) -> Any:
    async def enough() -> bool:
        return len(engine.echo.started) >= count

    return enough
