"""Jobs in Redis: only newer replaces older, everything expires, nothing is needed."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from redis.asyncio import Redis

from longhaul.adapters.redis import board, flags, logs
from longhaul.adapters.redis.board import RedisJobBoard
from longhaul.adapters.redis.connection import open_redis
from longhaul.adapters.redis.flags import RedisFlags
from longhaul.adapters.redis.logs import MAX_LINES, RedisLogTail
from longhaul.adapters.redis.traces import RedisTraces
from longhaul.core.controls import Flag
from longhaul.core.jobs import (
    CallTotals,
    Counts,
    JobFault,
    JobOptions,
    JobStatus,
    Outcome,
    Pause,
    RunMode,
)
from longhaul.core.ports import Live
from tests.conftest import Servers
from tests.factories import NOON, make_job
from tests.stubs.gate import Gate
from tests.waiting import until

BUSY = Live(in_flight=4, rate_per_second=2.5)


@pytest.fixture
def job_id() -> str:
    return str(uuid.uuid4())


@pytest.fixture
async def gate(servers: Servers) -> AsyncIterator[Gate]:
    """A connection to Redis that can be closed."""
    async with Gate.before(servers.redis_port) as opened:
        yield opened


@pytest.fixture
async def far_redis(gate: Gate) -> AsyncIterator["Redis"]:
    async with open_redis(f"redis://127.0.0.1:{gate.port}/0") as client:
        yield client


# The board.


async def test_a_row_comes_back_as_it_was_posted(redis_client: Redis) -> None:
    shown = RedisJobBoard(redis_client, worker="w-1")
    job = make_job(
        status=JobStatus.COMPLETED,
        outcome=Outcome.PARTIAL,
        pause=Pause(mode=RunMode.NOW, by="u-2", reason="lunch", until=NOON),
        parameters={"cycle_id": 58, "nested": {"list": [1, None, "ü"]}},
        options=JobOptions(concurrency=9, stop_after_failure_ratio=0.5, deadline_seconds=1.5),
        counts=Counts(total=7, done=4, failed=2, skipped=1),
        calls=CallTotals(made=3, repeated=1, input_tokens=5, cost_usd=Decimal("0.000123")),
        fault=JobFault(code="items_failed", sentence="2 of 7 items failed.", retryable=True),
        completed_at=datetime(2026, 1, 2, 3, 4, 5, 678_901, UTC),
    )

    await shown.post(job)

    answer = await shown.read(job.id)
    assert (answer.known, answer.job, answer.live) == (True, job, ())


async def test_only_a_newer_version_replaces_a_row(redis_client: Redis) -> None:
    shown = RedisJobBoard(redis_client, worker="w-1")
    # Versions are numbers: as texts, 9 would be newer than 10.
    newer = make_job(version=10, description="newer")

    await shown.post(newer)
    await shown.post(replace(newer, version=9, description="older"))
    await shown.post(replace(newer, version=10, description="as new"))

    assert (await shown.read(newer.id)).job == newer


@pytest.mark.invariant("I5")
async def test_however_posts_are_ordered_the_newest_stays(redis_client: Redis) -> None:
    boards = [RedisJobBoard(redis_client, worker=f"w-{number}") for number in range(4)]
    job = make_job()
    versions = [17, 3, 99, 42, 8, 100, 56, 1, 77, 20]

    await asyncio.gather(
        *(boards[v % 4].post(replace(job, version=v, description=str(v))) for v in versions)
    )

    answer = (await boards[0].read(job.id)).job
    assert answer is not None
    assert (answer.version, answer.description) == (100, "100")


async def test_an_unknown_job_is_known_to_be_unknown(redis_client: Redis, job_id: str) -> None:
    shown = RedisJobBoard(redis_client, worker="w-1")

    answer = await shown.read(job_id)

    assert (answer.known, answer.job, answer.live) == (True, None, ())


async def test_workers_show_what_they_do_beside_each_other(redis_client: Redis) -> None:
    one, other = (RedisJobBoard(redis_client, worker=name) for name in ("w-1", "w-2"))
    job = make_job()
    waiting = Live(in_flight=1, rate_per_second=0.0, waiting_for="provider")

    await one.post(job)
    await one.post_live(job.id, BUSY)
    await one.post_live(job.id, replace(BUSY, in_flight=5))
    await other.post_live(job.id, waiting)

    answer = await other.read(job.id)
    assert answer.job == job
    assert set(answer.live) == {replace(BUSY, in_flight=5), waiting}


async def test_a_forgotten_job_is_gone_with_all_that_was_shown_of_it(redis_client: Redis) -> None:
    shown = RedisJobBoard(redis_client, worker="w-1")
    job = make_job()
    await shown.post(job)
    await shown.post_live(job.id, BUSY)

    await RedisTraces(redis_client).forget([job.id])

    assert (await shown.read(job.id)).live == ()
    assert (await shown.read(job.id)).job is None


async def test_many_jobs_are_read_in_the_order_asked_for(redis_client: Redis, job_id: str) -> None:
    shown = RedisJobBoard(redis_client, worker="w-1")
    first, second = make_job(), make_job()
    await shown.post(first)
    await shown.post_live(second.id, BUSY)

    answers = await shown.read_live([second.id, job_id, first.id])

    assert [answer.known for answer in answers] == [True] * 3
    assert [answer.job for answer in answers] == [None, None, first]
    assert [answer.live for answer in answers] == [(BUSY,), (), ()]
    assert await shown.read_live([]) == []


@pytest.mark.parametrize("row_first", [True, False])
async def test_live_detail_does_not_keep_a_row_alive(redis_client: Redis, row_first: bool) -> None:
    shown = RedisJobBoard(redis_client, worker="w-1")
    job = make_job()
    key = f"job:meta:{job.id}"
    if row_first:
        await shown.post(job)
        await redis_client.pexpire(key, 1_500)

    await shown.post_live(job.id, BUSY)

    left = await redis_client.pttl(key)
    longest = 1_500 if row_first else board.TTL.total_seconds() * 1_000
    assert 0 < left <= longest


async def test_what_another_release_has_written_is_as_if_it_were_not_there(
    redis_client: Redis,
) -> None:
    shown = RedisJobBoard(redis_client, worker="w-1")
    job = make_job()
    await shown.post(job)
    await shown.post_live(job.id, BUSY)
    now = round(datetime.now(UTC).timestamp() * 1000)
    strange: dict[Any, Any] = {
        "job": '{"id": 7}',
        "live:w-2": f'{now}:{{"in_flight": "many"}}',
        "live:w-3": "soon:{}",
    }
    await redis_client.hset(f"job:meta:{job.id}", mapping=strange)

    answer = await shown.read(job.id)

    assert (answer.known, answer.job, answer.live) == (True, None, (BUSY,))


# The flags.


@pytest.mark.parametrize("text", ["1:2:sleep", "1:2", "a:b:drain", "nonsense"])
async def test_a_flag_that_cannot_be_read_is_none(
    redis_client: Redis, job_id: str, text: str
) -> None:
    await redis_client.set(f"job:pause:{job_id}", text)

    assert await RedisFlags(redis_client).read([job_id]) == [None]


async def test_a_flag_comes_back_as_it_was_raised(redis_client: Redis, job_id: str) -> None:
    shown = RedisFlags(redis_client)
    flag = Flag(attempt=1, generation=3, mode=RunMode.DRAIN)

    await shown.raise_flag(job_id, flag)

    assert await shown.read([str(uuid.uuid4()), job_id]) == [None, flag]
    assert await redis_client.get(f"job:pause:{job_id}") == "1:3:drain"


@pytest.mark.parametrize(
    ("first", "then", "stays"),
    [
        ((1, 2), (1, 1), (1, 2)),
        ((1, 9), (1, 10), (1, 10)),
        ((2, 1), (1, 7), (2, 1)),
        ((9, 5), (10, 1), (10, 1)),
    ],
)
async def test_the_newest_flag_stays_whatever_comes_late(
    redis_client: Redis,
    job_id: str,
    first: tuple[int, int],
    then: tuple[int, int],
    stays: tuple[int, int],
) -> None:
    shown = RedisFlags(redis_client)
    for attempt, generation in (first, then):
        await shown.raise_flag(
            job_id, Flag(attempt=attempt, generation=generation, mode=RunMode.NOW)
        )

    (flag,) = await shown.read([job_id])

    assert flag is not None
    assert (flag.attempt, flag.generation) == stays


async def test_the_same_generation_raised_again_changes_nothing(
    redis_client: Redis, job_id: str
) -> None:
    shown = RedisFlags(redis_client)
    flag = Flag(attempt=1, generation=2, mode=RunMode.NOW)
    await shown.raise_flag(job_id, flag)

    await shown.raise_flag(job_id, replace(flag, mode=RunMode.RUN))

    assert await shown.read([job_id]) == [flag]


# The log tail.


async def written(tail: RedisLogTail, job_id: str, number: int) -> None:
    async def there() -> bool:
        lines = await tail.read(job_id, 100)
        return number in {line["fields"]["number"] for line in lines}

    await until(there, what=f"line {number}")


async def test_the_newest_lines_come_back_oldest_first(redis_client: Redis, job_id: str) -> None:
    tail = RedisLogTail(redis_client)
    for number in range(5):
        tail.write(job_id, "warning", "asked_again", item_key="line-1", number=number)
    await written(tail, job_id, 4)

    lines = await tail.read(job_id, 3)

    assert [line["fields"] for line in lines] == [{"number": 2}, {"number": 3}, {"number": 4}]
    assert {(line["level"], line["event"], line["item_key"]) for line in lines} == {
        ("warning", "asked_again", "line-1")
    }
    assert datetime.now(UTC) - datetime.fromisoformat(lines[0]["time"]) < timedelta(minutes=1)


async def test_the_tail_of_a_job_without_lines_is_empty(redis_client: Redis, job_id: str) -> None:
    assert await RedisLogTail(redis_client).read(job_id, 10) == []


async def test_a_tail_is_capped(redis_client: Redis, job_id: str) -> None:
    tail = RedisLogTail(redis_client)

    for start in range(0, MAX_LINES + 500, 500):
        for number in range(start, start + 500):
            tail.write(job_id, "info", "step", number=number)
        await written(tail, job_id, start + 499)

    kept = await redis_client.xlen(f"job:logs:{job_id}")
    # Redis cuts whole nodes of a hundred lines.
    assert MAX_LINES <= kept <= MAX_LINES + 100


async def test_many_lines_at_once_leave_connections_for_the_flags(
    redis_client: Redis, job_id: str
) -> None:
    tail, shown = RedisLogTail(redis_client), RedisFlags(redis_client)
    flag = Flag(attempt=1, generation=1, mode=RunMode.NOW)
    await shown.raise_flag(job_id, flag)

    for number in range(MAX_LINES):
        tail.write(job_id, "info", "step", number=number)
    seen = await shown.read([job_id])
    await written(tail, job_id, MAX_LINES - 1)

    assert seen == [flag]
    assert len(await tail.read(job_id, MAX_LINES)) == MAX_LINES


async def test_a_field_that_is_no_json_does_not_fail_who_writes_it(
    redis_client: Redis, job_id: str
) -> None:
    tail = RedisLogTail(redis_client)

    tail.write(job_id, "info", "step", number=1, odd=object())

    await written(tail, job_id, 1)


# All of it.


async def test_everything_runs_out(redis_client: Redis) -> None:
    job = make_job()
    await RedisJobBoard(redis_client, worker="w-1").post(job)
    await RedisFlags(redis_client).raise_flag(
        job.id, Flag(attempt=1, generation=1, mode=RunMode.NOW)
    )
    tail = RedisLogTail(redis_client)
    tail.write(job.id, "info", "step", number=1)
    await written(tail, job.id, 1)

    left = {kind: await redis_client.pttl(f"job:{kind}:{job.id}") for kind in TTLS}
    for kind, longest in TTLS.items():
        assert 0 < left[kind] <= longest.total_seconds() * 1_000


TTLS = {"meta": board.TTL, "pause": flags.TTL, "logs": logs.TTL}


@pytest.mark.invariant("I5")
async def test_without_redis_nothing_is_shown_and_nothing_fails(
    gate: Gate, far_redis: Redis
) -> None:
    shown, raised = RedisJobBoard(far_redis, worker="w-1"), RedisFlags(far_redis)
    tail = RedisLogTail(far_redis)
    job = make_job()
    flag = Flag(attempt=1, generation=1, mode=RunMode.NOW)
    await shown.post(job)
    await gate.shut()

    await shown.post(replace(job, version=2))
    await shown.post_live(job.id, BUSY)
    await RedisTraces(far_redis).forget([job.id])
    await raised.raise_flag(job.id, flag)
    tail.write(job.id, "info", "step")

    assert not (await shown.read(job.id)).known
    assert [answer.known for answer in await shown.read_live([job.id, "other"])] == [False, False]
    assert await raised.read([job.id, "other"]) == [None, None]
    assert await tail.read(job.id, 10) == []


@pytest.mark.invariant("I5")
async def test_when_redis_is_back_things_are_shown_again(gate: Gate, far_redis: Redis) -> None:
    shown = RedisJobBoard(far_redis, worker="w-1")
    job = make_job()
    await gate.shut()
    await shown.post(job)
    await gate.open()

    async def is_shown() -> bool:
        await shown.post(job)
        return (await shown.read(job.id)).job == job

    await until(is_shown, what="the board to be asked again")
