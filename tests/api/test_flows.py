"""Flows over HTTP: their jobs, their approvals, and who may answer."""

import asyncio
from typing import Any

import httpx2
import pytest

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.jobs import PostgresJobs
from tests.api.conftest import Api
from tests.api.test_controls import ENDED, becomes, read
from tests.engine import Engine
from tests.factories import make_new_job
from tests.flows import approval, echo, group, note
from tests.waiting import until

ABOUT = {
    "what": "echoes",
    "count": {"$from": "first", "path": "echoes"},
    "more": {"$from": "first", "path": "nothing.of.it"},
}


async def submit(client: httpx2.AsyncClient, *steps: dict[str, Any]) -> httpx2.Response:
    return await client.post("/jobs", json={"job_type": "flow", "parameters": {"steps": steps}})


async def started(client: httpx2.AsyncClient, *steps: dict[str, Any]) -> str:
    response = await submit(client, *steps)
    assert response.status_code == 202, response.text
    return str(response.json()["job_id"])


async def waits(client: httpx2.AsyncClient, job_id: str) -> dict[str, Any]:
    async def asks() -> bool:
        return bool((await read(client, job_id))["waiting_for"] == "approval")

    await until(asks, what="the approval")
    return await read(client, job_id)


@pytest.mark.usefixtures("worker")
async def test_a_flow_with_an_approval_over_http(client: httpx2.AsyncClient) -> None:
    job_id = await started(
        client,
        echo("first", items=3),
        approval("ok", message="Is it good?", about=ABOUT),
        echo("then", items={"$from": "first", "path": "echoes"}),
    )
    early = await client.post(f"/jobs/{job_id}/approve", json={"decision": "approved"})
    waiting = await waits(client, job_id)

    wrong = await client.post(
        f"/jobs/{job_id}/approve", json={"step": "first", "decision": "approved"}
    )
    approved = await client.post(
        f"/jobs/{job_id}/approve", json={"step": "ok", "decision": "approved", "reason": "good"}
    )
    again = await client.post(
        f"/jobs/{job_id}/approve", json={"step": "ok", "decision": "approved"}
    )
    turned = await client.post(
        f"/jobs/{job_id}/approve", json={"step": "ok", "decision": "rejected"}
    )
    flow = await becomes(client, job_id, *ENDED)
    children = (await client.get(f"/jobs/{job_id}/children")).json()
    approvals = (await client.get(f"/jobs/{job_id}/approvals")).json()["approvals"]
    late = await client.post(f"/jobs/{job_id}/approve", json={"decision": "approved"})

    assert early.status_code == 400
    assert "No step waits" in early.json()["detail"]
    assert (waiting["status"], waiting["current_step"]) == ("running", "ok")
    assert waiting["progress"]["current"] == 1
    assert wrong.status_code == 400
    assert (approved.status_code, again.status_code, turned.status_code) == (200, 200, 400)
    assert (flow["status"], flow["outcome"], flow["parent_id"]) == ("completed", "succeeded", None)
    assert [one["step"] for one in children["jobs"]] == ["then", "first"]
    assert {one["parent_id"] for one in children["jobs"]} == {job_id}
    assert children["total"] == 2
    assert [one["state"] for one in approvals] == ["approved"]
    assert (approvals[0]["decided_by"], approvals[0]["reason"]) == ("u-1", "good")
    assert approvals[0]["message"] == "Is it good?"
    assert approvals[0]["about"] == {"what": "echoes", "count": 3, "more": None}
    assert late.status_code == 400


@pytest.mark.usefixtures("worker")
async def test_a_rejection_over_http_fails_the_flow(client: httpx2.AsyncClient) -> None:
    job_id = await started(client, approval("ok"), echo("then", items=1))
    await waits(client, job_id)

    await client.post(f"/jobs/{job_id}/approve", json={"decision": "rejected", "reason": "no"})
    flow = await becomes(client, job_id, *ENDED)
    retried = await client.post(f"/jobs/{job_id}/retry")
    await waits(client, job_id)
    await client.post(f"/jobs/{job_id}/approve", json={"decision": "approved"})
    ended = await becomes(client, job_id, "completed")
    approvals = (await client.get(f"/jobs/{job_id}/approvals")).json()["approvals"]

    assert flow["error_detail"]["code"] == "approval_rejected"
    assert flow["error"] == "Step 'ok' failed: Rejected by u-1."
    assert retried.status_code == 202
    assert ended["attempt"] == 2
    assert [one["state"] for one in approvals] == ["rejected", "approved"]


