"""Steps of flows that wait for a version: deciding on the version answers them."""

import asyncio
from typing import Any

import httpx2
import pytest

from longhaul.adapters.postgres.database import PostgresDatabase
from tests.api.people import ALL, People, approve, decide, submit, take
from tests.api.test_controls import ENDED, becomes
from tests.api.test_flows import started, waits
from tests.decision_samples import SeededVersion, seed_rules
from tests.engine import Engine
from tests.flows import approval, echo, note


@pytest.fixture
async def version(database: PostgresDatabase) -> SeededVersion:
    return await seed_rules(database)


def about(version_id: Any, **more: Any) -> dict[str, Any]:
    return approval("ok", about={"kind": "rules", "version_id": version_id}, **more)


async def asked(client: httpx2.AsyncClient, job_id: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = (await client.get(f"/jobs/{job_id}/approvals")).json()[
        "approvals"
    ]
    return listed


@pytest.mark.usefixtures("worker")
async def test_approving_a_version_answers_the_step_that_waits_for_it(
    people: People, version: SeededVersion
) -> None:
    reference = {"$from": "made", "path": "text"}
    job_id = await started(
        people.tester, note("made", text=version.id), about(reference), echo("then", items=1)
    )
    await waits(people.tester, job_id)

    await submit(people, version.id)
    await approve(people, version.id)
    flow = await becomes(people.tester, job_id, *ENDED)

    (one,) = await asked(people.tester, job_id)
    assert (one["state"], one["decided_by"], one["reason"]) == ("approved", "olga", "")
    assert flow["outcome"] == "succeeded"
    audit = (await people.tester.get(f"/jobs/{job_id}/history")).json()["audit"]
    assert [line["by"] for line in audit if line["action"] == "approved"] == ["olga"]


@pytest.mark.usefixtures("worker")
async def test_rejecting_a_version_rejects_the_step_with_its_reason(
    people: People, version: SeededVersion
) -> None:
    job_id = await started(people.tester, about(version.id), echo("then", items=1))
    await waits(people.tester, job_id)

    await submit(people, version.id)
    await take(people.owner, version.id, "reject", reason="too few")
    flow = await becomes(people.tester, job_id, *ENDED)

    (one,) = await asked(people.tester, job_id)
    assert (one["state"], one["decided_by"], one["reason"]) == ("rejected", "olga", "too few")
    assert flow["error_detail"]["code"] == "approval_rejected"


@pytest.mark.usefixtures("worker")
async def test_a_step_that_names_people_is_answered_by_one_of_them_only(
    people: People, version: SeededVersion
) -> None:
    named = [
        await started(people.tester, about(version.id, **whom))
        for whom in ({"users": ["olga"]}, {"roles": ["Report Owner"]}, {"users": ["rita"]})
    ]
    for job_id in named:
        await waits(people.tester, job_id)

    await submit(people, version.id)
    await approve(people, version.id)

    states = [(await asked(people.tester, job_id))[0]["state"] for job_id in named]
    assert states == ["approved", "approved", "waiting"]
    answered = await people.reader.post(f"/jobs/{named[2]}/approve", json={"decision": "approved"})
    assert answered.status_code == 200


@pytest.mark.usefixtures("worker")
async def test_what_waits_for_something_else_goes_on_waiting(
    people: People, version: SeededVersion, database: PostgresDatabase
) -> None:
    other = await seed_rules(database, name="Another")
    waiting = await started(people.tester, about(other.id))
    naming = await started(people.tester, note("made", text=version.id), approval("ok"))
    for job_id in (waiting, naming):
        await waits(people.tester, job_id)

    await submit(people, version.id)
    await approve(people, version.id)

    states = [(await asked(people.tester, job_id))[0]["state"] for job_id in (waiting, naming)]
    assert states == ["waiting", "waiting"]


@pytest.mark.usefixtures("worker")
async def test_a_decision_on_the_version_that_is_refused_answers_nothing(
    people: People, version: SeededVersion
) -> None:
    job_id = await started(people.tester, about(version.id))
    await waits(people.tester, job_id)
    await submit(people, version.id)

    early = await take(people.owner, version.id, "approve")

    assert early.status_code == 400
    assert [one["state"] for one in await asked(people.tester, job_id)] == ["waiting"]


@pytest.mark.usefixtures("worker")
async def test_a_step_that_was_answered_before_stays_as_it_was_answered(
    people: People, version: SeededVersion
) -> None:
    job_id = await started(people.tester, about(version.id), approval("last"))
    await waits(people.tester, job_id)
    body = {"step": "ok", "decision": "approved", "reason": "as far as I go"}
    assert (await people.tester.post(f"/jobs/{job_id}/approve", json=body)).status_code == 200

    await submit(people, version.id)
    rejected = await take(people.owner, version.id, "reject", reason="no")

    assert rejected.status_code == 200
    first = next(one for one in await asked(people.tester, job_id) if one["step"] == "ok")
    assert (first["state"], first["decided_by"]) == ("approved", "tess")


@pytest.mark.usefixtures("worker")
async def test_both_ways_to_answer_at_once_answer_once(
    people: People, version: SeededVersion
) -> None:
    job_id = await started(people.tester, about(version.id))
    await waits(people.tester, job_id)
    await submit(people, version.id)
    await decide(people.owner, version.id, **ALL)
    body = {"step": "ok", "decision": "approved"}

    version_approved, _ = await asyncio.gather(
        take(people.owner, version.id, "approve"),
        people.tester.post(f"/jobs/{job_id}/approve", json=body),
    )
    flow = await becomes(people.tester, job_id, *ENDED)

    assert version_approved.status_code == 200
    assert flow["outcome"] == "succeeded"
    audit = (await people.tester.get(f"/jobs/{job_id}/history")).json()["audit"]
    assert [line["action"] for line in audit].count("approved") == 1


async def test_the_answer_stands_while_no_worker_carries_the_flow_on(
    engine: Engine, people: People, version: SeededVersion
) -> None:
    async with engine.worker():
        job_id = await started(people.tester, about(version.id), echo("then", items=1))
        await waits(people.tester, job_id)
    await submit(people, version.id)
    await approve(people, version.id)
    (one,) = await asked(people.tester, job_id)
    async with engine.worker():
        flow = await becomes(people.tester, job_id, *ENDED)

    assert one["state"] == "approved"
    assert flow["outcome"] == "succeeded"
