"""Chunks and flags."""

import asyncio

from longhaul.core.jobs import RunMode
from longhaul.core.messages import STOPPED_BY_PAUSE, STOPPED_BY_PROVIDER
from tests.waiting import until
from tests.worker_process import WorkerProcess


async def test_a_chunk_that_drains_takes_items_again_when_the_job_is_resumed(
    process: WorkerProcess,
) -> None:
    job = await process.job(items=4)
    slow, quick = asyncio.Event(), asyncio.Event()

    async def hold(_: str) -> None:
        match process.ran(job)[-1]:
            case 0:
                await slow.wait()
            case 1:
                await quick.wait()

    async def first_is_stored() -> bool:
        return [row["state"] for row in await process.engine.items(job.id)].count("done") == 1

    process.engine.echo.before_each = hold
    running = asyncio.create_task(process.run(job, 0, 3, at_once=2))
    await process.started(job, 2)
    await process.told(job, job.generation + 1, RunMode.DRAIN)
    quick.set()
    await until(first_is_stored, what="the first result")
    assert process.ran(job) == [0, 1]

    await process.told(job, job.generation + 2, RunMode.RUN)
    await process.started(job, 4)
    slow.set()
    result = await running

    assert (result.ended, result.stopped) == (4, "")


async def test_a_chunk_that_is_told_to_stop_now_says_under_which_generation_it_did(
    process: WorkerProcess,
) -> None:
    job = await process.job(items=4)
    process.engine.echo.gate = asyncio.Event()
    running = asyncio.create_task(process.run(job, 0, 3, at_once=2))
    await process.started(job, 2)
    await process.told(job, job.generation + 1, RunMode.NOW)
    result = await running

    assert (result.ended, result.stopped) == (0, STOPPED_BY_PAUSE)
    assert result.generation == job.generation + 1
    assert len(process.ran(job)) == 2


async def test_a_chunk_that_has_another_reason_to_stop_does_not_go_on_when_the_job_is_resumed(
    process: WorkerProcess,
) -> None:
    job = await process.job(items=4, rejected=[0])
    rejected, last = asyncio.Event(), asyncio.Event()

    async def hold(_: str) -> None:
        await (rejected if process.ran(job)[-1] == 0 else last).wait()

    async def one_is_left() -> bool:
        live = (await process.engine.stores.board.read(job.id)).live
        return [one.in_flight for one in live] == [1]

    process.engine.echo.before_each = hold
    running = asyncio.create_task(process.run(job, 0, 3, at_once=2))
    await process.started(job, 2)
    await process.told(job, job.generation + 1, RunMode.DRAIN)
    rejected.set()
    await until(one_is_left, what="the provider's refusal")

    await process.told(job, job.generation + 2, RunMode.RUN)
    last.set()
    result = await running

    assert (result.ended, result.stopped) == (1, STOPPED_BY_PROVIDER)
    assert len(process.ran(job)) == 2


async def test_whoever_resumes_a_job_has_seen_what_failed_until_then(
    process: WorkerProcess,
) -> None:
    failing = list(range(1, 21))
    job = await process.job(items=30, failing=failing, stop_ratio=0.5)
    held = asyncio.Event()

    async def hold(_: str) -> None:
        if process.ran(job)[-1] == 0:
            await held.wait()

    async def failures_are_stored() -> bool:
        return [row["state"] for row in await process.engine.items(job.id)].count("failed") == 20

    process.engine.echo.before_each = hold
    first = asyncio.create_task(process.run(job, 0, 24, at_once=2))
    await until(failures_are_stored, what="the failures")
    await process.told(job, job.generation + 1, RunMode.DRAIN)
    await process.told(job, job.generation + 2, RunMode.RUN)
    second = await process.run(job, 25, 29)
    held.set()
    await first

    assert (second.ended, second.stopped) == (5, "")
