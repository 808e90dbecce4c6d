"""One suite for the rate limit: in Redis and within one worker."""

import asyncio
import itertools
import json
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Sequence
from datetime import timedelta
from typing import Protocol

import pytest
from redis.asyncio import Redis

from longhaul.adapters.redis.clock import Clock
from longhaul.adapters.redis.limiter import RedisRateLimiter
from longhaul.adapters.redis.local_limiter import (
    COUNT_EVERY,
    MANY_WORKERS,
    LocalRateLimiter,
    Quota,
    Turn,
)
from longhaul.core.errors import Unavailable
from longhaul.core.ports import Permit, RateLimiter
from longhaul.local import redis
from tests.conftest import Servers
from tests.fakes import HandClock
from tests.stubs.gate import Gate
from tests.waiting import until

# One a second, none at once; 100 tokens a second, 1,000 at once.
QUOTA = Quota(requests_per_minute=60, tokens_per_minute=6_000)


class Limiter(RateLimiter, Protocol):
    """A limiter whose book can be read, so that most tests need not wait."""

    async def reserve(self, tokens: int) -> Turn: ...
    async def stands(self, turn: Turn) -> bool: ...
    async def cancel(self, turn: Turn) -> None: ...
    async def settle(self, turn: Turn, tokens: int) -> None: ...


class Make(Protocol):
    def __call__(self, quota: Quota, clock: Clock | None = None) -> Limiter: ...


class Reached(RedisRateLimiter):
    """A limiter whose Redis is there."""

    async def reserve(self, tokens: int) -> Turn:
        turn = await super().reserve(tokens)
        assert turn is not None
        return turn


async def alone() -> int:
    return 1


async def always() -> bool:
    return True


async def acquired(limiter: RateLimiter, tokens: int = 1) -> Permit:
    """The permit of a caller that never gives up."""
    permit = await limiter.acquire(tokens, always)
    assert permit is not None
    return permit


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


@pytest.fixture(params=["local", "redis"])
def make(request: pytest.FixtureRequest, redis_client: Redis, name: str) -> Make:
    if request.param == "local":
        return lambda quota, clock=None: LocalRateLimiter(quota, workers=alone, clock=clock)
    return lambda quota, clock=None: Reached(
        redis_client, name=name, quota=quota, workers=alone, clock=clock
    )


@pytest.fixture
def limiter(make: Make) -> Limiter:
    return make(QUOTA)


async def starts(limiter: Limiter, *tokens: int) -> list[float]:
    """The starts of turns, in milliseconds after the first."""
    turns = [await limiter.reserve(n) for n in tokens]
    return [turn.start - turns[0].start for turn in turns]


async def drain(limiter: Limiter) -> None:
    """Use everything that is available at once."""
    await limiter.reserve(1)
    await limiter.close(timedelta(0))


def about(*milliseconds: float) -> object:
    # Times are kept to the microsecond.
    return pytest.approx(list(milliseconds), abs=0.01)


async def test_the_first_turn_is_at_once(limiter: Limiter) -> None:
    assert (await limiter.reserve(10)).wait == 0


async def test_turns_follow_each_other_at_the_rate(limiter: Limiter) -> None:
    assert await starts(limiter, 1, 1, 1, 1) == about(0, 1_000, 2_000, 3_000)


async def test_one_seconds_worth_of_requests_may_come_at_once(make: Make) -> None:
    limiter = make(Quota(requests_per_minute=600))
    turns = [await limiter.reserve(1) for _ in range(11)]

    assert [turn.wait for turn in turns[:10]] == [0] * 10
    # Not earlier; later if the ten took longer to be asked for.
    assert turns[10].start - turns[0].start >= 99.99


async def test_tokens_run_out_before_requests_do(make: Make) -> None:
    limiter = make(Quota(requests_per_minute=6_000, tokens_per_minute=600))

    assert await starts(limiter, 100, 50, 50, 50) == about(0, 5_000, 10_000, 15_000)


async def test_a_request_larger_than_the_bucket_goes_through_and_is_paid_for(
    limiter: Limiter,
) -> None:
    assert await starts(limiter, 2_500, 100) == about(0, 16_000)


