"""Flows and killed processes: no step is lost, none is done twice."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import Cluster
from tests.flows import approval, echo, note
from tests.waiting import until

pytestmark = [pytest.mark.invariant("I3"), pytest.mark.usefixtures("worker")]


def gates(cluster: Cluster) -> tuple[Path, Path]:
    return cluster.gate.with_name("gate-one"), cluster.gate.with_name("gate-two")


def steps(cluster: Cluster) -> list[dict[str, Any]]:
    one, two = ({"held_from": 4, "gate": str(gate)} for gate in gates(cluster))
    return [
        echo("one", items=30, **one),
        approval("ok"),
        echo("two", items={"$from": "one", "path": "echoes"}, **two),
        note("three", text={"$from": "two", "path": "echoes"}),
    ]


async def step_has_done(cluster: Cluster, job_id: str, step: str, count: int) -> None:
    async def enough() -> bool:
        rows = await cluster.fetch(
            "SELECT done FROM job WHERE parent_id = $1 AND step = $2", job_id, step
        )
        return bool(rows) and rows[0]["done"] >= count

    await until(enough, what=f"{count} items of {step}", every=0.05)


async def waits(cluster: Cluster, job_id: str) -> None:
    async def asks() -> bool:
        return bool((await cluster.job(job_id))["waiting_for"] == "approval")

    # A workflow task that the server has turned away may wait two minutes for its next try.
    await until(asks, what="the approval", every=0.05)


async def approve(cluster: Cluster, job_id: str) -> None:
    async with cluster.http() as client:
        response = await client.post(f"/jobs/{job_id}/approve", json={"decision": "approved"})
    assert response.status_code == 200, response.text


async def check_done_once(cluster: Cluster, flow: dict[str, Any]) -> None:
    children = await cluster.fetch(
        "SELECT id, step, attempt, done, total, status FROM job WHERE parent_id = $1",
        flow["job_id"],
    )
    assert (flow["status"], flow["outcome"]) == ("completed", "succeeded")
    assert flow["progress"]["succeeded"] == 4
    assert {(row["step"], row["attempt"], row["done"]) for row in children} == {
        ("one", 1, 30),
        ("two", 1, 30),
    }
    for row in children:
        echoes = await cluster.fetch("SELECT 1 FROM echo WHERE job_id = $1", row["id"])
        ledger = await cluster.fetch(
            "SELECT 1 FROM job_item WHERE job_id = $1 AND state = 'done'", row["id"]
        )
        assert len(echoes) == len(ledger) == row["total"] == 30
    notes = await cluster.fetch("SELECT text FROM note WHERE job_id = $1", flow["job_id"])
    assert [row["text"] for row in notes] == ["30"]


@pytest.mark.parametrize("everything", [False, True], ids=["worker", "worker-and-temporal"])
async def test_a_flow_survives_kills_within_and_between_its_steps(
    cluster: Cluster, everything: bool
) -> None:
    victims = ["worker-0", "temporal"] if everything else ["worker-0"]

    async def kill_and_start() -> None:
        for name in victims:
            await cluster.kill(name)
        for name in reversed(victims):
            await cluster.start(name)

    one, two = gates(cluster)
    job_id = await cluster.submit("flow", steps=steps(cluster))
    await step_has_done(cluster, job_id, "one", 4)
    await kill_and_start()
    one.touch()
    await waits(cluster, job_id)
    await kill_and_start()
    await approve(cluster, job_id)
    await step_has_done(cluster, job_id, "two", 4)
    await kill_and_start()
    two.touch()

    await check_done_once(cluster, await cluster.ends(job_id))


@pytest.mark.invariant("I1")
async def test_a_flow_outlives_the_loss_of_temporals_store(cluster: Cluster) -> None:
    one, two = gates(cluster)
    job_id = await cluster.submit("flow", steps=steps(cluster))
    await step_has_done(cluster, job_id, "one", 4)
    await cluster.lose_temporals_store()
    one.touch()
    await waits(cluster, job_id)
    await cluster.lose_temporals_store()
    two.touch()
    await approve(cluster, job_id)

    await check_done_once(cluster, await cluster.ends(job_id))


async def test_a_decision_counts_while_temporal_is_away(cluster: Cluster) -> None:
    for gate in gates(cluster):
        gate.touch()
    job_id = await cluster.submit("flow", steps=steps(cluster))
    await waits(cluster, job_id)
    await cluster.kill("temporal")

    await approve(cluster, job_id)
    await cluster.start("temporal")
    async with cluster.http() as client:
        again = await client.post(
            f"/jobs/{job_id}/approve", json={"step": "ok", "decision": "approved"}
        )

    assert again.status_code == 200
    await check_done_once(cluster, await cluster.ends(job_id))


async def test_a_cancel_reaches_the_jobs_of_a_flow_whose_worker_was_killed(
    cluster: Cluster,
) -> None:
    job_id = await cluster.submit(
        "flow", steps=[echo("one", items=500, held_from=4, gate=str(cluster.gate))]
    )
    await step_has_done(cluster, job_id, "one", 4)

    await cluster.kill("worker-0")
    async with cluster.http() as client:
        await client.post(f"/jobs/{job_id}/cancel")
    await cluster.start("worker-0")
    flow = await cluster.ends(job_id)
    rows = await cluster.fetch("SELECT status FROM job WHERE parent_id = $1", job_id)

    assert flow["status"] == "cancelled"
    assert [row["status"] for row in rows] == ["cancelled"]


@pytest.mark.invariant("I6")
async def test_an_action_that_kills_its_worker_fails_its_step_alone(cluster: Cluster) -> None:
    async def keep_running() -> None:
        while True:
            await cluster.ended("worker-0")
            await cluster.start("worker-0")

    keeper = asyncio.create_task(keep_running())
    job_id = await cluster.submit(
        "flow", steps=[{**note("bad", kills=True), "required": False}, note("good")]
    )

    flow = await cluster.ends(job_id)
    keeper.cancel()
    items = await cluster.fetch(
        "SELECT state, error_code FROM job_item WHERE job_id = $1 ORDER BY ordinal", job_id
    )

    assert flow["outcome"] == "partial"
    assert [(row["state"], row["error_code"]) for row in items] == [
        ("failed", "worker_lost"),
        ("done", None),
    ]
