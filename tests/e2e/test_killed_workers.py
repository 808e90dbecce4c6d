"""Workers killed for real: nothing is lost, nothing is done twice, the numbers agree."""

import pytest

from tests.cluster import Cluster
from tests.e2e.killed import check_exactly_once, held

pytestmark = pytest.mark.invariant("I3")


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
