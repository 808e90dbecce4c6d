"""One suite for the breaker: in Redis and within one worker."""

import asyncio
import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any, Protocol

import pytest
from redis.asyncio import Redis

from longhaul.adapters.redis.breaker import RedisBreaker, RedisTrial
from longhaul.adapters.redis.local_breaker import ASK_AGAIN, BreakerRules, LocalBreaker
from longhaul.core.ports import Breaker, Trial
from longhaul.local import redis
from tests.ports import new_port

# Longer than any slow test.
LONG = 60_000.0
# What a test waits for.
SHORT = 50.0
RULES = BreakerRules(failures=3, window=LONG, first_open=LONG, longest_open=10 * LONG, probe=LONG)
SOON_OPEN = replace(RULES, first_open=SHORT)


class LookedAt(Breaker, Protocol):
    """A breaker that can be asked without waiting."""

    async def try_enter(self) -> Trial | float: ...


class Make(Protocol):
    def __call__(self, rules: BreakerRules) -> LookedAt: ...


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


@pytest.fixture(params=["local", "redis"])
def make(request: pytest.FixtureRequest, redis_client: Redis, name: str) -> Make:
    if request.param == "local":
        return LocalBreaker
    return lambda rules: RedisBreaker(redis_client, name=name, rules=rules, fresh=timedelta(0))


async def outlast_short() -> None:
    """Let time pass: Redis has its own clock, and asking would be the probe."""
    await asyncio.sleep(2 * SHORT / 1_000)


async def allowed(breaker: LookedAt) -> Trial:
    trial = await breaker.try_enter()
    assert not isinstance(trial, float)
    return trial


async def wait_of(breaker: LookedAt) -> float:
    wait = await breaker.try_enter()
    assert isinstance(wait, float)
    return wait


async def fail(breaker: LookedAt, times: int) -> None:
    for trial in [await allowed(breaker) for _ in range(times)]:
        await trial.failed()


async def test_calls_go_through_while_all_is_well(make: Make) -> None:
    breaker = make(RULES)
    for _ in range(10):
        await (await allowed(breaker)).succeeded()

    assert await allowed(breaker)


async def test_failures_in_a_row_open_it(make: Make) -> None:
    breaker = make(RULES)
    await fail(breaker, 2)
    await allowed(breaker)
    await fail(breaker, 1)

    assert LONG / 2_000 < await wait_of(breaker) <= LONG / 1_000


async def test_a_success_between_them_starts_the_count_again(make: Make) -> None:
    breaker = make(RULES)
    await fail(breaker, 2)
    await (await allowed(breaker)).succeeded()
    await fail(breaker, 2)

    assert await allowed(breaker)


async def test_of_many_calls_under_way_more_must_fail(make: Make) -> None:
    breaker = make(RULES)
    trials = [await allowed(breaker) for _ in range(20)]
    assert all([await trial.stands() for trial in trials])
    for trial in trials[:6]:
        await trial.failed()
    assert await allowed(breaker)
    await trials[6].failed()

    assert isinstance(await breaker.try_enter(), float)


async def test_calls_that_ended_are_no_longer_under_way(make: Make) -> None:
    breaker = make(RULES)
    trials = [await allowed(breaker) for _ in range(20)]
    assert all([await trial.stands() for trial in trials])
    for trial in trials[:10]:
        await trial.abandoned()
    for trial in trials[10:]:
        await trial.succeeded()
    await fail(breaker, 3)

    assert isinstance(await breaker.try_enter(), float)


async def test_failures_far_apart_do_not_open_it(make: Make) -> None:
    breaker = make(replace(RULES, window=SHORT))
    await fail(breaker, 2)
    await outlast_short()
    await fail(breaker, 2)

    assert await allowed(breaker)


async def test_of_all_who_wait_one_is_let_through_as_a_probe(make: Make) -> None:
    breaker = make(SOON_OPEN)
    await fail(breaker, 3)
    await outlast_short()
    answers = await asyncio.gather(*(breaker.try_enter() for _ in range(5)))

    assert len([answer for answer in answers if not isinstance(answer, float)]) == 1


async def test_a_probe_that_succeeds_lets_everyone_through(make: Make) -> None:
    breaker = make(SOON_OPEN)
    await fail(breaker, 3)
    probe = await breaker.enter()
    others = [asyncio.create_task(breaker.enter()) for _ in range(5)]
    assert not (await asyncio.wait(others, timeout=0.05))[0]
    await probe.succeeded()

    assert await asyncio.gather(*others)
    await fail(breaker, 2)
    assert await allowed(breaker)


async def test_a_crowd_that_waited_comes_through_together(make: Make) -> None:
    breaker = make(SOON_OPEN)
    await fail(breaker, 3)
    probe = await breaker.enter()
    crowd = [asyncio.create_task(breaker.enter()) for _ in range(400)]
    assert not (await asyncio.wait(crowd, timeout=0.05))[0]
    await probe.succeeded()

    async with asyncio.timeout(80):  # one after the other it would take 100 seconds
        assert len(await asyncio.gather(*crowd)) == 400


async def test_a_probe_that_fails_keeps_it_open_for_twice_as_long(make: Make) -> None:
    rules = replace(RULES, first_open=1_000)
    breaker = make(rules)
    await fail(breaker, 3)
    await (await breaker.enter()).failed()

    assert 1 < await wait_of(breaker) <= 2


