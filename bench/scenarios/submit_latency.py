"""How long a caller waits: to submit a job, for its first item, to read it, to list jobs."""

import asyncio
import time
import uuid

from redis.asyncio import Redis
from temporalio import workflow

from bench import trace
from bench.api import OWNER, Api, Wire, token
from bench.figures import Figure, bounded, compared, percentile, spread
from bench.jobs import warm_up
from bench.scale import Scale
from bench.stack import ENDED, Stack

NAME = "submit_latency"
SUBMITS = 200
READS = 2_000
LISTS = 60
FEW_JOBS = 1_000
MANY_JOBS = 100_000
PAGE = 100

# Waits for the effects of a request, so that the next one meets an idle stack.
REST = 0.05

_ENDED_JOBS = """
INSERT INTO job (id, job_type, status, outcome, owner, epoch, parameters, concurrency, total, done,
                 result, created_at, updated_at, dispatch_after, started_at, planned_at,
                 completed_at)
SELECT gen_random_uuid(), 'bench_trivial', 'completed', 'succeeded', $1, 2, '{"items": 100}', 16,
       100, 100, '{"done": 100}', t, t, t, t, t, t
FROM (SELECT now() - $3 * interval '1 second' + n * interval '1 millisecond' AS t
      FROM generate_series(1, $2) AS n) AS times
"""


@workflow.defn
class Nothing:
    """A workflow that is started directly; nothing polls its queue."""

    @workflow.run
    async def run(self) -> None:
        return


async def submit_latency(scale: Scale) -> list[Figure]:
    """Measure on an idle stack, each request beside its peer."""
    async with Stack.open() as stack, stack.api() as api:
        async with stack.worker():
            await warm_up(stack, api)
            await warm_up(stack, api, "bench_sleeping", seconds=0.0)
            submits = await _submits(stack, api, scale(SUBMITS))
            scale.say("submitting is measured")
            reads = await _reads(stack, api, scale(READS))
            scale.say("reading is measured")
        lists = await _lists(stack, api, scale)
        scale.say("listing is measured")
    return [*submits, *reads, *lists]


async def _submits(stack: Stack, api: Api, count: int) -> list[Figure]:
    posts, wires, raws, firsts = [], [], [], []
    async with Wire.open(api.port) as wire:
        for number in range(count):
            path = stack.folder / f"trace-{number}"
            parameters = {"items": 1, "seconds": 0.0, "trace": str(path)}
            body = {"job_type": "bench_sleeping", "parameters": parameters}
            took, job = await wire.timed("POST", "/jobs", body)
            answered = time.time()
            wires.append(took)
            await stack.becomes(job["job_id"], *ENDED, seconds=60)
            firsts.append(trace.read(path)[0].time - answered)
            await asyncio.sleep(REST)
            raws.append(await _start_raw(stack))
            await asyncio.sleep(REST)
            took, job = await api.timed("POST", "/jobs", body)
            posts.append(took)
            await stack.becomes(job["job_id"], *ENDED, seconds=60)
            await asyncio.sleep(REST)
    raw = percentile(raws, 50) * 1000
    return [
        compared(
            NAME,
            "POST /jobs, p50",
            [percentile(wires, 50) * 1000],
            "start_workflow, p50",
            [raw],
            unit="ms",
            at_most=1,
            details={"posts": spread(wires), "raws": spread(raws)},
        ),
        compared(
            NAME,
            "POST /jobs through httpx2, p50",
            [percentile(posts, 50) * 1000],
            "start_workflow, p50",
            [raw],
            unit="ms",
            details={"posts": spread(posts)},
        ),
        bounded(
            NAME,
            "from 202 to the first item's start, p50",
            percentile(firsts, 50) * 1000,
            unit="ms",
            at_most=300,
            details=spread(firsts),
        ),
    ]


async def _start_raw(stack: Stack) -> float:
    workflow_id = str(uuid.uuid4())
    started = time.perf_counter()
    await stack.client.start_workflow(Nothing.run, id=workflow_id, task_queue="nobody")
    return time.perf_counter() - started


async def _reads(stack: Stack, api: Api, count: int) -> list[Figure]:
    """Read a running job again and again, each time beside a round trip to Redis."""
    job_id = await api.submit("bench_sleeping", items=1_000, seconds=5.0)
    await stack.becomes(job_id, "running")
    wires, reads, trips = [], [], []
    redis = Redis.from_url(stack.redis_url)
    async with Wire.open(api.port) as wire:
        for _ in range(count):
            started = time.perf_counter()
            await redis.ping()
            trips.append(time.perf_counter() - started)
            wires.append((await wire.timed("GET", f"/jobs/{job_id}"))[0])
            reads.append((await api.timed("GET", f"/jobs/{job_id}"))[0])
    await redis.aclose()
    await api.cancel(job_id)
    await stack.becomes(job_id, *ENDED)
    trip = percentile(trips, 50) * 1000
    return [
        bounded(
            NAME,
            f"GET of a running job, p99, with a Redis round trip of {trip:.2f} ms",
            percentile(wires, 99) * 1000,
            unit="ms",
            at_most=round(3 * trip + 5, 2),
            details={"reads": spread(wires), "trips": spread(trips)},
        ),
        bounded(
            NAME,
            "the same through httpx2, p99",
            percentile(reads, 99) * 1000,
            unit="ms",
            details={"reads": spread(reads)},
        ),
    ]


async def _lists(stack: Stack, api: Api, scale: Scale) -> list[Figure]:
    """List the newest jobs among few, then among many; as their owner and as an Admin."""
    people = {"their owner": token(), "an Admin": token("Admin")}
    times: dict[str, list[float]] = {}
    for jobs in (FEW_JOBS, scale(MANY_JOBS, least=10 * FEW_JOBS)):
        await _fill(stack, jobs)
        for who, bearer in people.items():
            api.http.headers["Authorization"] = f"Bearer {bearer}"
            times.setdefault(who, []).append(await _list(api))
    few, many = f"{FEW_JOBS:,}", f"{jobs:,}"
    return [
        compared(
            NAME,
            f"newest {PAGE} of {many} jobs, by {who}",
            [among_many * 1000],
            f"among {few}",
            [among_few * 1000],
            unit="ms",
            at_most=2,
        )
        for who, (among_few, among_many) in times.items()
    ]


async def _fill(stack: Stack, jobs: int) -> None:
    there = await stack.value("SELECT count(*) FROM job")
    await stack.execute(_ENDED_JOBS, OWNER, jobs - there, jobs)
    await stack.execute("VACUUM ANALYZE job")


async def _list(api: Api) -> float:
    path = f"/jobs?limit={PAGE}"
    await api.timed("GET", path)
    return percentile([(await api.timed("GET", path))[0] for _ in range(LISTS)], 50)