async def test_those_behind_a_large_request_do_not_come_as_a_crowd(limiter: Limiter) -> None:
    assert await starts(limiter, 1_000, 1_000, 0, 0) == about(0, 10_000, 11_000, 12_000)


async def test_without_a_limit_of_tokens_only_requests_count(make: Make) -> None:
    limiter = make(Quota(requests_per_minute=60))

    assert await starts(limiter, 1_000_000, 1_000_000) == about(0, 1_000)


async def test_a_closing_voids_turns_that_were_given(limiter: Limiter) -> None:
    turn = await limiter.reserve(1)
    assert await limiter.stands(turn)

    await limiter.close(timedelta(seconds=5))

    assert not await limiter.stands(turn)


async def test_after_a_closing_turns_come_one_by_one_and_in_no_crowd(make: Make) -> None:
    limiter = make(Quota(requests_per_minute=600))
    await limiter.reserve(1)
    await limiter.close(timedelta(seconds=5))
    first = await limiter.reserve(1)

    assert first.wait == pytest.approx(5_000, abs=500)
    assert await starts(limiter, 1, 1, 1) == about(0, 100, 200)


async def test_a_shorter_closing_does_not_end_a_longer_one(limiter: Limiter) -> None:
    await limiter.close(timedelta(seconds=60))
    await limiter.close(timedelta(seconds=1))

    assert (await limiter.reserve(1)).wait > 50_000


async def test_the_last_turn_given_back_is_as_if_it_had_never_been_given(
    limiter: Limiter,
) -> None:
    await limiter.reserve(1_000)
    turn = await limiter.reserve(1_000)
    await limiter.cancel(turn)
    following = await limiter.reserve(1)

    assert following.start - turn.start == pytest.approx(-9_000, abs=0.01)


async def test_a_turn_given_back_from_the_middle_helps_those_who_come(limiter: Limiter) -> None:
    await limiter.reserve(1)
    second, third = await limiter.reserve(1), await limiter.reserve(1)
    await limiter.cancel(second)

    assert (await limiter.reserve(1)).start == third.start


async def test_a_turn_from_before_a_closing_cannot_be_given_back(limiter: Limiter) -> None:
    turn = await limiter.reserve(1_000)
    await limiter.close(timedelta(seconds=5))
    first = await limiter.reserve(1_000)
    await limiter.cancel(turn)
    await limiter.settle(turn, 0)

    assert (await limiter.reserve(1_000)).start - first.start == pytest.approx(10_000, abs=0.01)


async def test_tokens_given_back_can_be_used_at_once(make: Make) -> None:
    limiter = make(Quota(requests_per_minute=60_000, tokens_per_minute=6_000))
    turn = await limiter.reserve(1_000)
    await limiter.settle(turn, 100)

    assert (await limiter.reserve(900)).wait == 0
    assert (await limiter.reserve(100)).wait == pytest.approx(1_000, abs=500)


async def test_tokens_given_back_let_nobody_overtake(make: Make) -> None:
    limiter = make(Quota(requests_per_minute=600, tokens_per_minute=6_000))
    first, second = await limiter.reserve(1_000), await limiter.reserve(1_000)
    await limiter.settle(first, 0)

    assert (await limiter.reserve(0)).start >= second.start


async def test_tokens_used_beyond_the_estimate_are_waited_for(limiter: Limiter) -> None:
    turn = await limiter.reserve(1_000)
    await limiter.settle(turn, 2_000)
    following = await limiter.reserve(100)

    assert following.start - turn.start == pytest.approx(11_000, abs=0.01)


async def test_waiting_for_a_turn_takes_as_long_as_the_book_says(make: Make) -> None:
    clock = HandClock()
    limiter = make(Quota(requests_per_minute=2), clock)
    await drain(limiter)
    await acquired(limiter)
    began = clock.now()
    await _passes(clock, acquired(limiter))

    # Half a minute, of which only a moment has passed for Redis' clock.
    assert clock.now() - began >= 15


async def test_those_who_wait_are_served_in_their_order(make: Make) -> None:
    limiter = make(Quota(requests_per_minute=240))
    await drain(limiter)
    served: list[int] = []

    async def wait(number: int) -> None:
        await acquired(limiter)
        served.append(number)

    await asyncio.gather(*(wait(number) for number in range(4)))

    assert served == [0, 1, 2, 3]


