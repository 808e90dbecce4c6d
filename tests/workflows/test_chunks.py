"""What a chunk does with flags."""

import asyncio

from longhaul.core.jobs import RunMode
from longhaul.core.messages import STOPPED_BY_PAUSE
from tests.conftest import until
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
