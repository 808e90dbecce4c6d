"""Connecting to Redis, and doing without it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TypeVar

from redis.asyncio import Redis
from redis.exceptions import RedisError

PATIENCE = timedelta(milliseconds=250)
DOWN_FOR = timedelta(seconds=1)

T = TypeVar("T")


@asynccontextmanager
async def open_redis(url: str) -> AsyncIterator["Redis"]:
    """Open a client; it connects when it is first used."""
    # Without a socket time-out: with one, redis-py swallows cancellations.
    redis = Redis.from_url(
        url, decode_responses=True, socket_timeout=None, socket_connect_timeout=1
    )
    try:
        yield redis
    finally:
        await redis.aclose()


class Expendable:
    """Asks Redis for what is not essential: after one slow answer it is not asked for a while.

    Args:
        patience: How long one command may take.
    """

    def __init__(self, redis: "Redis", *, patience: timedelta = PATIENCE) -> None:
        self._redis = redis
        self._patience = patience.total_seconds()
        self._down_until = 0.0

    @property
    def is_down(self) -> bool:
        """Whether Redis failed within the last second."""
        return asyncio.get_running_loop().time() < self._down_until

    async def ask(self, command: Callable[["Redis"], Awaitable[T]]) -> T | None:
        """Run a command; None when Redis is away. Never raises for that."""
        if self.is_down:
            return None
        try:
            async with asyncio.timeout(self._patience):
                return await command(self._redis)
        except (RedisError, OSError):
            loop = asyncio.get_running_loop()
            self._down_until = loop.time() + DOWN_FOR.total_seconds()
            return None
