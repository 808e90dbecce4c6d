"""The breaker that all workers share: `breaker:{name}`, kept by a script."""

import asyncio
from datetime import timedelta
from typing import Any

from redis.asyncio import Redis

from longhaul.adapters.redis.local_breaker import (
    ASK_AGAIN,
    BreakerRules,
    LocalBreaker,
    LocalTrial,
    UnderWay,
)
from longhaul.adapters.redis.scripts import SharedScript, take

# After this time without calls nothing is known about a provider.
KEEP = timedelta(minutes=10)

FRESH = timedelta(seconds=1)


class RedisBreaker:
    """Stops all workers' calls to a provider that keeps failing; without Redis only this worker's.

    Args:
        name: The provider.
        fresh: How long after entering a call need not ask again.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        name: str,
        rules: BreakerRules | None = None,
        fresh: timedelta = FRESH,
    ) -> None:
        self._script = SharedScript(redis, "breaker", f"breaker:{name}")
        self._rules = rules or BreakerRules()
        self._fresh = fresh
        self._local = LocalBreaker(self._rules)
        self._under_way = UnderWay()
        self._someone_asks: asyncio.Event | None = None

    async def enter(self) -> "RedisTrial | LocalTrial":
        """Wait until a call may be tried; while the breaker is open only one probe may."""
        while True:
            got = await take(self.try_enter(), _abandon)
            if not isinstance(got, float):
                return got
            if self._someone_asks is None:
                return await self._ask_on(got)
            await self._someone_asks.wait()

    async def _ask_on(self, wait: float) -> "RedisTrial | LocalTrial":
        # One of this process asks for all, so that hundreds who wait cost no more than one; then
        # all ask for themselves, so that they come through together.
        self._someone_asks = done = asyncio.Event()
        try:
            while True:
                await asyncio.sleep(min(wait, ASK_AGAIN))
                got = await take(self.try_enter(), _abandon)
                if not isinstance(got, float):
                    return got
                wait = got
        finally:
            self._someone_asks = None
            done.set()

    async def try_enter(self) -> "RedisTrial | LocalTrial | float":
        """Let a call be tried, or say how many seconds to wait."""
        answer = await self.ask("enter")
        if answer is None:
            return await self._local.try_enter()
        wait, began, is_probe = answer
        if not began:
            return float(wait) / 1000
        return RedisTrial(self, self._under_way, began, is_probe=bool(is_probe), fresh=self._fresh)

    async def ask(self, operation: str, began: str = "0") -> Any:
        """Ask the script; None while Redis is away."""
        rules = self._rules
        return await self._script.ask(
            operation,
            began,
            rules.many(len(self._under_way)),
            rules.window,
            rules.first_open,
            rules.longest_open,
            rules.probe,
            KEEP.total_seconds() * 1000,
        )


async def _abandon(got: "RedisTrial | LocalTrial | float") -> None:
    if not isinstance(got, float):
        await got.abandoned()


class RedisTrial:
    """A call that may be tried; when Redis is away, its outcome is forgotten."""

    def __init__(
        self,
        breaker: RedisBreaker,
        under_way: UnderWay,
        began: str,
        *,
        is_probe: bool,
        fresh: timedelta,
    ) -> None:
        self._breaker = breaker
        self._under_way = under_way
        self._began = began
        self._fresh_until = asyncio.get_running_loop().time() + fresh.total_seconds()
        self.is_probe = is_probe

    async def stands(self) -> bool:
        """Whether the call may still be tried; if so, it is under way."""
        if asyncio.get_running_loop().time() >= self._fresh_until:
            answer = await self._breaker.ask("stands", self._began)
            if answer is not None and not answer:
                return False
        self._under_way.add(self)
        return True

    async def succeeded(self) -> None:
        """The provider answered."""
        self._under_way.discard(self)
        await self._breaker.ask("succeeded", self._began)

    async def failed(self) -> None:
        """The provider failed."""
        self._under_way.discard(self)
        await self._breaker.ask("failed", self._began)

    async def abandoned(self) -> None:
        """The call ended without showing whether the provider works."""
        self._under_way.discard(self)
        if self.is_probe:
            await self._breaker.ask("abandoned", self._began)
