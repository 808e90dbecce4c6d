"""Flows at a terminal: the jobs of their steps, what they ask, and the answers."""

import json

import pytest

from tests.cluster import Cluster
from tests.e2e.test_decisions import Terminal
from tests.flows import approval, echo, group, note
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("worker")


async def asked(terminal: Terminal, job_id: str, count: int) -> None:
    async def enough() -> bool:
        answer = await terminal.json("jobs", "approvals", job_id)
        return [one["state"] for one in answer["approvals"]] == ["waiting"] * count

    await until(enough, what=f"{count} questions", every=0.2)


async def test_a_flow_is_followed_and_approved_from_the_command_line(cluster: Cluster) -> None:
    terminal = Terminal(cluster)
    steps = [
        group("first", echo("one", items=3), echo("two", items=5)),
        group("people", approval("risk"), approval("data")),
        note("last"),
    ]
    flow = await terminal.json("jobs", "submit", "flow", "-p", f"steps={json.dumps(steps)}")
    job_id = flow["job_id"]
    await asked(terminal, job_id, 2)

    page = await terminal.json("jobs", "children", job_id, "--limit", "1")
    rest = await terminal.json("jobs", "children", job_id, "--cursor", page["next_cursor"])
    shown = await terminal.run("jobs", "children", job_id)
    short = await terminal.run("jobs", "children", job_id, "--limit", "1")
    unclear = await terminal.run("jobs", "approve", job_id)
    wrong = await terminal.run("jobs", "approve", job_id, "--step", "first")
    await terminal.json(
        "jobs", "approve", job_id, "--step", "people.risk", "--reason", "looked at it"
    )
    questions = await terminal.run("jobs", "approvals", job_id)
    alone = await terminal.run("jobs", "approve", job_id)
    ended = await cluster.ends(job_id)
    too_late = await terminal.run("jobs", "approve", job_id, "--step", "people.data", "--reject")
    unknown = await terminal.run("jobs", "children", "00000000-0000-4000-8000-000000000000")

    children = page["jobs"] + rest["jobs"]
    assert sorted((one["step"], one["completed_steps"]) for one in children) == [
        ("first.one", 3),
        ("first.two", 5),
    ]
    assert rest["next_cursor"] is None
    assert all(one["step"] in shown[1] and one["job_id"] in shown[1] for one in children)
    assert "5/5 (100.0 %)" in shown[1]
    assert f"more: --cursor {page['next_cursor']}" in short[1]
    assert (unclear[0], wrong[0], too_late[0], unknown[0]) == (2, 2, 2, 2)
    assert "looked at it" in questions[1]
    assert all(state in questions[1] for state in ("approved", "waiting"))
    assert alone[0] == 0
    assert (ended["status"], ended["outcome"]) == ("completed", "succeeded")


async def test_a_step_that_is_rejected_at_the_command_line_fails_its_flow(cluster: Cluster) -> None:
    terminal = Terminal(cluster)
    steps = json.dumps([approval("risk"), note("last")])
    job_id = (await terminal.json("jobs", "submit", "flow", "-p", f"steps={steps}"))["job_id"]
    await asked(terminal, job_id, 1)

    answered = await terminal.run("jobs", "approve", job_id, "--reject", "--reason", "too risky")
    flow = await cluster.ends(job_id)
    (question,) = (await terminal.json("jobs", "approvals", job_id))["approvals"]

    assert answered[0] == 0
    assert flow["status"] == "failed"
    assert (question["state"], question["reason"]) == ("rejected", "too risky")
    assert not await cluster.fetch("SELECT 1 FROM note WHERE job_id = $1", job_id)
