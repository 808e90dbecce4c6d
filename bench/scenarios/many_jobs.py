"""Many small jobs at once."""

import asyncio
from datetime import timedelta

from bench.api import Api
from bench.figures import Figure, bounded, compared
from bench.jobs import warm_up
from bench.peers import runs
from bench.scale import Scale
from bench.stack import ENDED, Stack

NAME = "many_jobs"
JOBS = 100
ITEMS = 10

_SPAN = """
SELECT min(created_at) AS first, max(completed_at) AS last,
       count(*) FILTER (WHERE status = 'completed' AND done = $2) AS completed
FROM job WHERE id = ANY ($1::uuid[])
"""


async def many_jobs(scale: Scale) -> list[Figure]:
    """Submit all of them at once and wait for the last."""
    jobs = scale(JOBS)
    async with Stack.open() as stack:
        async with stack.api() as api, stack.worker():
            await warm_up(stack, api)
            completed, rate = await _submit_all(stack, api, jobs)
        scale.say(f"{completed} of {jobs} completed, {rate:.1f} jobs/s")
        naive = await runs.naive_jobs(stack, jobs, ITEMS)
        scale.say(f"naive Temporal: {naive:.1f} jobs/s")
    measure = f"{jobs} jobs of {ITEMS} items"
    return [
        bounded(NAME, f"{measure}, completed", completed, at_least=jobs, at_most=jobs),
        compared(NAME, measure, [rate], "naive Temporal", [naive], unit="jobs/s"),
    ]


async def _submit_all(stack: Stack, api: Api, jobs: int) -> tuple[int, float]:
    job_ids = await asyncio.gather(*(api.submit("bench_trivial", items=ITEMS) for _ in range(jobs)))
    for job_id in job_ids:
        await stack.becomes(job_id, *ENDED)
    ((first, last, completed),) = await stack.fetch(_SPAN, job_ids, ITEMS)
    return completed, jobs / ((last - first) / timedelta(seconds=1))
