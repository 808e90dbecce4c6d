"""The breaker that all workers share: `breaker:{name}`, kept by a script."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from longhaul.adapters.redis.connection import Expendable
from longhaul.adapters.redis.limiter import PATIENCE
from longhaul.adapters.redis.local_breaker import (
    ASK_AGAIN,
    BreakerRules,
    LocalBreaker,
    LocalTrial,
)
from longhaul.adapters.redis.taking import take

# After so long without calls nothing is known about a provider any more.
KEEP = timedelta(minutes=10)

FRESH = timedelta(seconds=1)

_SCRIPT = Path(__file__).with_name("breaker.lua").read_text()


class RedisBreaker:
    """Stops all workers' calls to a provider that keeps failing; without Redis, this worker's.

    Args:
        name: The provider.
        fresh: How long after it entered a call need not ask whether it may still be tried.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        name: str,
        rules: BreakerRules | None = None,
        fresh: timedelta = FRESH,
    ) -> None:
        self._redis = Expendable(redis, patience=PATIENCE)
        self._script = redis.register_script(_SCRIPT)
        self._key = f"breaker:{name}"
        self._rules = rules or BreakerRules()
        self._fresh = fresh
        self._local = LocalBreaker(self._rules)
        self._asking = asyncio.Lock()

    async def enter(self) -> "RedisTrial | LocalTrial":
        """Wait until a call may be tried; while the breaker is open only one probe may."""
        # One of this process asks at a time, so that hundreds who wait cost no more than one.
        async with self._asking:
            while True:
                got = await take(self.try_enter(), _abandon)
                if not isinstance(got, float):
                    return got
                await asyncio.sleep(min(got, ASK_AGAIN))

    async def try_enter(self) -> "RedisTrial | LocalTrial | float":
        """Let a call be tried, or say how many seconds to wait."""
        answer = await self._ask("enter")
        if answer is None:
            return await self._local.try_enter()
        wait, began, is_probe = answer
        if not began:
            return float(wait) / 1000
        return RedisTrial(self._ask, began, is_probe=bool(is_probe), fresh=self._fresh)

    async def _ask(self, operation: str, began: str = "0") -> Any:
        rules = self._rules
        args: list[str | float] = [
            operation,
            began,
            rules.failures,
            rules.window,
            rules.first_open,
            rules.longest_open,
            rules.probe,
            KEEP.total_seconds() * 1000,
        ]
        return await self._redis.ask(
            lambda redis: self._script(keys=[self._key], args=args, client=redis)
        )


async def _abandon(got: "RedisTrial | LocalTrial | float") -> None:
    if not isinstance(got, float):
        await got.abandoned()


class RedisTrial:
    """A call that may be tried; when Redis is away, its outcome is forgotten."""

    def __init__(
        self, ask: Callable[..., Awaitable[Any]], began: str, *, is_probe: bool, fresh: timedelta
    ) -> None:
        self._ask = ask
        self._began = began
        self._fresh_until = asyncio.get_running_loop().time() + fresh.total_seconds()
        self.is_probe = is_probe

    async def stands(self) -> bool:
        """Whether the call may still be tried."""
        if asyncio.get_running_loop().time() < self._fresh_until:
            return True
        answer = await self._ask("stands", self._began)
        return answer is None or bool(answer)

    async def succeeded(self) -> None:
        """The provider answered."""
        await self._ask("succeeded", self._began)

    async def failed(self) -> None:
        """The provider failed by its own fault."""
        await self._ask("failed", self._began)

    async def abandoned(self) -> None:
        """The call came to nothing that would tell about the provider."""
        if self.is_probe:
            await self._ask("abandoned", self._began)
