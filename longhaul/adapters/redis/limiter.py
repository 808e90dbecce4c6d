"""The rate limit that all workers share: `limit:{name}`, a book of turns in a script.

The first in each worker's line reserves its start, so that turns are first come, first served.
The only clock is that of Redis.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from redis.asyncio import Redis

from longhaul.adapters.redis.clock import Clock, LoopClock
from longhaul.adapters.redis.local_limiter import (
    LocalPermit,
    LocalRateLimiter,
    Quota,
    Turn,
)
from longhaul.adapters.redis.scripts import SharedScript, take

KEEP = timedelta(minutes=2)


class RedisRateLimiter:
    """Requests and tokens a minute, for all workers together.

    Without Redis each worker uses its share of them.

    Args:
        name: The provider.
        workers: Counts the workers that share the quota, this one included.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        name: str,
        quota: Quota,
        workers: Callable[[], Awaitable[int]],
        clock: Clock | None = None,
    ) -> None:
        self._script = SharedScript(redis, "limiter", f"limit:{name}")
        self._quota = quota
        self._clock = clock or LoopClock()
        self._share = LocalRateLimiter(quota, workers=workers, clock=self._clock)
        self._line = asyncio.Semaphore(quota.ahead)
        self._alone = False

    async def acquire(
        self, tokens: int, still: Callable[[], Awaitable[bool]]
    ) -> "RedisPermit | LocalPermit | None":
        """Wait in line, then for the turn of one request of about this many tokens."""
        async with self._line:
            while await still():
                turn = await take(self.reserve(tokens), self._give_back)
                permit = await (
                    self._acquire_alone(tokens) if turn is None else self._wait_for(turn)
                )
                if permit is not None:
                    return permit
            return None

    async def close(self, wait: timedelta) -> None:
        """Let no request through for a while, because the provider asks for that."""
        await self._share.close(wait)
        await self._ask("close", wait.total_seconds() * 1000)

    async def reserve(self, tokens: int) -> Turn | None:
        """Take the next turn; None while Redis is away."""
        answer = await self._ask("take", tokens)
        if answer is None:
            return None
        self._alone = False
        wait, start, generation, *before = answer
        r, k, s = (float(number) for number in before)
        return Turn(
            tokens=tokens,
            wait=float(wait),
            start=float(start),
            generation=int(generation),
            before=(r, k, s),
        )

    async def stands(self, turn: Turn) -> bool:
        """Whether a turn is still valid: the limit was not closed, and Redis answers."""
        return bool(await self._ask("stands", turn.generation))

    async def cancel(self, turn: Turn) -> None:
        """Give an unused turn back."""
        await self._ask("cancel", turn.generation, turn.tokens, turn.start, *turn.before)

    async def settle(self, turn: Turn, tokens: int) -> None:
        """Correct the cost of a turn."""
        surplus = turn.tokens - tokens
        if surplus and self._quota.tokens_per_minute:
            await self._ask("settle", turn.generation, surplus)

    async def _wait_for(self, turn: Turn) -> "RedisPermit | None":
        try:
            if turn.wait > 0:
                await self._clock.sleep(turn.wait / 1000)
                if not await self.stands(turn):
                    return None
        except asyncio.CancelledError:
            await self.cancel(turn)
            raise
        return RedisPermit(self, turn)

    async def _give_back(self, turn: Turn | None) -> None:
        if turn is not None:
            await self.cancel(turn)

    async def _acquire_alone(self, tokens: int) -> LocalPermit | None:
        if not self._alone:
            self._alone = True
            await self._share.join()
        return await self._share.acquire_unless(tokens, self._redis_is_back)

    async def _redis_is_back(self) -> bool:
        return await self._ask("stands", 0) is not None

    async def _ask(self, operation: str, *values: float) -> Any:
        quota = self._quota
        rules = (
            quota.per_request,
            quota.requests_at_once,
            quota.per_token,
            quota.tokens_at_once,
            KEEP.total_seconds() * 1000,
        )
        # Not repr: the script compares times as it wrote them, with three decimals.
        return await self._script.ask(operation, *rules, *(f"{value:.3f}" for value in values))


class RedisPermit:
    """A turn that was given."""

    def __init__(self, limiter: RedisRateLimiter, turn: Turn) -> None:
        self._limiter = limiter
        self._turn = turn

    async def settle(self, tokens: int) -> None:
        """Return the difference to the estimate, or take it."""
        await self._limiter.settle(self._turn, tokens)