async def test_of_a_long_line_only_the_head_takes_a_turn(limiter: Limiter) -> None:
    first = await limiter.reserve(1)
    line = [asyncio.create_task(acquired(limiter)) for _ in range(5)]
    await until_taken(limiter, first, 1)
    await asyncio.gather(*(limiter.stands(first) for _ in range(5)))
    following = await limiter.reserve(1)

    assert following.start - first.start == pytest.approx(2_000, abs=0.01)
    for waiting in line:
        waiting.cancel()
    await asyncio.wait(line)


@pytest.mark.parametrize(
    ("quota", "ahead"),
    [
        (Quota(requests_per_minute=60), 1),
        (Quota(requests_per_minute=2_400), 10),
        (Quota(requests_per_minute=1_000_000), 32),
        (Quota(requests_per_minute=1_000_000, tokens_per_minute=100_000), 1),
    ],
)
def test_the_head_of_the_line_is_a_moment_of_turns_long(quota: Quota, ahead: int) -> None:
    assert quota.ahead == ahead


async def test_whoever_changes_his_mind_at_the_head_of_the_line_takes_no_turn(
    limiter: Limiter,
) -> None:
    async def no() -> bool:
        return False

    assert await limiter.acquire(1_000, no) is None
    assert (await limiter.reserve(1_000)).wait == 0


async def test_who_must_line_up_again_is_asked_again(make: Make) -> None:
    answers = [True, False]

    async def once() -> bool:
        return answers.pop(0)

    limiter = make(Quota(requests_per_minute=75))
    await drain(limiter)
    first = await limiter.reserve(1)
    waiting = asyncio.create_task(limiter.acquire(1, once))
    await until_taken(limiter, first, 1, step=800)
    await limiter.close(timedelta(seconds=60))

    assert await waiting is None


async def test_those_who_wait_when_it_closes_line_up_again(make: Make) -> None:
    clock = HandClock()
    limiter = make(Quota(requests_per_minute=75), clock)
    await drain(limiter)
    waiting = await one_waits(limiter, step=800)
    await limiter.close(timedelta(seconds=30))
    closed_at = clock.now()
    await _passes(clock, waiting)

    assert clock.now() - closed_at >= 15


async def test_a_waiter_that_is_cancelled_gives_its_turn_back(limiter: Limiter) -> None:
    waiting = await one_waits(limiter)
    waiting.cancel()
    await asyncio.wait([waiting])
    second, third = await limiter.reserve(1), await limiter.reserve(1)

    assert third.start - second.start == pytest.approx(1_000, abs=0.01)
    assert second.wait <= 1_000


async def test_a_waiter_that_is_cancelled_at_any_moment_takes_nothing_away(
    limiter: Limiter,
) -> None:
    first = await limiter.reserve(1_000)
    for moments in range(25):
        waiting = asyncio.create_task(acquired(limiter, 1_000))
        for _ in range(moments):
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
    following = await limiter.reserve(1)

    assert following.start - first.start == pytest.approx(1_000, abs=0.01)


async def one_waits(limiter: Limiter, *, step: float = 1_000) -> asyncio.Task[Permit]:
    """Take the first turn, and let another one wait for the second."""
    first = await limiter.reserve(1)
    waiting = asyncio.create_task(acquired(limiter))
    await until_taken(limiter, first, 1, step=step)
    return waiting


async def until_taken(limiter: Limiter, first: Turn, count: int, *, step: float = 1_000) -> None:
    """Wait until a number of turns have been taken after the first."""

    async def taken() -> bool:
        probe = await limiter.reserve(0)
        await limiter.cancel(probe)
        return probe.start - first.start > (count + 0.5) * step

    await until(taken, what="others to take their turns")


async def test_a_permit_settles_the_turn_it_stands_for(limiter: Limiter) -> None:
    permit = await acquired(limiter, 1_000)
    await permit.settle(0)
    following = await limiter.reserve(1_000)

    # Only the request itself is still paid for.
    assert following.wait == pytest.approx(1_000, abs=500)


