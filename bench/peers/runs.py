"""Runs each peer once on a stack's servers and returns its items a second."""

import asyncio
import time
import uuid
from collections.abc import Awaitable
from datetime import timedelta

from celery import Celery

from bench.histories import first_scheduled
from bench.peers import table
from bench.peers.naive_temporal import QUEUE, NaiveJob, NaiveState
from bench.stack import Stack
from longhaul.local.processes import Process, ProcessFailed

CELERY = "bench.peers.celery_loop"
NAIVE = "bench.peers.naive_temporal"
BARE = "bench.peers.bare_loop"

WARM_UP_ITEMS = 50
LOOK_EVERY = 0.05

_OPEN_PEER_ITEMS = "INSERT INTO peer_item (job_id, ordinal) SELECT $1, generate_series(0, $2 - 1)"

_RUNNING_JOB = """
INSERT INTO job (id, job_type, status, owner, epoch, parameters, concurrency, total, created_at,
                 updated_at, dispatch_after, started_at, planned_at)
VALUES ($1, 'bench_trivial', 'running', 'bench', 1, '{}', 16, $2, now(), now(), now(), now(), now())
"""

_OPEN_ITEMS = """
INSERT INTO job_item (job_id, ordinal, item_key)
SELECT $1, ordinal, 'item-' || ordinal FROM generate_series(0, $2 - 1) AS ordinal
"""


async def celery(stack: Stack, items: int, seconds: float = 0.0) -> float:
    """The replaced design: from the first item's start to the last one's commit."""
    await _prepare(stack)
    job_id = str(uuid.uuid4())
    arguments = [
        *("-A", CELERY, "worker", "--pool=solo", "--concurrency=1", "--loglevel=WARNING"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    ]
    async with stack.process("celery", {}, _at_once, arguments) as process:
        app = Celery(broker=stack.redis_url)
        await asyncio.to_thread(app.send_task, "run_job", [job_id, items, seconds])
        return items / await _seconds(stack, job_id, process)


async def bare(stack: Stack, items: int, at_once: int) -> float:
    """No engine: from the first item's start to the last one's commit."""
    await _prepare(stack)
    job_id = str(uuid.uuid4())
    await stack.execute(_RUNNING_JOB, job_id, items)
    await stack.execute(_OPEN_ITEMS, job_id, items)
    arguments = [job_id, str(items), str(at_once)]
    async with stack.process(BARE, {}, _at_once, arguments) as process:
        took = await _seconds(stack, job_id, process)
    done = await stack.value("SELECT done FROM job WHERE id = $1", job_id)
    if done != items:
        raise RuntimeError(f"the bare loop did {done} of {items} items")
    await stack.execute("DELETE FROM job WHERE id = $1", job_id)
    return items / took


async def naive(stack: Stack, items: int) -> float:
    """One activity per item: from the first one scheduled to the last commit."""
    await _prepare(stack)
    async with stack.process(NAIVE, {}, _at_once, []) as process:
        await _naive_job(stack, WARM_UP_ITEMS, process)
        return items / await _naive_job(stack, items, process)


async def naive_jobs(stack: Stack, jobs: int, items: int) -> float:
    """Many workflows at once: jobs a second, from the first start to the last workflow's end."""
    await _prepare(stack)
    async with stack.process(NAIVE, {}, _at_once, []) as process:
        await _naive_job(stack, WARM_UP_ITEMS, process)
        started = time.perf_counter()
        await asyncio.gather(*(_naive_job(stack, items, process) for _ in range(jobs)))
        return jobs / (time.perf_counter() - started)


async def _naive_job(stack: Stack, items: int, process: Process) -> float:
    """Run one workflow of the naive worker; the seconds from its first activity to its end."""
    job_id = str(uuid.uuid4())
    await stack.execute(_OPEN_PEER_ITEMS, job_id, items)
    handle = await stack.client.start_workflow(
        NaiveJob.run, NaiveState(job_id, items), id=job_id, task_queue=QUEUE
    )
    await _or_its_death(handle.result(), process)
    scheduled = await first_scheduled(
        stack.client, job_id, "do_item", handle.first_execution_run_id
    )
    last = await stack.value(
        "SELECT max(updated_at) FROM peer_item WHERE job_id = $1 AND state = 'done'", job_id
    )
    return float((last - scheduled) / timedelta(seconds=1))


async def _prepare(stack: Stack) -> None:
    await stack.execute(table.CREATE)
    await stack.execute("TRUNCATE peer_item")
    await stack.clean()


async def _seconds(stack: Stack, job_id: str, process: Process) -> float:
    """How long a peer took, as it reports."""

    async def took() -> float | None:
        seconds: float | None = await stack.value(table.SECONDS, job_id)
        return seconds

    while (seconds := await took()) is None:
        if process.returncode is not None and (seconds := await took()) is None:
            raise ProcessFailed(f"{process.command.name} has ended:\n{process.last_lines()}")
        await asyncio.sleep(LOOK_EVERY)
    return seconds


async def _or_its_death(work: Awaitable[object], process: Process) -> None:
    """Wait for the work of a process, until it is done or the process dies."""
    working, living = asyncio.ensure_future(work), asyncio.create_task(process.wait())
    try:
        await asyncio.wait({working, living}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ProcessFailed(f"{process.command.name} has ended:\n{process.last_lines()}")
        await working
    finally:
        working.cancel()
        living.cancel()


async def _at_once() -> bool:
    return True
