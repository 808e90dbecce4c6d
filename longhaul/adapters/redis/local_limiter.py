"""The rate limit within one process: this worker's share, while Redis is down."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from longhaul.adapters.redis.clock import Clock, LoopClock
from longhaul.core.errors import Unavailable

COUNT_EVERY = timedelta(seconds=10)
COUNT_PATIENCE = timedelta(seconds=5)
LOOK_AGAIN = timedelta(seconds=1)

# While the number of workers is not known: slow, but within the quota.
MANY_WORKERS = 100

_MINUTE = 60_000.0

_MOMENT = 0.25
_MOST_AHEAD = 32
_USUAL_TOKENS = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What a provider allows to all workers together; times are in milliseconds.

    Attributes:
        tokens_per_minute: None where tokens are not limited.
    """

    requests_per_minute: float
    tokens_per_minute: float | None = None

    @property
    def per_request(self) -> float:
        """How far apart requests are when they follow each other steadily."""
        return _MINUTE / self.requests_per_minute

    @property
    def per_token(self) -> float:
        """The time that one token takes."""
        return _MINUTE / self.tokens_per_minute if self.tokens_per_minute else 0.0

    @property
    def requests_at_once(self) -> float:
        """One second's worth, and at least one."""
        return max(1.0, self.requests_per_minute / 60)

    @property
    def tokens_at_once(self) -> float:
        """Ten seconds' worth; a request may have more, then the next ones wait longer."""
        return (self.tokens_per_minute or 0.0) / 6

    @property
    def ahead(self) -> int:
        """How many requests of a process may hold future turns: a moment's worth.

        Turns of a worker that dies, and most of those of a job that pauses, are lost to
        everyone; so a request that has to wait longer waits in line without one.
        """
        per_second = self.requests_per_minute / 60
        if self.tokens_per_minute:
            per_second = min(per_second, self.tokens_per_minute / 60 / _USUAL_TOKENS)
        return max(1, min(int(per_second * _MOMENT), _MOST_AHEAD))

    def share(self, workers: int) -> "Quota":
        """The share of each of a number of workers."""
        tokens = self.tokens_per_minute
        return Quota(
            requests_per_minute=self.requests_per_minute / workers,
            tokens_per_minute=tokens / workers if tokens else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A reserved start; times are in milliseconds of the book.

    Attributes:
        wait: Until the start, counted from the moment of reserving.
        generation: The turn is void once the book has another one.
        before: What the book held before, to undo the turn.
    """

    tokens: int
    wait: float
    start: float
    generation: int
    before: tuple[float, float, float]


class LocalBook:
    """The book of turns of `limiter.lua`, rule by rule."""

    def __init__(self) -> None:
        self._requests_full = self._tokens_full = self._last_start = 0.0
        self._closed_until = 0.0
        self._generation = 0

    def take(self, now: float, quota: Quota, tokens: int) -> Turn:
        """Reserve the next start."""
        before = (self._requests_full, self._tokens_full, self._last_start)
        at_once = min(tokens, quota.tokens_at_once)
        start = max(
            now,
            self._closed_until,
            self._last_start,
            self._requests_full + (1 - quota.requests_at_once) * quota.per_request,
            self._tokens_full + (at_once - quota.tokens_at_once) * quota.per_token,
        )
        self._requests_full = max(self._requests_full, start) + quota.per_request
        self._tokens_full = max(self._tokens_full, start) + tokens * quota.per_token
        self._last_start = start
        return Turn(
            tokens=tokens,
            wait=start - now,
            start=start,
            generation=self._generation,
            before=before,
        )

    def stands(self, turn: Turn) -> bool:
        """Whether the turn is still valid."""
        return turn.generation == self._generation

    def close(self, now: float, quota: Quota, wait: float) -> None:
        """Give no start for a while, and make those that were given invalid."""
        self._closed_until = max(self._closed_until, now + wait)
        self._requests_full = self._closed_until + (quota.requests_at_once - 1) * quota.per_request
        self._tokens_full = min(self._tokens_full, self._closed_until)
        self._last_start = self._closed_until
        self._generation += 1

    def settle(self, turn: Turn, quota: Quota, tokens: int) -> None:
        """Correct the cost of a turn."""
        if self.stands(turn):
            self._tokens_full -= (turn.tokens - tokens) * quota.per_token

    def cancel(self, turn: Turn, quota: Quota) -> None:
        """Give an unused turn back."""
        if not self.stands(turn):
            return
        if self._last_start == turn.start:
            self._requests_full, self._tokens_full, self._last_start = turn.before
        else:
            self._requests_full -= quota.per_request
            self._tokens_full -= turn.tokens * quota.per_token


async def _only_one() -> int:
    return 1


class LocalRateLimiter:
    """This worker's share of a quota.

    Args:
        workers: Counts the workers that share the quota, this one included.
    """

    def __init__(
        self,
        quota: Quota,
        *,
        workers: Callable[[], Awaitable[int]] = _only_one,
        clock: Clock | None = None,
    ) -> None:
        self._quota = quota
        self._count_workers = workers
        self._clock = clock or LoopClock()
        self._workers = MANY_WORKERS
        self._count_at = 0.0
        self._book = LocalBook()
        self._line = asyncio.Semaphore(quota.ahead)
        self._reserving = asyncio.Lock()

    async def acquire(
        self, tokens: int, still: Callable[[], Awaitable[bool]]
    ) -> "LocalPermit | None":
        """Wait in line, then for the turn of one request of about this many tokens."""
        async with self._line:
            while await still():
                permit = await self.acquire_unless(tokens, _never)
                if permit is not None:
                    return permit
            return None

    async def acquire_unless(
        self, tokens: int, better: Callable[[], Awaitable[bool]]
    ) -> "LocalPermit | None":
        """Wait for a turn; None when it became invalid, or when there is something better."""
        turn = await self.reserve(tokens)
        try:
            left = turn.wait / 1000
            while left > 0:
                nap = min(left, LOOK_AGAIN.total_seconds())
                await self._clock.sleep(nap)
                left -= nap
                if not await self.stands(turn):
                    return None
                if left > 0 and await better():
                    await self.cancel(turn)
                    return None
        except asyncio.CancelledError:
            await self.cancel(turn)
            raise
        return LocalPermit(self, turn)

    async def close(self, wait: timedelta) -> None:
        """Let no request through for a while."""
        self._book.close(self._now(), self._share(), wait.total_seconds() * 1000)

    async def join(self) -> None:
        """Begin to use the share, after the others had time to count this worker.

        Until then they may divide the quota by one worker fewer, or still spend all of it
        through Redis. A random part of a turn comes on top, because workers that lose Redis lose
        it together.
        """
        async with self._reserving:
            share = await self._counted_share()
            extra = timedelta(milliseconds=random.random() * share.per_request)
            await self.close(COUNT_EVERY + extra)

    async def reserve(self, tokens: int) -> Turn:
        """Take the next turn."""
        async with self._reserving:  # counting takes a moment; no one may overtake meanwhile
            share = await self._counted_share()
            return self._book.take(self._now(), share, tokens)

    async def stands(self, turn: Turn) -> bool:
        """Whether a turn is still valid."""
        return self._book.stands(turn)

    async def cancel(self, turn: Turn) -> None:
        """Give an unused turn back."""
        self._book.cancel(turn, self._share())

    async def settle(self, turn: Turn, tokens: int) -> None:
        """Correct the cost of a turn."""
        self._book.settle(turn, self._share(), tokens)

    async def _counted_share(self) -> Quota:
        if self._clock.now() >= self._count_at:
            with suppress(Unavailable, TimeoutError):
                async with asyncio.timeout(COUNT_PATIENCE.total_seconds()):
                    self._workers = max(1, await self._count_workers())
            self._count_at = self._clock.now() + COUNT_EVERY.total_seconds()
        return self._share()

    def _share(self) -> Quota:
        return self._quota.share(self._workers)

    def _now(self) -> float:
        return self._clock.now() * 1000


async def _never() -> bool:
    return False


class LocalPermit:
    """A turn within this worker's share."""

    def __init__(self, limiter: LocalRateLimiter, turn: Turn) -> None:
        self._limiter = limiter
        self._turn = turn

    async def settle(self, tokens: int) -> None:
        """Return the difference to the estimate, or take it."""
        await self._limiter.settle(self._turn, tokens)
