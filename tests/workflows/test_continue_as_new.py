"""Continue-as-new: a new run continues exactly where the old one stopped."""

import asyncio
import uuid
from collections import Counter

import pytest

from longhaul.core.controls import Action, Control
from longhaul.core.jobs import Counts, JobStatus, RunMode
from tests.engine import Engine
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("worker")


async def runs_of(engine: Engine, job_id: str) -> int:
    query = f'WorkflowId = "{job_id}"'
    return len([run async for run in engine.client.list_workflows(query)])


async def test_a_long_job_goes_through_many_runs_and_does_every_item_once(engine: Engine) -> None:
    job_id = await engine.create(items=200, concurrency=2, seconds=0.02, rolling=True)
    while (await engine.job(job_id)).status is not JobStatus.COMPLETED:
        # Resuming what runs changes nothing; it only makes the history longer.
        await engine.workflows.control(job_id, Control(action=Action.RESUME))

    async def several_runs() -> bool:
        return await runs_of(engine, job_id) >= 2

    await until(several_runs, what="the job to have continued as new")
    assert Counter(engine.rolling.started) == Counter((job_id, n) for n in range(200))
    await engine.check_numbers_agree(job_id)


@pytest.mark.invariant("I4")
async def test_controls_are_not_lost_while_a_job_continues_as_new(engine: Engine) -> None:
    # Held, or the job could be done before the last request.
    engine.rolling.gate = asyncio.Event()
    job_id = await engine.create(
        items=400, concurrency=4, seconds=0.02, held_from=100, rolling=True
    )
    await engine.becomes(job_id, JobStatus.RUNNING)

    for number in range(60):
        action = Action.RESUME if number % 2 else Action.PAUSE
        control = Control(action=action, mode=RunMode.NOW, request_id=str(uuid.uuid4()))
        assert await engine.workflows.control(job_id, control)
    last = Control(action=Action.PAUSE, mode=RunMode.NOW, reason="the last one")
    await engine.workflows.control(job_id, last)

    async def the_last_one_holds() -> bool:
        job = await engine.job(job_id)
        if job.status is not JobStatus.PAUSED or job.pause is None:
            return False
        return job.pause.reason == last.reason

    async def several_runs() -> bool:
        return await runs_of(engine, job_id) >= 2

    # A workflow task that the server has turned away may wait two minutes for its next try.
    await until(the_last_one_holds, what="the last request to hold")
    await until(several_runs, what="the job to continue as new")
    engine.rolling.gate.set()
    await engine.workflows.control(job_id, Control(action=Action.RESUME))
    job = await engine.ends(job_id)
    assert job.counts == Counts(total=400, done=400)
    await engine.check_numbers_agree(job_id)


async def test_a_pause_with_its_end_survives_continue_as_new(engine: Engine) -> None:
    engine.rolling.gate = asyncio.Event()
    job_id = await engine.create(items=40, concurrency=2, rolling=True)
    await engine.becomes(job_id, JobStatus.RUNNING)
    first = await engine.handle(job_id).describe()
    await engine.workflows.control(job_id, Control(action=Action.PAUSE, reason="long"))
    await engine.becomes(job_id, JobStatus.PAUSING, JobStatus.PAUSED)
    engine.rolling.gate.set()

    async def is_new_run() -> bool:
        await engine.workflows.control(job_id, Control(action=Action.PAUSE, reason="long"))
        return (await engine.handle(job_id).describe()).run_id != first.run_id

    await until(is_new_run, what="a new run")
    await engine.becomes(job_id, JobStatus.PAUSED)
    progress = await engine.handle(job_id).query("progress")
    job = await engine.job(job_id)

    assert progress["status"] == job.status == JobStatus.PAUSED
    assert progress["pause"]["reason"] == "long"
    await engine.workflows.control(job_id, Control(action=Action.RESUME))
    assert (await engine.ends(job_id)).counts.done == 40


async def test_a_cancel_reaches_a_job_that_is_about_to_continue_as_new(engine: Engine) -> None:
    engine.rolling.gate = asyncio.Event()
    job_id = await engine.create(items=40, concurrency=2, rolling=True)
    for _ in range(15):
        await engine.workflows.control(job_id, Control(action=Action.RESUME))

    await engine.workflows.cancel(job_id)

    assert (await engine.ends(job_id)).status is JobStatus.CANCELLED
