"""A million items through one workflow: their cost in histories and in memory."""

from pathlib import Path

from bench.figures import Figure, bounded
from bench.histories import chain
from bench.jobs import completed
from bench.scale import Scale
from bench.stack import Stack

NAME = "million"
ITEMS = 1_000_000
SMALL_ITEMS = 1_000
AT_ONCE = 100


async def million(scale: Scale) -> list[Figure]:
    """Run a small job, then the large one, in the same worker."""
    async with Stack.open() as stack, stack.api() as api, stack.worker() as worker:
        await completed(stack, api, "bench_trivial", concurrency=AT_ONCE, items=SMALL_ITEMS)
        before = peak_megabytes(worker.pid)
        scale.say(f"the worker's peak after {SMALL_ITEMS:,} items: {before:.0f} MB")
        job = await completed(stack, api, "bench_trivial", concurrency=AT_ONCE, items=scale(ITEMS))
        after = peak_megabytes(worker.pid)
        history = await chain(stack.client, job.job_id, job.run_id)
    scale.say(
        f"{job.items:,} items: {job.per_second:,.0f} items/s, {history.events} events in "
        f"{history.runs} runs, peak {after:.0f} MB"
    )
    return [
        bounded(
            NAME,
            f"history events an item, over {history.runs} runs",
            history.events / job.items,
            at_most=0.05,
            details={"events": history.events, "runs": history.runs},
        ),
        bounded(
            NAME,
            f"growth of the worker's peak memory over {SMALL_ITEMS:,} items",
            after - before,
            unit="MB",
            at_most=100,
            details={"before": before, "after": after},
        ),
        bounded(NAME, f"{job.items:,} trivial items", job.per_second, unit="items/s"),
        bounded(NAME, "from creation to the last commit", job.whole_seconds, unit="s"),
    ]


def peak_megabytes(pid: int) -> float:
    """The most memory that a process has had resident."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise LookupError(f"process {pid} tells no VmHWM")