async def test_it_is_never_open_for_longer_than_the_rules_say(make: Make) -> None:
    breaker = make(replace(RULES, first_open=20, longest_open=30))
    await fail(breaker, 3)
    for _ in range(4):
        await (await breaker.enter()).failed()

    assert await wait_of(breaker) <= 0.03


async def test_a_probe_that_is_abandoned_makes_room_for_the_next(make: Make) -> None:
    breaker = make(SOON_OPEN)
    await fail(breaker, 3)
    probe = await breaker.enter()
    assert isinstance(await breaker.try_enter(), float)
    await probe.abandoned()

    assert await allowed(breaker)


async def test_a_probe_that_is_never_heard_of_again_does_not_block_for_ever(make: Make) -> None:
    breaker = make(replace(SOON_OPEN, probe=SHORT))
    await fail(breaker, 3)
    lost = await breaker.enter()
    following = await breaker.enter()

    assert not await lost.stands()
    assert await following.stands()


async def test_a_slow_probe_still_closes_it_after_the_next_has_begun(make: Make) -> None:
    breaker = make(replace(SOON_OPEN, probe=SHORT))
    await fail(breaker, 3)
    slow = await breaker.enter()
    await breaker.enter()
    await slow.succeeded()

    assert await allowed(breaker)
    assert await allowed(breaker)


async def test_calls_that_began_before_it_opened_can_neither_keep_it_open_nor_close_it(
    make: Make,
) -> None:
    breaker = make(RULES)
    earlier = [await allowed(breaker) for _ in range(3)]
    await fail(breaker, 3)
    wait = await wait_of(breaker)
    await earlier[0].failed()
    await earlier[1].succeeded()
    await earlier[2].abandoned()

    assert await wait_of(breaker) <= wait


async def test_calls_that_began_before_it_closed_again_do_not_count(make: Make) -> None:
    breaker = make(SOON_OPEN)
    earlier = [await allowed(breaker) for _ in range(3)]
    await fail(breaker, 3)
    await (await breaker.enter()).succeeded()
    for trial in earlier:
        await trial.failed()

    assert await allowed(breaker)


async def test_a_call_that_waited_too_long_may_no_longer_be_tried(make: Make) -> None:
    breaker = make(SOON_OPEN)
    earlier = await allowed(breaker)
    assert await earlier.stands()
    await fail(breaker, 3)
    assert not await earlier.stands()
    probe = await breaker.enter()
    assert await probe.stands()
    await probe.succeeded()

    assert not await earlier.stands()
    assert await (await allowed(breaker)).stands()


async def test_a_waiter_that_is_cancelled_lets_the_next_one_ask(make: Make) -> None:
    breaker = make(SOON_OPEN)
    await fail(breaker, 3)
    first, second = (asyncio.create_task(breaker.enter()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()

    assert await second


# --- Shared by everyone: Redis only ----------------------------------------------------------


async def test_workers_share_one_breaker(
    redis_client: Redis, other_redis_client: Redis, name: str
) -> None:
    one, other = (
        RedisBreaker(client, name=name, rules=RULES)
        for client in (redis_client, other_redis_client)
    )
    await fail(one, 2)
    await fail(other, 1)

    assert isinstance(await one.try_enter(), float)
    assert isinstance(await other.try_enter(), float)


async def test_a_crowd_does_not_make_redis_seem_away(redis_client: Redis, name: str) -> None:
    breaker = RedisBreaker(redis_client, name=name, rules=RULES)
    crowd = await asyncio.gather(*(breaker.try_enter() for _ in range(300)))

    assert all(isinstance(trial, RedisTrial) for trial in crowd)


async def test_a_crowd_that_waits_asks_no_more_than_one_would(
    redis_client: Redis, name: str
) -> None:
    class Counted(RedisBreaker):
        asked = 0

        async def ask(self, operation: str, began: str = "0") -> Any:
            self.asked += 1
            return await super().ask(operation, began)

    breaker = Counted(redis_client, name=name, rules=RULES)
    await fail(breaker, 3)
    for _ in range(2):
        breaker.asked = 0
        crowd = [asyncio.create_task(breaker.enter()) for _ in range(50)]
        assert not (await asyncio.wait(crowd, timeout=2.5 * ASK_AGAIN))[0]
        for waiting in crowd:
            waiting.cancel()
        await asyncio.wait(crowd)

        assert breaker.asked <= 50 + 3


async def test_a_call_that_has_just_entered_does_not_ask_again(
    redis_client: Redis, name: str
) -> None:
    breaker = RedisBreaker(redis_client, name=name, rules=RULES)
    trial = await allowed(breaker)
    await fail(breaker, 3)

    assert await trial.stands()


async def test_nothing_is_kept_of_a_provider_that_never_fails(
    redis_client: Redis, name: str
) -> None:
    breaker = RedisBreaker(redis_client, name=name, rules=RULES)
    await (await allowed(breaker)).succeeded()

    assert not await redis_client.exists(f"breaker:{name}")


async def test_an_open_breaker_is_forgotten_when_nobody_calls(
    redis_client: Redis, name: str
) -> None:
    await fail(RedisBreaker(redis_client, name=name, rules=RULES), 3)

    assert 600_000 < await redis_client.pttl(f"breaker:{name}") <= 660_000


async def test_without_redis_a_worker_keeps_the_same_rules_by_itself(name: str) -> None:
    nowhere = Redis.from_url(redis.url(new_port()), decode_responses=True)
    breaker = RedisBreaker(nowhere, name=name, rules=RULES)
    await fail(breaker, 3)

    assert isinstance(await breaker.try_enter(), float)
    await nowhere.aclose()