@pytest.mark.usefixtures("worker")
async def test_an_approval_nobody_answers_is_withdrawn_by_a_cancel(
    client: httpx2.AsyncClient,
) -> None:
    job_id = await started(client, approval("ok"), echo("then", items=1))
    await waits(client, job_id)

    await client.post(f"/jobs/{job_id}/cancel")
    flow = await becomes(client, job_id, *ENDED)
    approvals = (await client.get(f"/jobs/{job_id}/approvals")).json()["approvals"]

    assert flow["status"] == "cancelled"
    assert [one["state"] for one in approvals] == ["withdrawn"]


@pytest.mark.usefixtures("worker")
async def test_a_failed_job_that_is_retried_by_itself_ends_its_step_after_all(
    client: httpx2.AsyncClient, engine: Engine
) -> None:
    engine.echo.gate = asyncio.Event()
    bad, slow = echo("bad", items=2, held_from=2, failing_once=[0, 1]), echo("slow", items=30)
    job_id = await started(client, group("both", bad, slow))

    async def has_failed() -> bool:
        return bool((await read(client, job_id))["progress"]["failed"] == 1)

    await until(has_failed, what="the step to fail")
    children = (await client.get(f"/jobs/{job_id}/children")).json()["jobs"]
    failed = next(one for one in children if one["step"] == "both.bad")
    retried = await client.post(f"/jobs/{failed['job_id']}/retry")
    await becomes(client, failed["job_id"], "completed")
    engine.echo.gate.set()
    flow = await becomes(client, job_id, *ENDED)

    assert retried.status_code == 202
    assert (flow["status"], flow["outcome"]) == ("completed", "succeeded")
    assert flow["progress"]["succeeded"] == 2


@pytest.mark.invariant("I9")
@pytest.mark.usefixtures("worker")
async def test_who_may_see_and_approve(api: Api) -> None:
    async with (
        api.client("u-1", "Tester") as owner,
        api.client("u-2", "Report Owner") as named,
        api.client("u-3", "Tester") as stranger,
    ):
        job_id = await started(owner, echo("one", items=1), approval("ok", users=["u-2"]))
        await waits(owner, job_id)
        child = (await owner.get(f"/jobs/{job_id}/children")).json()["jobs"][0]["job_id"]
        body = {"decision": "approved"}

        hidden = [
            await stranger.get(f"/jobs/{job_id}/children"),
            await stranger.get(f"/jobs/{job_id}/approvals"),
            await stranger.get(f"/jobs/{child}"),
            await stranger.post(f"/jobs/{job_id}/approve", json=body),
        ]
        not_the_owner = await owner.post(f"/jobs/{job_id}/approve", json=body)
        seen = [
            await named.get(f"/jobs/{job_id}"),
            await named.get(f"/jobs/{job_id}/children"),
            await named.get(f"/jobs/{child}"),
        ]
        steered = await named.post(f"/jobs/{job_id}/cancel")
        approved = await named.post(f"/jobs/{job_id}/approve", json=body)
        flow = await becomes(owner, job_id, *ENDED)

    assert {response.status_code for response in hidden} == {404}
    assert not_the_owner.status_code == 403
    assert {response.status_code for response in seen} == {200}
    assert steered.status_code == 403
    assert approved.status_code == 200
    assert flow["outcome"] == "succeeded"


@pytest.mark.invariant("I9")
@pytest.mark.usefixtures("worker")
async def test_whoever_holds_an_asked_role_in_the_line_of_business_sees_and_answers(
    api: Api,
) -> None:
    async with (
        api.client("u-1", "Tester", lob="Cards") as owner,
        api.client("u-2", "Report Owner", lob="Cards") as holder,
        api.client("u-3", "Report Owner", lob="Mortgage") as elsewhere,
        api.client("u-4", "Data Owner", lob="Cards") as other_role,
        api.client("u-5", "Report Owner") as everywhere,
    ):
        steps = [echo("one", items=1), approval("ok", roles=["Report Owner"])]
        job_id = await started(owner, *steps)
        await waits(owner, job_id)
        child = (await owner.get(f"/jobs/{job_id}/children")).json()["jobs"][0]["job_id"]
        body = {"decision": "approved"}

        hidden = [
            await client.request(method, f"/jobs/{path}", json=body if method == "POST" else None)
            for client in (elsewhere, other_role)
            for method, path in [
                ("GET", job_id), ("GET", child), ("GET", f"{job_id}/approvals"),
                ("POST", f"{job_id}/approve"),
            ]
        ]  # fmt: skip
        seen = [
            await client.get(f"/jobs/{path}")
            for client in (holder, everywhere)
            for path in (job_id, child, f"{job_id}/approvals")
        ]
        steered = await holder.post(f"/jobs/{job_id}/cancel")
        approved = await holder.post(f"/jobs/{job_id}/approve", json=body)
        flow = await becomes(owner, job_id, *ENDED)

    assert {response.status_code for response in hidden} == {404}
    assert {response.status_code for response in seen} == {200}
    assert steered.status_code == 403
    assert approved.status_code == 200
    assert flow["outcome"] == "succeeded"


