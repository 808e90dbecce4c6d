"""Pause and resume: nothing starts while paused, nothing is lost, nothing is done twice."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import WorkflowUpdateFailedError

from longhaul.core.controls import Action, Control
from longhaul.core.jobs import Counts, JobStatus, RunMode
from tests.engine import Engine
from tests.planning import resumed_while_planning
from tests.refusals import Refusals
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("worker")

RUNNING, PAUSING, PAUSED = JobStatus.RUNNING, JobStatus.PAUSING, JobStatus.PAUSED


async def started(engine: Engine, job_id: str, count: int) -> None:
    async def enough() -> bool:
        return len([one for one in engine.echo.started if one[0] == job_id]) >= count

    await until(enough, what=f"{count} items to start")


async def pause(engine: Engine, job_id: str, mode: RunMode = RunMode.DRAIN) -> None:
    control = Control(action=Action.PAUSE, mode=mode, by="u-1", reason="lunch")
    assert await engine.workflows.control(job_id, control)


async def chunks_have_heard(engine: Engine, job_id: str) -> None:
    async def have_heard() -> bool:
        return job_id in engine.flags.heard

    await until(have_heard, what="the chunks to see the flag")


async def resume(engine: Engine, job_id: str) -> None:
    assert await engine.workflows.control(job_id, Control(action=Action.RESUME, by="u-1"))


@pytest.mark.invariant("I4")
async def test_a_draining_pause_waits_for_items_in_flight_and_starts_none(engine: Engine) -> None:
    engine.echo.gate = asyncio.Event()
    job_id = await engine.create(items=20, concurrency=4)
    await started(engine, job_id, 4)

    await pause(engine, job_id)
    await engine.becomes(job_id, PAUSING)

    await chunks_have_heard(engine, job_id)
    engine.echo.gate.set()
    job = await engine.becomes(job_id, PAUSED)

    assert len(engine.echo.started) == 4
    assert job.counts == Counts(total=20, done=4)
    assert job.pause is not None
    assert (job.pause.by, job.pause.reason) == ("u-1", "lunch")


@pytest.mark.invariant("I4")
async def test_pause_and_resume_change_no_result(engine: Engine) -> None:
    engine.echo.gate = asyncio.Event()
    job_id = await engine.create(items=40, concurrency=1, held_from=24)
    await started(engine, job_id, 25)
    await pause(engine, job_id)
    await chunks_have_heard(engine, job_id)
    engine.echo.gate.set()
    paused = await engine.becomes(job_id, PAUSED)

    await resume(engine, job_id)
    job = await engine.ends(job_id)

    assert paused.counts.done == 25
    assert job.counts == Counts(total=40, done=40)
    assert Counter(engine.echo.started) == Counter((job_id, n) for n in range(40))
    await engine.check_numbers_agree(job_id)


async def test_pausing_now_leaves_the_items_in_flight_open(engine: Engine) -> None:
    engine.echo.gate = asyncio.Event()
    job_id = await engine.create(items=10, concurrency=4)
    await started(engine, job_id, 4)

    await pause(engine, job_id, RunMode.NOW)
    job = await engine.becomes(job_id, PAUSED)

    assert job.counts == Counts(total=10)
    engine.echo.gate.set()
    await resume(engine, job_id)
    assert (await engine.ends(job_id)).counts == Counts(total=10, done=10)
    await engine.check_numbers_agree(job_id)


async def test_a_drain_can_be_tightened(engine: Engine) -> None:
    engine.echo.gate = asyncio.Event()
    job_id = await engine.create(items=10, concurrency=4)
    await started(engine, job_id, 4)
    await pause(engine, job_id, RunMode.DRAIN)
    await engine.becomes(job_id, PAUSING)

    await pause(engine, job_id, RunMode.NOW)

    assert (await engine.becomes(job_id, PAUSED)).counts.done == 0


async def test_resuming_a_job_that_still_drains_goes_on_without_a_second_run_of_any_item(
    engine: Engine,
) -> None:
    engine.echo.gate = asyncio.Event()
    job_id = await engine.create(items=12, concurrency=4)
    await started(engine, job_id, 4)
    await pause(engine, job_id)
    await engine.becomes(job_id, PAUSING)

    await resume(engine, job_id)
    await engine.becomes(job_id, RUNNING)
    engine.echo.gate.set()
    job = await engine.ends(job_id)

    assert job.counts.done == 12
    assert max(Counter(engine.echo.started).values()) == 1


async def pause_until(engine: Engine, job_id: str, moment: datetime) -> None:
    assert await engine.workflows.control(job_id, Control(action=Action.PAUSE, until=moment))


async def test_a_pause_until_resumes_by_itself(engine: Engine) -> None:
    engine.echo.gate = asyncio.Event()
    job_id = await engine.create(items=30, concurrency=1)
    await started(engine, job_id, 1)

    moment = datetime.now(UTC) + timedelta(seconds=1)
    await pause_until(engine, job_id, moment)
    engine.echo.gate.set()
    job = await engine.ends(job_id)

    assert job.counts.done == 30
    assert job.completed_at is not None
    assert job.completed_at > moment


async def test_a_pause_may_be_given_another_end(engine: Engine) -> None:
    engine.echo.gate = asyncio.Event()
    job_id = await engine.create(items=30, concurrency=1)
    await started(engine, job_id, 1)

    in_an_hour = datetime.now(UTC) + timedelta(hours=1)
    await pause_until(engine, job_id, in_an_hour)
    engine.echo.gate.set()
    paused = await engine.becomes(job_id, PAUSED)
    moment = datetime.now(UTC) + timedelta(seconds=1)
    await pause_until(engine, job_id, moment)
    job = await engine.ends(job_id)

    assert paused.pause is not None
    assert paused.pause.until == in_an_hour
    assert job.counts.done == 30
    assert job.completed_at is not None
    assert job.completed_at > moment


@pytest.mark.invariant("I4")
async def test_progress_never_goes_backwards_through_pauses(engine: Engine) -> None:
    gate = asyncio.Event()
    before = 0

    async def hold_from_the_sixth_on(_: str) -> None:
        if len(engine.echo.started) - before > 5:
            await gate.wait()

    engine.echo.before_each = hold_from_the_sixth_on
    job_id = await engine.create(items=60, concurrency=4)
    seen = []
    for _ in range(3):
        await started(engine, job_id, before + 6)
        await pause(engine, job_id, RunMode.NOW)
        seen.append((await engine.becomes(job_id, PAUSED)).counts.ended)
        before = len(engine.echo.started)
        await resume(engine, job_id)
    await started(engine, job_id, before + 6)
    gate.set()
    seen.append((await engine.ends(job_id)).counts.ended)

    assert seen == sorted(seen)
    assert 0 < seen[0] < seen[2] < seen[-1] == 60


async def test_a_pause_with_nothing_left_open_completes(engine: Engine) -> None:
    engine.echo.gate = asyncio.Event()
    job_id = await engine.create(items=4, concurrency=4)
    await started(engine, job_id, 4)
    await pause(engine, job_id)
    await engine.becomes(job_id, PAUSING)

    engine.echo.gate.set()
    job = await engine.ends(job_id)

    assert job.status is JobStatus.COMPLETED
    assert job.pause is None


async def test_the_same_request_twice_counts_once(engine: Engine) -> None:
    engine.echo.gate = asyncio.Event()
    job_id = await engine.create(items=8, concurrency=2)
    await started(engine, job_id, 2)
    again = Control(action=Action.PAUSE, mode=RunMode.NOW, request_id="r-1")
    await engine.workflows.control(job_id, again)
    await engine.becomes(job_id, PAUSED)
    await resume(engine, job_id)
    await engine.becomes(job_id, RUNNING)

    await engine.workflows.control(job_id, again)
    engine.echo.gate.set()

    assert (await engine.ends(job_id)).counts.done == 8


async def test_the_control_update_answers_with_the_row_written(engine: Engine) -> None:
    engine.echo.gate = asyncio.Event()
    job_id = await engine.create(items=8, concurrency=2)
    await started(engine, job_id, 2)

    answer = await engine.handle(job_id).execute_update(
        "control", {"action": "pause", "mode": "now", "by": "ops"}
    )

    assert answer["status"] in ("pausing", "paused")
    assert (await engine.job(job_id)).status in (PAUSING, PAUSED)
    engine.echo.gate.set()
    answer = await engine.handle(job_id).execute_update("control", {"action": "resume"})
    assert answer["status"] == "running"
    await engine.ends(job_id)


async def test_a_rejected_update_leaves_no_event(engine: Engine) -> None:
    engine.echo.gate = asyncio.Event()
    job_id = await engine.create(items=2)
    await started(engine, job_id, 2)

    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await engine.handle(job_id).execute_update("control", {"action": "pause", "mode": "later"})

    assert "drain" in str(refused.value.cause)
    history = await engine.handle(job_id).fetch_history()
    assert not [event for event in history.events if "UPDATE" in str(event)]
    engine.echo.gate.set()
    await engine.ends(job_id)


async def test_a_signal_with_nothing_in_it_pauses(engine: Engine) -> None:
    engine.echo.gate = asyncio.Event()
    job_id = await engine.create(items=40, concurrency=1)
    await started(engine, job_id, 1)

    await engine.handle(job_id).signal("pause")
    await engine.becomes(job_id, PAUSING)
    engine.echo.gate.set()
    await engine.becomes(job_id, PAUSED)
    await engine.handle(job_id).signal("resume")

    assert (await engine.ends(job_id)).counts.done == 40


async def test_a_signal_with_more_than_one_input_is_read_by_its_first(engine: Engine) -> None:
    engine.echo.gate = asyncio.Event()
    job_id = await engine.create(items=4, concurrency=2)
    await started(engine, job_id, 2)

    await engine.handle(job_id).signal("pause", args=[{"mode": "now", "by": "ops"}, 2, None])
    job = await engine.becomes(job_id, PAUSED)
    await engine.handle(job_id).signal("resume", args=[{}, "and"])
    engine.echo.gate.set()

    assert job.pause is not None
    assert job.pause.by == "ops"
    assert (await engine.ends(job_id)).counts.done == 4


async def test_what_cannot_be_stored_of_a_signal_is_left_out(engine: Engine) -> None:
    engine.echo.gate = asyncio.Event()
    job_id = await engine.create(items=4, concurrency=2)
    await started(engine, job_id, 2)

    await engine.handle(job_id).signal(
        "pause", {"by": "ops\0", "reason": "half a character: \ud800", "mode": "now"}
    )
    job = await engine.becomes(job_id, PAUSED)

    assert job.pause is not None
    assert (job.pause.by, job.pause.reason) == ("ops", "half a character: ?")
    engine.echo.gate.set()
    await resume(engine, job_id)
    assert (await engine.ends(job_id)).counts.done == 4


async def test_what_stopped_a_chunk_before_the_job_was_resumed_does_not_pause_it_again(
    engine: Engine,
) -> None:
    refusals = Refusals(engine)
    job_id = await refusals.create()
    await engine.becomes(job_id, PAUSING)

    refusals.is_over = True
    await resume(engine, job_id)
    await engine.becomes(job_id, RUNNING)
    refusals.gate.set()
    job = await engine.ends(job_id)

    assert job.counts.done == 16
    async with engine.stores.database.begin() as tx:
        audit = await tx.fetch("SELECT action FROM job_audit WHERE job_id = $1", job_id)
    assert [row["action"] for row in audit].count("pause") == 1


async def test_the_progress_query_tells_counts_and_chunks_in_flight(engine: Engine) -> None:
    engine.echo.gate = asyncio.Event()
    job_id = await engine.create(items=20, concurrency=4)
    await started(engine, job_id, 4)

    progress = await engine.handle(job_id).query("progress")

    assert progress["status"] == "running"
    assert progress["counts"]["total"] == 20
    assert progress["in_flight"] == [[0, 1], [2, 3], [4, 5], [6, 7]]
    engine.echo.gate.set()
    await engine.ends(job_id)


async def test_mostly_failing_pauses_the_job_with_the_reason(engine: Engine) -> None:
    job_id = await engine.create(
        items=200, concurrency=4, seconds=0.01, failing=list(range(200)), stop_ratio=0.5
    )

    job = await engine.becomes(job_id, PAUSED)

    assert job.pause is not None
    assert job.pause.reason.startswith("stop_loss: ")
    assert 20 <= job.counts.failed < 60


async def test_a_provider_that_refuses_us_pauses_the_job_and_fails_no_item(
    engine: Engine,
) -> None:
    job_id = await engine.create(items=10, concurrency=2, rejected=[4])

    job = await engine.becomes(job_id, PAUSED)

    assert job.pause is not None
    assert job.pause.reason == "provider_rejected: The provider refuses the key."
    assert job.counts.failed == 0
    assert (await engine.items(job_id))[4]["state"] == "open"


async def test_a_resume_that_comes_while_the_items_are_listed_is_heard_after_the_planned_pause(
    engine: Engine,
) -> None:
    job_id = await resumed_while_planning(engine)

    job = await engine.job(job_id)

    assert (job.status, job.counts.done) == (JobStatus.COMPLETED, 4)
