"""A worker is killed: when do its items go on elsewhere?"""

import signal
import time
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

from bench import trace
from bench.api import Api
from bench.figures import Figure, bounded, percentile
from bench.job_types import CREATE_STORED
from bench.scale import Scale
from bench.stack import ENDED, Stack
from longhaul.local.processes import Process

NAME = "takeover"
KILLS = 3
ITEMS = 3_000
AT_ONCE = 32
SECONDS = 0.5


async def takeover(scale: Scale) -> list[Figure]:
    """Kill one of two workers with a job on both, three times, each time with a new job."""
    took: list[float] = []
    missing = 0
    async with Stack.open() as stack, stack.api() as api:
        await stack.execute(CREATE_STORED)
        for number in range(KILLS):
            path = stack.folder / f"trace-{number}"
            seconds, lost = await _kill_one(stack, api, path, scale(ITEMS, least=1_000))
            took.append(seconds)
            missing += lost
            scale.say(f"kill {number + 1}: the last lost item went on after {seconds:.2f} s")
    return [
        bounded(
            NAME, "kill to the last lost item's new start, p50", percentile(took, 50), unit="s"
        ),
        bounded(
            NAME,
            "kill to the last lost item's new start, slowest",
            max(took),
            unit="s",
            at_most=12,
            details={"kills": took},
        ),
        bounded(NAME, "items missing at the end", missing, at_least=0, at_most=0),
    ]


async def _kill_one(stack: Stack, api: Api, path: Path, items: int) -> tuple[float, int]:
    """Seconds until every item that ran in the killed worker runs again; items without a row."""
    async with AsyncExitStack() as workers:
        processes = [await workers.enter_async_context(stack.worker()) for _ in range(2)]
        job_id = await api.submit(
            "bench_stored", concurrency=AT_ONCE, items=items, seconds=SECONDS, trace=str(path)
        )
        await stack.until(lambda: _all_run(path), f"{AT_ONCE} items in flight")
        victim = _busiest(processes, path)
        victim.send(signal.SIGKILL)
        killed = time.time()
        await victim.wait()
        lost = {m.ordinal for m in trace.in_flight(trace.read(path)) if m.pid == victim.pid}
        await stack.until(
            lambda: _go_on(path, lost, killed), f"{len(lost)} lost items to go on", seconds=120
        )
        again = _new_starts(path, lost, killed)
        await stack.becomes(job_id, *ENDED)
    stored = await stack.value("SELECT count(*) FROM bench_stored WHERE job_id = $1", job_id)
    return max(again.values()) - killed, items - stored


async def _all_run(path: Path) -> bool:
    return len(trace.in_flight(trace.read(path))) >= AT_ONCE


def _busiest(processes: list[Process], path: Path) -> Process:
    running = Counter(mark.pid for mark in trace.in_flight(trace.read(path)))
    return max(processes, key=lambda process: running[process.pid])


async def _go_on(path: Path, lost: set[int], killed: float) -> bool:
    return _new_starts(path, lost, killed).keys() == lost


def _new_starts(path: Path, lost: set[int], killed: float) -> dict[int, float]:
    """When each lost item was started again, or never, if it was stored at the last moment."""
    starts: dict[int, float] = {}
    for mark in trace.read(path):
        if mark.kind == trace.START and mark.ordinal in lost and mark.time > killed:
            starts.setdefault(mark.ordinal, mark.time)
    return starts
