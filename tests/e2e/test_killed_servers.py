"""Servers killed for real: jobs wait, and go on where they were."""

import pytest

from tests.cluster import Cluster
from tests.e2e.killed import check_exactly_once, held

pytestmark = pytest.mark.invariant("I3")


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
async def test_a_job_outlives_the_loss_of_temporals_store(cluster: Cluster) -> None:
    await cluster.run_worker("worker")
    job_id = await held(cluster, items=120, done=10)

    await cluster.lose_temporals_store()
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
        # Answered before a usual client gives up.
        refused = await client.post(f"/jobs/{running}/pause", timeout=5)
        cancelled = await client.post(f"/jobs/{given_up}/cancel")
    cluster.gate.touch()
    await cluster.start("temporal")

    assert refused.status_code == 503
    assert refused.json()["code"] == "temporal_unavailable"
    assert (cancelled.status_code, cancelled.json()["status"]) == (202, "cancelled")
    await check_exactly_once(cluster, await cluster.ends(waiting), 3)
    await check_exactly_once(cluster, await cluster.ends(running), 100)
