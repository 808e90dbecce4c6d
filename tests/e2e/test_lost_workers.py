"""Workers that stop, freeze or die over an item, and workflows that were terminated."""

import asyncio

import pytest

from tests.cluster import Cluster
from tests.e2e.killed import check_exactly_once, done_count, held, some_done
from tests.waiting import until

pytestmark = pytest.mark.invariant("I3")


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
    # Those at the gate are not for the first worker, however late it learns that.
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
