"""Processes killed for real: nothing is lost, nothing is done twice, the numbers agree."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import Cluster
from tests.conftest import until

pytestmark = pytest.mark.invariant("I3")


async def done_count(cluster: Cluster, job_id: str) -> int:
    (row,) = await cluster.fetch("SELECT done FROM job WHERE id = $1", job_id)
    return int(row["done"])


async def some_done(cluster: Cluster, job_id: str, count: int) -> None:
    async def enough() -> bool:
        return await done_count(cluster, job_id) >= count

    await until(enough, what=f"{count} items")


async def held(cluster: Cluster, *, items: int, done: int, concurrency: int = 4) -> str:
    """A job that has done so many items, and holds the others in flight until the gate opens."""
    job_id = await cluster.submit(
        "echo", items=items, held_from=done, gate=str(cluster.gate), concurrency=concurrency
    )
    await some_done(cluster, job_id, done)
    return job_id


async def check_exactly_once(cluster: Cluster, job: dict[str, Any], total: int) -> None:
    ledger = await cluster.fetch(
        "SELECT state, count(*) AS n FROM job_item WHERE job_id = $1 GROUP BY state",
        job["job_id"],
    )
    rows = await cluster.fetch("SELECT count(*) AS n FROM echo WHERE job_id = $1", job["job_id"])
    assert job["status"] == "completed"
    assert {row["state"]: row["n"] for row in ledger} == {"done": total}
    assert rows[0]["n"] == total
    assert job["progress"]["succeeded"] == total
    assert job["result"] == {"echoes": total}


async def test_a_killed_workers_items_go_on_on_another_within_twelve_seconds(
    cluster: Cluster,
) -> None:
    await cluster.run_worker("worker-0")
    await cluster.run_worker("worker-1")
    job_id = await held(cluster, items=60, done=8)

    await cluster.kill("worker-0")
    cluster.gate.touch()

    job = await cluster.ends(job_id)
    await check_exactly_once(cluster, job, 60)


@pytest.mark.parametrize("point", ["plan", "before_commit", "after_commit", "finish"])
async def test_a_worker_that_dies_at_the_worst_moment_loses_nothing(
    cluster: Cluster, point: str
) -> None:
    await cluster.run_worker("dying", "tests.dying_worker", LH_TEST_DIE_AT=point)
    job_id = await cluster.submit("echo", items=30, seconds=0.02, concurrency=4)

    await cluster.ended("dying")
    await cluster.run_worker("worker")

    job = await cluster.ends(job_id)
    await check_exactly_once(cluster, job, 30)


@pytest.mark.invariant("I1")
async def test_a_job_outlives_the_kill_of_everything(cluster: Cluster) -> None:
    await cluster.run_worker("worker")
    job_id = await held(cluster, items=200, done=10, concurrency=8)
    everything = ("worker", "api-0", "temporal", "redis", "postgres")

    for name in everything:
        await cluster.kill(name)
    cluster.gate.touch()
    for name in reversed(everything):
        await cluster.start(name)

    job = await cluster.ends(job_id)
    await check_exactly_once(cluster, job, 200)


@pytest.mark.invariant("I1")
async def test_a_job_outlives_the_loss_of_temporals_store(cluster: Cluster, tmp_path: Path) -> None:
    await cluster.run_worker("worker")
    job_id = await held(cluster, items=120, done=10)

    await cluster.kill("temporal")
    for file in tmp_path.glob("temporal.db*"):
        file.unlink()
    await cluster.start("temporal")
    cluster.gate.touch()

    job = await cluster.ends(job_id)
    await check_exactly_once(cluster, job, 120)
    assert job["attempt"] == 1


async def test_an_outage_of_postgresql_fails_no_item(cluster: Cluster) -> None:
    await cluster.run_worker("worker")
    job_id = await held(cluster, items=100, done=10)

    await cluster.kill("postgres")
    cluster.gate.touch()
    async with cluster.http() as client:
        unavailable = await client.get("/jobs")
        unhealthy = await client.get(f"{client.base_url.copy_with(path='/readyz')}")
    await cluster.start("postgres")

    job = await cluster.ends(job_id)
    await check_exactly_once(cluster, job, 100)
    assert unavailable.status_code == 503
    assert unavailable.headers["Retry-After"]
    assert unhealthy.status_code == 503


async def test_without_redis_a_job_runs_pauses_and_resumes(cluster: Cluster) -> None:
    await cluster.run_worker("worker")
    await cluster.kill("redis")
    job_id = await held(cluster, items=60, done=4)

    async with cluster.http() as client:
        await client.post(f"/jobs/{job_id}/pause", json={"mode": "now"})
        await cluster.becomes(job_id, "paused")
        cluster.gate.touch()
        await client.post(f"/jobs/{job_id}/resume")

    job = await cluster.ends(job_id)
    await check_exactly_once(cluster, job, 60)


async def test_while_temporal_is_away_jobs_wait_and_controls_say_so(cluster: Cluster) -> None:
    await cluster.run_worker("worker")
    running = await held(cluster, items=100, done=2, concurrency=2)
    await cluster.kill("temporal")

    waiting = await cluster.submit("echo", items=3)
    given_up = await cluster.submit("echo", items=3)
    async with cluster.http() as client:
        refused = await client.post(f"/jobs/{running}/pause")
        cancelled = await client.post(f"/jobs/{given_up}/cancel")
    cluster.gate.touch()
    await cluster.start("temporal")

    assert refused.status_code == 503
    assert refused.json()["code"] == "temporal_unavailable"
    assert (cancelled.status_code, cancelled.json()["status"]) == (202, "cancelled")
    await check_exactly_once(cluster, await cluster.ends(waiting), 3)
    await check_exactly_once(cluster, await cluster.ends(running), 100)


@pytest.mark.invariant("I6")
async def test_an_item_that_kills_its_worker_fails_alone(cluster: Cluster) -> None:
    job_id = await cluster.submit("echo", items=24, seconds=0.05, killing=[7], concurrency=4)
    keeper = asyncio.create_task(keep_running(cluster, "worker"))

    job = await cluster.ends(job_id)
    keeper.cancel()

    assert (job["status"], job["outcome"]) == ("completed", "partial")
    assert job["progress"]["succeeded"] == 23
    failed = await cluster.fetch(
        "SELECT ordinal, error_code FROM job_item WHERE job_id = $1 AND state = 'failed'", job_id
    )
    assert [(row["ordinal"], row["error_code"]) for row in failed] == [(7, "worker_lost")]


async def keep_running(cluster: Cluster, name: str) -> None:
    """What a supervisor does."""
    await cluster.run_worker(name)
    while True:
        await cluster.ended(name)
        await cluster.start(name)


async def test_a_worker_that_is_told_to_leave_hands_its_items_on(cluster: Cluster) -> None:
    await cluster.run_worker("worker-0")
    # Those at the gate are not for the first worker, however late it is told.
    job_id = await cluster.submit(
        "echo", items=60, seconds=0.3, held_from=24, gate=str(cluster.gate), concurrency=4
    )
    await some_done(cluster, job_id, 8)

    code = await cluster.stop("worker-0")
    done_by_the_first = await done_count(cluster, job_id)
    cluster.gate.touch()
    await cluster.run_worker("worker-1")

    job = await cluster.ends(job_id)
    await check_exactly_once(cluster, job, 60)
    assert code == 0
    attempts = await cluster.fetch(
        "SELECT max(attempts) AS most FROM job_item WHERE job_id = $1", job_id
    )
    assert attempts[0]["most"] == 1
    assert 8 <= done_by_the_first < 60


async def test_a_frozen_worker_writes_nothing_under_the_next_attempt(cluster: Cluster) -> None:
    await cluster.run_worker("frozen")
    job_id = await held(cluster, items=8, done=0, concurrency=8)

    async def all_in_flight() -> bool:
        return bool((await cluster.job(job_id))["progress"]["in_flight"] == 8)

    await until(all_in_flight, what="eight items in flight")
    cluster.freeze("frozen")
    await (await cluster.temporal()).get_workflow_handle(job_id).terminate("by hand")
    async with cluster.http() as client:
        # A control that finds no workflow makes the reconciler look at once.
        await client.post(f"/jobs/{job_id}/pause")
        await cluster.becomes(job_id, "failed")
        cluster.gate.touch()
        await cluster.run_worker("worker")
        await client.post(f"/jobs/{job_id}/retry")
    version = (await cluster.ends(job_id))["version"]
    cluster.thaw("frozen")
    await cluster.stop("frozen")

    job = await cluster.job(job_id)
    await check_exactly_once(cluster, job, 8)
    assert job["version"] == version
    writers = await cluster.fetch("SELECT DISTINCT attempt FROM echo WHERE job_id = $1", job_id)
    assert [row["attempt"] for row in writers] == [2]


async def test_a_terminated_workflow_fails_its_job(cluster: Cluster) -> None:
    await cluster.run_worker("worker")
    job_id = await cluster.submit("echo", items=4, seconds=3600, concurrency=4)
    await cluster.becomes(job_id, "running")
    client = await cluster.temporal()

    await client.get_workflow_handle(job_id).terminate("by hand")

    job = await cluster.ends(job_id)
    assert job["status"] == "failed"
    assert job["error_detail"]["code"] == "terminated"
