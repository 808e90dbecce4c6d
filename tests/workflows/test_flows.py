"""Flows on the real servers: order, groups, references, approvals, controls, retries."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest
from temporalio.client import WorkflowUpdateFailedError

from longhaul.core.jobs import Counts, JobStatus, Outcome
from tests.engine import Engine
from tests.flows import (
    approval,
    audited,
    check_numbers_agree,
    child,
    children,
    echo,
    group,
    note,
    retry,
    submit,
    waits_for_approval,
)
from tests.waiting import until

RUNNING, PAUSED = JobStatus.RUNNING, JobStatus.PAUSED


@pytest.fixture(autouse=True)
async def serving(engine: Engine) -> AsyncIterator[None]:
    async with engine.worker(), engine.dispatcher():
        yield


async def test_steps_run_one_after_another_and_hand_on_their_results(engine: Engine) -> None:
    job_id = await submit(
        engine,
        echo("one", items=4),
        echo("two", items={"$from": "one", "path": "echoes"}, skipped=[0]),
        note("tell", text={"$job": "two"}),
    )

    flow = await engine.ends(job_id)
    jobs = await children(engine, job_id)

    assert (flow.status, flow.outcome) == (JobStatus.COMPLETED, Outcome.SUCCEEDED)
    assert flow.counts == Counts(total=3, done=3)
    assert jobs["two"].counts == Counts(total=4, done=3, skipped=1)
    assert jobs["one"].completed_at is not None
    assert jobs["one"].completed_at <= jobs["two"].created_at
    assert {job.owner for job in jobs.values()} == {"u-1"}
    assert flow.result is not None
    assert flow.result["steps"]["tell"]["result"] == {"text": jobs["two"].id, "by": "u-1"}
    assert flow.result["steps"]["one"]["job_id"] == jobs["one"].id
    await check_numbers_agree(engine, job_id)


async def test_each_job_is_a_child_workflow_of_its_flow(engine: Engine) -> None:
    job_id = await submit(engine, echo("one", items=2))
    await engine.ends(job_id)

    job = await child(engine, job_id, "one")
    described = await engine.handle(job.id).describe()

    assert described.parent_id == job_id


async def test_a_group_runs_side_by_side_and_is_collected(engine: Engine) -> None:
    engine.echo.gate = asyncio.Event()
    job_id = await submit(
        engine,
        group("both", echo("a", items=1), echo("b", items=2)),
        {
            "name": "sum",
            "kind": "action",
            "action": "collect",
            "parameters": {"results": {"$from": "both"}},
        },
    )

    async def both_run() -> bool:
        return len(engine.echo.started) == 3

    await until(both_run, what="both members to run")
    engine.echo.gate.set()
    flow = await engine.ends(job_id)

    assert flow.result is not None
    assert flow.result["steps"]["sum"]["result"] == {
        "total": 2,
        "done": 2,
        "missing": [],
        "sums": {"echoes": 3},
    }


async def test_concurrency_bounds_the_members_that_run_at_once(engine: Engine) -> None:
    members = [echo(f"m-{number}", items=1, seconds=0.2) for number in range(3)]
    job_id = await submit(engine, group("all", *members), concurrency=1)

    flow = await engine.ends(job_id)
    jobs = sorted((await children(engine, job_id)).values(), key=lambda job: job.created_at)

    assert flow.outcome is Outcome.SUCCEEDED
    assert len(jobs) == 3
    for before, after in pairwise(jobs):
        assert before.completed_at is not None
        assert before.completed_at <= after.created_at


async def test_a_failed_step_ends_the_flow_and_a_retry_goes_on_from_it(engine: Engine) -> None:
    job_id = await submit(
        engine,
        echo("first", items=2),
        echo("second", items=2, failing_once=[0, 1]),
        echo("third", items=1),
    )
    failed = await engine.ends(job_id)
    first = await child(engine, job_id, "first")

    await retry(engine, job_id)
    flow = await engine.becomes(job_id, JobStatus.COMPLETED)
    jobs = await children(engine, job_id)

    assert failed.status is JobStatus.FAILED
    assert failed.fault is not None
    assert failed.fault.code == "step_failed"
    assert "'second'" in failed.fault.sentence
    assert failed.counts == Counts(total=3, done=1, failed=1)
    assert flow.counts == Counts(total=3, done=3)
    assert jobs["first"] == first
    assert (jobs["second"].attempt, jobs["third"].attempt) == (2, 1)
    await check_numbers_agree(engine, job_id)


async def test_a_failure_in_the_last_step_fails_the_flow_too(engine: Engine) -> None:
    job_id = await submit(engine, echo("first", items=1), echo("last", items=1, failing=[0]))

    flow = await engine.ends(job_id)

    assert (flow.status, flow.outcome) == (JobStatus.FAILED, Outcome.FAILED)
    assert flow.fault is not None
    assert flow.fault.code == "step_failed"


async def test_an_optional_step_that_fails_leaves_the_flow_partial(engine: Engine) -> None:
    job_id = await submit(
        engine,
        group("batch", echo("good", items=1), echo("bad", items=1, failing=[0]), required=False),
        note("after", text={"$from": "batch"}),
    )

    flow = await engine.ends(job_id)

    assert (flow.status, flow.outcome) == (JobStatus.COMPLETED, Outcome.PARTIAL)
    assert flow.counts == Counts(total=3, done=2, failed=1)
    assert flow.result is not None
    assert flow.result["steps"]["after"]["result"]["text"] == {"good": {"echoes": 1}, "bad": None}


async def test_a_step_whose_reference_is_not_there_fails_with_its_name(engine: Engine) -> None:
    job_id = await submit(
        engine,
        echo("one", items=1),
        echo("two", items={"$from": "one", "path": "no.such"}),
    )

    flow = await engine.ends(job_id)

    items = await engine.items(job_id)
    assert flow.status is JobStatus.FAILED
    assert items[1]["error_code"] == "reference_missing"
    assert "'one' left no 'no.such'" in items[1]["error_message"]


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"fails": True}, "no_note"),
        ({"breaks": True}, "action_error"),
        ({"unstorable": True}, "not_noted"),
        ({"unknown": 1}, "invalid_parameters"),
    ],
)
async def test_an_action_that_cannot_be_done_fails_its_step(
    engine: Engine, parameters: dict[str, Any], code: str
) -> None:
    job_id = await submit(engine, note("tell", **parameters), note("more"))

    flow = await engine.ends(job_id)

    assert flow.status is JobStatus.FAILED
    assert [row["error_code"] for row in await engine.items(job_id)] == [code, None]


# Approvals.


async def test_an_approval_by_signal_lets_the_flow_go_on(engine: Engine) -> None:
    job_id = await submit(engine, approval("ok"), echo("then", items=1))
    waiting = await waits_for_approval(engine, job_id)

    await engine.handle(job_id).signal(
        "approve", {"step": "ok", "decision": "approved", "by": "u-7", "reason": "fine"}
    )
    flow = await engine.ends(job_id)

    assert waiting.current_step == "ok"
    assert flow.outcome is Outcome.SUCCEEDED
    assert flow.waiting_for is None
    assert flow.result is not None
    assert flow.result["steps"]["ok"]["result"] == {
        "decision": "approved",
        "by": "u-7",
        "reason": "fine",
    }


async def test_the_update_answers_and_refuses_what_does_not_wait(engine: Engine) -> None:
    job_id = await submit(engine, approval("ok"), approval("ok-too"))
    await waits_for_approval(engine, job_id)
    handle = engine.handle(job_id)

    with pytest.raises(WorkflowUpdateFailedError):
        await handle.execute_update("decide", {"step": "ok-too", "decision": "approved"})
    with pytest.raises(WorkflowUpdateFailedError):
        await handle.execute_update("decide", {"step": "ok", "decision": "perhaps"})
    answer = await handle.execute_update("decide", {"step": "ok", "decision": "approved"})
    await handle.execute_update("decide", {"step": "ok-too", "decision": "rejected"})
    flow = await engine.ends(job_id)

    assert answer["counts"]["done"] == 1
    assert flow.status is JobStatus.FAILED


async def test_a_rejection_ends_the_flow_and_a_retry_asks_again(engine: Engine) -> None:
    job_id = await submit(engine, approval("ok"), echo("then", items=1))
    await waits_for_approval(engine, job_id)
    await engine.handle(job_id).signal("approve", {"step": "ok", "decision": "rejected"})
    rejected = await engine.ends(job_id)

    await retry(engine, job_id)
    await waits_for_approval(engine, job_id)
    await engine.handle(job_id).signal("look", "at this")
    await engine.handle(job_id).signal("approve", args=[{"step": "ok"}, "please"])
    flow = await engine.becomes(job_id, JobStatus.COMPLETED)

    assert rejected.status is JobStatus.FAILED
    assert rejected.fault is not None
    assert rejected.fault.code == "approval_rejected"
    assert rejected.counts == Counts(total=2, failed=1)
    assert flow.counts == Counts(total=2, done=2)


async def test_an_approval_that_never_comes_times_out_after_a_reminder(engine: Engine) -> None:
    job_id = await submit(
        engine,
        approval("ok", timeout_seconds=4, remind_after_seconds=0.5),
        echo("then", items=1),
    )

    flow = await engine.ends(job_id)

    assert flow.status is JobStatus.FAILED
    assert flow.fault is not None
    assert flow.fault.code == "approval_timed_out"
    assert (await engine.items(job_id))[0]["error_code"] == "approval_timed_out"
    assert await audited(engine, job_id, "approval_reminder") >= 1
    assert await children(engine, job_id) == {}


async def test_webhooks_hear_of_each_approval_and_of_its_reminder(engine: Engine) -> None:
    async with engine.stores.database.begin() as tx:
        await tx.execute(
            "INSERT INTO webhook VALUES ($1, 'u-1', '', '{job.approval_needed}', '', now())",
            str(uuid.uuid4()),
        )
    asked = [approval(name, remind_after_seconds=0.5) for name in ("a", "b")]
    job_id = await submit(engine, group("both", *asked))

    async def all_told() -> bool:
        async with engine.stores.database.begin() as tx:
            rows = await tx.fetch(
                "SELECT payload -> 'details' AS told FROM webhook_delivery WHERE job_id = $1",
                job_id,
            )
        told = {(row["told"]["step"], row["told"]["is_reminder"]) for row in rows}
        return told == {(name, late) for name in ("both.a", "both.b") for late in (False, True)}

    await until(all_told, what="two requests and two reminders")


async def test_flows_within_flows(engine: Engine) -> None:
    inner = {
        "name": "inner",
        "kind": "job",
        "job_type": "flow",
        "parameters": {
            "steps": [
                echo("one", items=3),
                echo("two", items={"$from": "one", "path": "echoes"}),
            ]
        },
    }
    job_id = await submit(
        engine, inner, note("tell", text={"$from": "inner", "path": "steps.two.result.echoes"})
    )

    flow = await engine.ends(job_id)

    assert flow.result is not None
    assert flow.result["steps"]["tell"]["result"]["text"] == 3


async def test_a_flow_that_continues_as_new_loses_no_child(engine: Engine) -> None:
    members = [echo(f"m-{number}", items=3, seconds=0.1) for number in range(8)]
    job_id = await submit(
        engine, group("all", *members), echo("last", items=1), rolling=True, concurrency=3
    )
    first = await engine.handle(job_id).describe()

    flow = await engine.ends(job_id)
    last = await engine.handle(job_id).describe()

    assert flow.counts == Counts(total=9, done=9)
    assert first.run_id != last.run_id
    await check_numbers_agree(engine, job_id)
