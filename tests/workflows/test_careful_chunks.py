"""Chunks over which workers have died."""

import asyncio
from datetime import timedelta

import pytest
from temporalio.testing import ActivityEnvironment

from longhaul.activities.chunk import MAX_LOSSES
from longhaul.core.messages import STOPPED_BY_PAUSE, STOPPED_BY_SHUTDOWN
from tests.locks import until_waiting
from tests.worker_process import WorkerProcess


@pytest.mark.invariant("I6")
async def test_an_item_over_which_workers_died_has_the_process_to_itself(
    process: WorkerProcess,
) -> None:
    gate = process.engine.echo.gate = asyncio.Event()
    before, suspect, after = [await process.job(items=4) for _ in range(3)]
    await process.died_over(suspect, 0)
    running = asyncio.create_task(process.run(before, 0, 3))
    await process.started(before, 4)
    suspected = asyncio.create_task(process.run(suspect, 0, 0, careful=True))
    await process.waits(suspect)
    late = asyncio.create_task(process.run(after, 0, 3))

    seen: list[tuple[bool, list[int]]] = []

    async def look(job_id: str) -> None:
        if job_id == suspect.id:
            seen.append((gate.is_set(), process.ran(after)))

    process.engine.echo.before_each = look
    gate.set()
    await asyncio.gather(running, suspected, late)
    assert seen == [(True, [])], "it began when those before had ended, and none after it had"
    assert len(process.ran(after)) == 4


@pytest.mark.invariant("I6")
@pytest.mark.parametrize("process", [timedelta(seconds=0.1)], indirect=True)
async def test_a_process_is_not_waited_for_for_ever(process: WorkerProcess) -> None:
    process.engine.echo.gate = asyncio.Event()
    other, suspect = await process.job(items=1), await process.job(items=1)
    await process.died_over(suspect, 0)
    running = asyncio.create_task(process.run(other, 0, 0))
    await process.started(other, 1)
    suspected = asyncio.create_task(process.run(suspect, 0, 0, careful=True))
    await process.started(suspect, 1)

    process.engine.echo.gate.set()
    await asyncio.gather(running, suspected)
    assert await process.engine.echoes(suspect.id) == [0]


@pytest.mark.invariant("I6")
async def test_an_item_is_stored_before_the_next_one_may_kill_the_worker(
    process: WorkerProcess,
) -> None:
    states: list[list[str]] = []

    async def look(job_id: str) -> None:
        states.append([row["state"] for row in await process.engine.items(job_id)])

    process.engine.echo.before_each = look
    job = await process.job(items=3)
    await process.run(job, 0, 2, careful=True)

    assert states == [
        ["open", "open", "open"],
        ["done", "open", "open"],
        ["done", "done", "open"],
    ]


async def test_a_stop_that_the_worker_lives_through_is_not_held_against_an_item(
    process: WorkerProcess,
) -> None:
    process.engine.echo.gate = asyncio.Event()
    job = await process.job(items=2)
    environment = ActivityEnvironment()
    running = asyncio.create_task(process.run(job, 0, 1, careful=True, environment=environment))
    await process.started(job, 1)
    assert await process.losses(job) == [1, 0]

    environment.cancel()
    result = await running
    assert result.stopped == STOPPED_BY_PAUSE
    assert await process.losses(job) == [0, 0]


async def test_a_stop_while_an_item_is_noted_starts_nothing_and_leaves_no_note(
    process: WorkerProcess,
) -> None:
    job = await process.job(items=1)
    environment = ActivityEnvironment()
    async with process.engine.stores.database.begin() as tx:
        await tx.execute("SELECT 1 FROM job_item WHERE job_id = $1 FOR UPDATE", job.id)
        running = asyncio.create_task(process.run(job, 0, 0, careful=True, environment=environment))
        await until_waiting(process.engine.stores.database)
        environment.worker_shutdown()
        # The chunk learns of it in the loop's next turns; its statement waits for ours meanwhile.
        await asyncio.sleep(0)
    result = await running

    assert (result.stopped, process.ran(job)) == (STOPPED_BY_SHUTDOWN, [])
    assert await process.losses(job) == [0]


async def test_a_chunk_that_waits_for_the_process_stops_at_once(process: WorkerProcess) -> None:
    process.engine.echo.gate = asyncio.Event()
    other, job = await process.job(items=2), await process.job(items=1)
    await process.died_over(job, 0)
    beside = asyncio.create_task(process.run(other, 0, 0))
    await process.started(other, 1)
    environment = ActivityEnvironment()
    waiting = asyncio.create_task(process.run(job, 0, 0, careful=True, environment=environment))
    await process.waits(job)

    environment.worker_shutdown()
    result = await waiting
    assert (result.stopped, process.ran(job)) == (STOPPED_BY_SHUTDOWN, [])
    assert await process.losses(job) == [1]

    next_one = asyncio.create_task(process.run(other, 1, 1))
    await process.started(other, 2)
    process.engine.echo.gate.set()
    await asyncio.gather(beside, next_one)


@pytest.mark.invariant("I6")
async def test_an_item_over_which_too_many_workers_died_fails_unseen(
    process: WorkerProcess,
) -> None:
    job = await process.job(items=2)
    await process.died_over(job, 0, times=MAX_LOSSES)
    await process.run(job, 0, 1, careful=True)

    rows = await process.engine.items(job.id)
    assert [(row["state"], row["error_code"]) for row in rows] == [
        ("failed", "worker_lost"),
        ("done", None),
    ]
    assert process.ran(job) == [1]


@pytest.mark.invariant("I6")
async def test_an_item_over_which_workers_died_is_run_with_care_in_any_chunk(
    process: WorkerProcess,
) -> None:
    job = await process.job(items=4)
    await process.died_over(job, 2)
    seen: dict[int, list[int]] = {}

    async def look(job_id: str) -> None:
        seen[process.ran(job)[-1]] = await process.losses(job)

    process.engine.echo.before_each = look
    result = await process.run(job, 0, 3)

    assert seen[2] == [0, 0, 2, 0], "it was noted before it began"
    assert result.ended == 4


async def test_a_late_stop_takes_no_note_back_that_somebody_else_has_made(
    process: WorkerProcess,
) -> None:
    process.engine.echo.gate = asyncio.Event()
    job = await process.job(items=1)
    environment = ActivityEnvironment()
    running = asyncio.create_task(process.run(job, 0, 0, careful=True, environment=environment))
    await process.started(job, 1)
    await process.died_over(job, 0, times=2)

    environment.cancel()
    await running
    assert await process.losses(job) == [2]
