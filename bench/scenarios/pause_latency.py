"""How soon a job pauses and resumes: 20 jobs with items of 5 s."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from bench import trace
from bench.api import Api
from bench.figures import Figure, bounded, percentile, spread
from bench.scale import Scale
from bench.stack import ENDED, Stack

NAME = "pause_latency"
JOBS = 20
ITEMS = 5_000
AT_ONCE = 16
SECONDS = 5.0

# Spreads the jobs' items over time, as those of real jobs are.
APART = 0.1
LOOK_EVERY = 0.002

# How long a drain may need to reach the chunks: until then they may start items.
DRAIN_REACHES_AFTER = 0.3
PAUSED_LONG_ENOUGH = 2.0

Ask = Callable[[str], Awaitable[object]]


async def pause_latency(scale: Scale) -> list[Figure]:
    """Pause in every way, while all other jobs run."""
    async with Stack.open() as stack, stack.api() as api, stack.worker():
        jobs = await _start(stack, api, scale(JOBS, least=4))
        by_http = await _pause_each(stack, jobs, api.pause)
        scale.say(_line("paused over HTTP", by_http))
        resumed = await _resume_all(stack, api, jobs)
        scale.say(_line("resume to the next finished item", resumed))
        by_signal = await _pause_each(stack, jobs, lambda job_id: _signal(stack, job_id))
        scale.say(_line("paused by signal", by_signal))
        await _resume_all(stack, api, jobs)
        await stack.redis.stop()
        without_redis = await _pause_each(stack, jobs, api.pause)
        scale.say(_line("paused without Redis", without_redis))
        await stack.start_redis()
        resumed_at = time.time()
        await _resume_all(stack, api, jobs)
        started, cut_off = await _drain_all(stack, api, jobs, resumed_at)
        scale.say(f"drained: {started} items started after it, {cut_off} cut off")
        await _end_all(stack, api, jobs)
    return [
        _p95("pause now over HTTP, p95", by_http, at_most=0.3),
        _p95("pause now by signal, p95", by_signal, at_most=0.3),
        bounded(
            NAME,
            "pause now without Redis, slowest",
            max(without_redis),
            unit="s",
            at_most=2.5,
            details=spread(without_redis),
        ),
        _p95("resume to the next finished item of 5 s, p95", resumed, at_most=SECONDS + 0.5),
        bounded(NAME, "items started after a drain", started, at_least=0, at_most=0),
        bounded(NAME, "items cut off by a drain", cut_off, at_least=0, at_most=0),
    ]


async def _start(stack: Stack, api: Api, count: int) -> dict[str, Path]:
    """Start the jobs; return the trace of each."""
    jobs = {}
    for number in range(count):
        path = stack.folder / f"trace-{number}"
        job_id = await api.submit(
            "bench_sleeping",
            concurrency=AT_ONCE,
            items=ITEMS,
            seconds=SECONDS,
            trace=str(path),
        )
        jobs[job_id] = path
        await asyncio.sleep(APART)
    for path in jobs.values():
        await stack.until(partial(_is_busy, path), "items of 5 s")
    return jobs


async def _is_busy(path: Path) -> bool:
    return len(trace.in_flight(trace.read(path))) == AT_ONCE


async def _pause_each(stack: Stack, jobs: dict[str, Path], ask: Ask) -> list[float]:
    """Seconds from each request to the row that says `paused`, one job after the other."""
    took = []
    for job_id in jobs:
        started = time.perf_counter()
        asking = asyncio.ensure_future(ask(job_id))
        await stack.becomes(job_id, "paused", seconds=60, every=LOOK_EVERY)
        took.append(time.perf_counter() - started)
        await asking
    return took


async def _signal(stack: Stack, job_id: str) -> None:
    """What `temporal workflow signal --name pause` does."""
    await stack.client.get_workflow_handle(job_id).signal("pause", {"mode": "now"})


async def _resume_all(stack: Stack, api: Api, jobs: dict[str, Path]) -> list[float]:
    """Seconds from each request to the next item that the ledger says is done."""
    asked = {}
    for job_id in jobs:
        asked[job_id] = await stack.value("SELECT clock_timestamp()")
        await api.resume(job_id)
        await asyncio.sleep(APART)
    return [await _next_finished(stack, job_id, at) for job_id, at in asked.items()]


async def _next_finished(stack: Stack, job_id: str, after: Any) -> float:
    sql = """
        SELECT extract(epoch FROM min(updated_at) - $2)::float8 FROM job_item
        WHERE job_id = $1 AND state = 'done' AND updated_at > $2
    """
    found: list[float] = []

    async def has_finished() -> bool:
        seconds = await stack.value(sql, job_id, after)
        found.extend([seconds] if seconds is not None else [])
        return bool(found)

    await stack.until(has_finished, f"an item of {job_id}")
    return found[0]


async def _drain_all(
    stack: Stack, api: Api, jobs: dict[str, Path], resumed_at: float
) -> tuple[int, int]:
    """Drain every job; count the items that started nevertheless, and those that were lost."""
    asked = {}
    for job_id in jobs:
        asked[job_id] = time.time()
        await api.pause(job_id, "drain")
    for job_id in jobs:
        await stack.becomes(job_id, "paused", seconds=60)
    # Not those that an earlier pause has cut off.
    lost = [
        mark
        for path in jobs.values()
        for mark in trace.in_flight(trace.read(path))
        if mark.time > resumed_at
    ]
    await asyncio.sleep(PAUSED_LONG_ENOUGH)
    started = 0
    for job_id, path in jobs.items():
        too_late = asked[job_id] + DRAIN_REACHES_AFTER
        marks = trace.read(path)
        started += sum(mark.kind == trace.START and mark.time > too_late for mark in marks)
    return started, len(lost)


async def _end_all(stack: Stack, api: Api, jobs: dict[str, Path]) -> None:
    for job_id in jobs:
        await api.cancel(job_id)
    for job_id in jobs:
        await stack.becomes(job_id, *ENDED, seconds=60)


def _p95(measure: str, values: list[float], *, at_most: float) -> Figure:
    value = percentile(values, 95)
    return bounded(NAME, measure, value, unit="s", at_most=at_most, details=spread(values))


def _line(what: str, values: list[float]) -> str:
    p50, p95 = percentile(values, 50), percentile(values, 95)
    return f"{what}: p50 {p50:.3f} s, p95 {p95:.3f} s, slowest {max(values):.3f} s"
