"""A thousand pauses and resumes of one job within 20 s, from two API processes."""

import asyncio
import time

import httpx2

from bench.api import Api
from bench.figures import Figure, bounded, percentile, spread
from bench.histories import chain
from bench.job_types import CREATE_STORED
from bench.scale import Scale
from bench.stack import ENDED, Stack

NAME = "control_storm"
REQUESTS = 1_000
A_SECOND = 50
ITEMS = 30_000
AT_ONCE = 50
SECONDS = 0.05

# Long enough for every answered request to take effect.
SETTLED_AFTER = 3.0

_LOST = """
SELECT (SELECT count(*) FROM job_item AS i FULL JOIN bench_stored AS s USING (job_id, ordinal)
        WHERE job_id = $1 AND (i.state IS DISTINCT FROM 'done' OR s.job_id IS NULL))
       + (SELECT abs(total - done) + abs($2 - done) FROM job WHERE id = $1)
"""


async def control_storm(scale: Scale) -> list[Figure]:
    """Pause and resume in turn; the last one pauses. Then let the job end and count its items."""
    requests, items = scale(REQUESTS), scale(ITEMS)
    async with Stack.open() as stack, stack.api() as one, stack.api() as other, stack.worker():
        await stack.execute(CREATE_STORED)
        job_id = await one.submit("bench_stored", concurrency=AT_ONCE, items=items, seconds=SECONDS)
        await stack.becomes(job_id, "running")
        took = await _storm([one, other], job_id, requests)
        scale.say(f"{len(took)} of {requests} answered, p99 {percentile(took, 99):.3f} s")
        await asyncio.sleep(SETTLED_AFTER)
        status = await stack.value("SELECT status FROM job WHERE id = $1", job_id)
        scale.say(f"the last request was a pause, and the job is {status}")
        await one.resume(job_id)
        await stack.becomes(job_id, *ENDED)
        lost = await stack.value(_LOST, job_id, items)
        run_id = await stack.value("SELECT run_id FROM job WHERE id = $1", job_id)
        history = await chain(stack.client, job_id, run_id)
    scale.say(f"{lost} items lost; {history.events} events in {history.runs} runs")
    return [
        bounded(
            NAME,
            f"of {requests:,} requests in {requests / A_SECOND:g} s, answered",
            len(took),
            at_least=requests,
            at_most=requests,
            details=spread(took),
        ),
        bounded(NAME, "answer, p99", percentile(took, 99), unit="s"),
        bounded(NAME, f"the last one paused; the job is {status}", status == "paused", at_least=1),
        bounded(NAME, f"of {items:,} items, lost or double", lost, at_least=0, at_most=0),
        bounded(
            NAME, "times continued as new", history.runs - 1, details={"events": history.events}
        ),
    ]


async def _storm(apis: list[Api], job_id: str, requests: int) -> list[float]:
    """Send the requests at an even pace; return the times of the answered ones.

    The last one, a pause, is sent when the others are answered: requests that run together have
    no order.
    """
    started = time.perf_counter()
    sent = []
    for number in range(requests - 1):
        await asyncio.sleep(max(started + number / A_SECOND - time.perf_counter(), 0))
        pauses = number % 2 == 0
        sent.append(asyncio.create_task(_ask(apis[number % len(apis)], job_id, pauses=pauses)))
    answers = await asyncio.gather(*sent)
    answers.append(await _ask(apis[0], job_id, pauses=True))
    return [took for took in answers if took is not None]


async def _ask(api: Api, job_id: str, *, pauses: bool) -> float | None:
    verb, body = ("pause", {"mode": "now"}) if pauses else ("resume", None)
    try:
        return (await api.timed("POST", f"/jobs/{job_id}/{verb}", body))[0]
    except httpx2.HTTPError:
        return None
