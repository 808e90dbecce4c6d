"""Faults of the replaced system: a pause lost progress, a resume paid twice."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest
from redis.asyncio import Redis
from temporalio.client import Client

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.sample.report import load_sample
from longhaul.core.catalog import Catalog
from longhaul.core.jobs import Counts, JobStatus, Outcome
from tests.engine import Engine, open_engine
from tests.stubs import model_server as stub
from tests.stubs.rule_answers import answer
from tests.waiting import PATIENCE, until
from tests.workflows.test_model_faults import open_job_type, start
from tests.workflows.test_pausing import chunks_have_heard, pause, resume

ITEMS = 40
LAST_BEFORE_THE_PAUSE = 24


class HeldAfter:
    """Answers well, and holds the answers from some request on."""

    def __init__(self, count: int) -> None:
        self._left = count
        self._answer = stub.good(answers=answer)
        self.server: stub.ModelServer

    def __call__(self, seen: stub.Seen) -> stub.Reply:
        if not self._left:
            self.server.hold()
        self._left -= 1
        return self._answer(seen)


@pytest.mark.invariant("I4")
@pytest.mark.parametrize("cached_workflows", [1_000, 0], ids=["cached", "uncached"])
async def test_a_pause_after_item_24_of_40_leaves_the_other_15_to_be_done_and_paid_for_once(
    cached_workflows: int,
    temporal_client: Client,
    database: PostgresDatabase,
    redis_client: Redis,
) -> None:
    report = await load_sample(database, rows=20, attributes=ITEMS, random_seed=3)
    behaviour = HeldAfter(LAST_BEFORE_THE_PAUSE)
    async with (
        stub.ModelServer.start(behaviour) as server,
        # The request that is held until the pause has come must not be given up.
        open_job_type(database, "openai", server, PATIENCE) as (job_type, model),
        open_engine(temporal_client, database, redis_client) as engine,
    ):
        behaviour.server = server
        engine.cached_workflows = cached_workflows
        engine.parts = replace(
            engine.parts, catalog=Catalog([job_type]), providers={"openai": model}
        )
        async with engine.worker():
            job_id = await start(engine, job_type, report, concurrency=1)
            # Item 24, the 25th, is in flight when the pause comes; draining, it is still done.
            await server.until(lambda: len(server.requests) == LAST_BEFORE_THE_PAUSE + 1)
            await pause(engine, job_id)
            await chunks_have_heard(engine, job_id)
            server.release()
            paused = await engine.becomes(job_id, JobStatus.PAUSED)
            asked_before = server.digests()
            await resume(engine, job_id)
            job = await engine.ends(job_id)

    items = await engine.items(job_id)
    rules = await database_rows(database, job_id)
    assert paused.counts == Counts(total=ITEMS, done=LAST_BEFORE_THE_PAUSE + 1)
    assert sum(asked_before.values()) == LAST_BEFORE_THE_PAUSE + 1
    assert (job.outcome, job.counts) == (Outcome.SUCCEEDED, Counts(total=ITEMS, done=ITEMS))
    assert len(server.requests) == ITEMS
    assert server.repeated() == {}
    assert (job.calls.made, job.calls.repeated, job.calls.retried) == (ITEMS, 0, 0)
    assert [(row["ordinal"], row["state"], row["attempts"]) for row in items] == [
        (ordinal, "done", 1) for ordinal in range(ITEMS)
    ]
    assert set(rules) == set(range(ITEMS))


async def database_rows(database: PostgresDatabase, job_id: str) -> Counter[int]:
    """How many rules each item has."""
    async with database.begin() as tx:
        rows = await tx.fetch("SELECT ordinal FROM rule WHERE job_id = $1", job_id)
    return Counter(row["ordinal"] for row in rows)


@pytest.mark.invariant("I4")
@pytest.mark.parametrize("rolling", [False, True], ids=["one_run", "continued_as_new"])
async def test_a_paused_job_left_for_long_resumes_where_it_was(
    engine: Engine, redis_client: Redis, rolling: bool
) -> None:
    echo = engine.rolling if rolling else engine.echo
    echo.gate = asyncio.Event()
    async with engine.worker():
        job_id = await engine.create(
            items=ITEMS, concurrency=1, held_from=LAST_BEFORE_THE_PAUSE, rolling=rolling
        )

        async def half_way() -> bool:
            return len(echo.started) > LAST_BEFORE_THE_PAUSE

        await until(half_way, what="half of the items")
        first = await engine.handle(job_id).describe()
        await pause(engine, job_id)
        await chunks_have_heard(engine, job_id)
        echo.gate.set()
        paused = await engine.becomes(job_id, JobStatus.PAUSED)

        async def is_another_run() -> bool:
            await pause(engine, job_id)
            return (await engine.handle(job_id).describe()).run_id != first.run_id

        if rolling:
            await until(is_another_run, what="the paused job to continue as new")
    done_before = len(echo.started)

    # As after a long time: every worker was replaced, everything in Redis has expired.
    await redis_client.flushall()
    async with engine.worker():
        await engine.handle(job_id).query("progress")
        still_paused = await engine.job(job_id)
        started_meanwhile = len(echo.started) - done_before
        await resume(engine, job_id)
        job = await engine.ends(job_id)

    assert paused.counts.done == done_before
    assert (still_paused.status, still_paused.counts) == (JobStatus.PAUSED, paused.counts)
    assert started_meanwhile == 0
    assert echo.started == [(job_id, ordinal) for ordinal in range(ITEMS)]
    assert job.counts == Counts(total=ITEMS, done=ITEMS)
    await engine.check_numbers_agree(job_id)