@pytest.mark.invariant("I9")
@pytest.mark.usefixtures("worker")
async def test_a_role_in_another_line_of_business_does_not_answer_what_a_name_makes_visible(
    api: Api,
) -> None:
    async with (
        api.client("u-1", "Tester", lob="Cards") as owner,
        api.client("u-2", "Report Owner", lob="Mortgage") as named_elsewhere,
    ):
        step = approval("now", roles=["Report Owner"])
        job_id = await started(owner, step, approval("later", users=["u-2"]))
        await waits(owner, job_id)

        response = await named_elsewhere.post(
            f"/jobs/{job_id}/approve", json={"decision": "approved"}
        )

    assert response.status_code == 403


async def test_a_flow_that_cannot_run_is_refused_with_the_name_of_its_step(
    client: httpx2.AsyncClient,
) -> None:
    unknown = await submit(client, {"name": "one", "kind": "job", "job_type": "nothing"})
    later = await submit(client, echo("one", items={"$from": "two"}), echo("two"))
    unheard_of = await submit(client, approval("ok", about={"version": {"$from": "one"}}))
    malformed = await submit(client, {"name": "one", "kind": "job"})
    checked = await client.post(
        "/jobs",
        json={"job_type": "flow", "parameters": {"steps": [echo("a"), note("b")]}},
        params={"validate_only": True},
    )

    assert unknown.status_code == 422
    assert "Step 'one': Unknown job type 'nothing'" in unknown.json()["detail"]
    assert later.json()["errors"] == [
        {
            "pointer": "/parameters/steps/0/parameters/items",
            "detail": "Step 'one' refers to 'two', which is not an earlier step.",
        }
    ]
    assert [one["pointer"] for one in unheard_of.json()["errors"]] == [
        "/parameters/steps/0/about/version"
    ]
    assert "step 'one'" in malformed.json()["errors"][0]["detail"]
    assert (checked.status_code, checked.json()["items"]) == (200, 2)


async def test_a_job_that_is_no_flow_asks_for_no_approval_whatever_its_parameters_say(
    client: httpx2.AsyncClient, database: PostgresDatabase
) -> None:
    async with database.begin() as tx:
        job = await PostgresJobs().insert(tx, make_new_job(parameters={"steps": 3}))
    assert job is not None

    listed = await client.get(f"/jobs/{job.id}/approvals")
    approved = await client.post(
        f"/jobs/{job.id}/approve", json={"step": "one", "decision": "approved"}
    )

    assert (listed.status_code, listed.json()) == (200, {"approvals": []})
    assert (approved.status_code, approved.json()["code"]) == (400, "wrong_state")


@pytest.mark.usefixtures("worker")
async def test_purging_a_flow_purges_its_jobs(client: httpx2.AsyncClient) -> None:
    job_id = await started(client, echo("one", items=1))
    await becomes(client, job_id, *ENDED)
    child = (await client.get(f"/jobs/{job_id}/children")).json()["jobs"][0]["job_id"]

    purged = await client.post(f"/jobs/{job_id}/purge")

    assert purged.status_code == 204
    assert (await client.get(f"/jobs/{child}")).status_code == 404
    history = (await client.get(f"/jobs/{child}/history")).json()
    assert history["audit"][-1]["action"] == "purged"


@pytest.mark.usefixtures("worker")
async def test_a_step_is_not_purged_from_under_a_flow_that_still_runs(
    client: httpx2.AsyncClient,
) -> None:
    job_id = await started(client, echo("one", items=1), approval("ok"))
    await waits(client, job_id)
    child = (await client.get(f"/jobs/{job_id}/children")).json()["jobs"][0]["job_id"]

    early = await client.post(f"/jobs/{child}/purge")
    await client.post(f"/jobs/{job_id}/approve", json={"decision": "approved"})
    await becomes(client, job_id, *ENDED)
    late = await client.post(f"/jobs/{child}/purge")

    assert early.status_code == 400
    assert "a step of a flow that still runs" in early.json()["detail"]
    assert late.status_code == 204