# --- Shared by everyone: Redis only ----------------------------------------------------------


async def test_two_connections_are_served_in_the_order_in_which_they_asked(
    redis_client: Redis, other_redis_client: Redis, name: str
) -> None:
    one, other = (
        RedisRateLimiter(client, name=name, quota=QUOTA, workers=alone)
        for client in (redis_client, other_redis_client)
    )
    turns = [await limiter.reserve(1) for limiter in (one, other, other, one, other, one)]

    assert [turn.start - turns[0].start for turn in turns if turn and turns[0]] == about(
        0, 1_000, 2_000, 3_000, 4_000, 5_000
    )


OTHER_PROCESS = """
import asyncio, json, sys
from redis.asyncio import Redis
from longhaul.adapters.redis.clock import Clock
from longhaul.adapters.redis.limiter import RedisRateLimiter
from longhaul.adapters.redis.local_limiter import Quota

async def main(url, name):
    redis = Redis.from_url(url, decode_responses=True)
    quota = Quota(requests_per_minute=60, tokens_per_minute=6_000)
    limiter = RedisRateLimiter(redis, name=name, quota=quota, workers=None)
    print("ready", flush=True)
    sys.stdin.readline()
    turns = await asyncio.gather(*(limiter.reserve(1) for _ in range(50)))
    print(json.dumps([turn.start for turn in turns]), flush=True)
    await redis.aclose()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_two_processes_share_one_line(
    servers: Servers, redis_client: Redis, name: str
) -> None:
    limiter = RedisRateLimiter(redis_client, name=name, quota=QUOTA, workers=alone)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", OTHER_PROCESS, redis.url(servers.redis_port), name),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    await process.stdout.readline()
    process.stdin.write(b"\n")
    ours = await asyncio.gather(*(limiter.reserve(1) for _ in range(50)))
    theirs = json.loads(await process.stdout.readline())
    await process.communicate()

    together = sorted([turn.start for turn in ours if turn] + theirs)
    steps = [after - before for before, after in itertools.pairwise(together)]
    assert steps == about(*[1_000] * 99)


async def test_the_book_is_forgotten_when_nobody_uses_it(redis_client: Redis, name: str) -> None:
    limiter = RedisRateLimiter(redis_client, name=name, quota=QUOTA, workers=alone)
    await limiter.close(timedelta(seconds=30))

    assert 150_000 - 1_000 < await redis_client.pttl(f"limit:{name}") <= 151_000


async def test_settling_after_the_book_was_lost_leaves_nothing_behind(
    redis_client: Redis, name: str
) -> None:
    limiter = RedisRateLimiter(redis_client, name=name, quota=QUOTA, workers=alone)
    turn = await limiter.reserve(10)
    assert turn is not None
    await redis_client.delete(f"limit:{name}")
    await limiter.settle(turn, 5)
    await limiter.cancel(turn)

    assert not await redis_client.exists(f"limit:{name}")


# --- Without Redis ---------------------------------------------------------------------------


@pytest.fixture
async def gate(servers: Servers) -> AsyncIterator[Gate]:
    async with Gate.before(servers.redis_port) as gate:
        yield gate


@pytest.fixture
async def gated_client(gate: Gate) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis.url(gate.port), decode_responses=True)
    yield client
    await client.aclose()


async def count_permits(
    limiters: Sequence[RateLimiter], clock: HandClock, seconds: int
) -> list[list[float]]:
    """When each limiter gave permits during a number of seconds."""
    given: list[list[float]] = [[] for _ in limiters]
    began = clock.now()

    async def use(limiter: RateLimiter, times: list[float]) -> None:
        while True:
            await acquired(limiter)
            times.append(clock.now() - began)

    using = [
        asyncio.create_task(use(limiter, times))
        for limiter, times in zip(limiters, given, strict=True)
    ]
    for _ in range(seconds):
        await clock.advance(1)
    for task in using:
        task.cancel()
    await asyncio.wait(using)
    return given


async def test_the_shares_of_all_workers_stay_within_the_quota() -> None:
    clock = HandClock()

    async def workers() -> int:
        return 4

    shares = [LocalRateLimiter(QUOTA, workers=workers, clock=clock) for _ in range(4)]
    for share in shares:
        await share.join()
    given = await count_permits(shares, clock, 160)

    assert all(given)
    for times in given:
        steps = [after - before for before, after in itertools.pairwise(times)]
        assert min(steps) >= 4 - 0.01


async def test_a_worker_that_loses_redis_lets_the_others_count_it_first(
    gate: Gate, gated_client: Redis, name: str
) -> None:
    clock = HandClock()
    limiter = RedisRateLimiter(gated_client, name=name, quota=QUOTA, workers=alone, clock=clock)
    await acquired(limiter)
    await gate.shut()
    lost_at = clock.now()
    waiting = asyncio.create_task(acquired(limiter))
    await _passes(clock, waiting)

    assert clock.now() - lost_at >= COUNT_EVERY.total_seconds()


async def test_redis_is_used_again_once_it_is_back(
    gate: Gate, gated_client: Redis, redis_client: Redis, name: str
) -> None:
    clock, hardly_any = HandClock(), Quota(requests_per_minute=0.0001)
    limiter = RedisRateLimiter(
        gated_client, name=name, quota=hardly_any, workers=alone, clock=clock
    )
    await gate.shut()
    assert await limiter.reserve(1) is None
    waiting = asyncio.create_task(acquired(limiter))
    await gate.open()
    await _passes(clock, waiting)

    assert await redis_client.exists(f"limit:{name}")


async def test_a_worker_that_loses_redis_again_lets_the_others_count_it_again(
    gate: Gate, gated_client: Redis, name: str
) -> None:
    clock = HandClock()
    limiter = RedisRateLimiter(gated_client, name=name, quota=QUOTA, workers=alone, clock=clock)
    for _ in range(2):
        await gate.shut()
        lost_at = clock.now()
        await _passes(clock, asyncio.create_task(acquired(limiter)))
        assert clock.now() - lost_at >= COUNT_EVERY.total_seconds()
        await gate.open()

        async def back() -> bool:
            return await limiter.reserve(0) is not None

        await until(back, what="Redis to be back")


async def test_a_closing_holds_for_a_worker_that_loses_redis(
    gate: Gate, gated_client: Redis, name: str
) -> None:
    clock = HandClock()
    limiter = RedisRateLimiter(gated_client, name=name, quota=QUOTA, workers=alone, clock=clock)
    await limiter.close(timedelta(seconds=20))
    closed_at = clock.now()
    await gate.shut()
    await _passes(clock, asyncio.create_task(acquired(limiter)))

    assert clock.now() - closed_at >= 20


async def test_a_worker_alone_asks_for_the_number_of_workers_only_now_and_then() -> None:
    clock, asked = HandClock(), 0

    async def workers() -> int:
        nonlocal asked
        asked += 1
        return 1

    limiter = LocalRateLimiter(QUOTA, workers=workers, clock=clock)
    await count_permits([limiter], clock, 21)

    assert asked == 3


@pytest.mark.parametrize("error", [Unavailable("away"), TimeoutError()], ids=type)
async def test_a_worker_that_cannot_count_the_others_goes_on_very_slowly(
    error: Exception,
) -> None:
    async def workers() -> int:
        raise error

    limiter = LocalRateLimiter(QUOTA, workers=workers)

    assert await starts(limiter, 1, 1) == about(0, 1_000 * MANY_WORKERS)


async def test_the_last_known_number_of_workers_counts_while_there_is_no_newer_one() -> None:
    clock = HandClock()
    answers: list[int | Exception] = [2, Unavailable("away")]

    async def workers() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    limiter = LocalRateLimiter(QUOTA, workers=workers, clock=clock)
    await limiter.reserve(1)
    await clock.advance(COUNT_EVERY.total_seconds())

    assert await starts(limiter, 1, 1) == about(0, 2_000)


async def _passes(clock: HandClock, waiting: Awaitable[object]) -> None:
    """Let time pass until a task is done."""
    task = asyncio.ensure_future(waiting)

    async def done() -> bool:
        await clock.advance(0.5)
        return task.done()

    await until(done, what="a permit")
    await task
