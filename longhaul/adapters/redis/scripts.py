"""Scripts that all workers share: running one without losing what it gives out."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from redis.asyncio import Redis

from longhaul.adapters.redis.connection import Expendable

# More than for a pause flag: no answer costs a pause, and a busy loop is late anyway.
PATIENCE = timedelta(seconds=1)

# Each running question takes a connection, and a client has only a hundred.
AT_ONCE = 16

T = TypeVar("T")


class SharedScript:
    """A script of this folder over one key.

    Args:
        file: Its name, without the ending.
    """

    def __init__(self, redis: Redis, file: str, key: str) -> None:
        self._redis = Expendable(redis, patience=PATIENCE)
        self._script = redis.register_script(
            Path(__file__).with_name(f"{file}.lua").read_text("utf-8")
        )
        self._key = key
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def ask(self, *args: str | float) -> Any:
        """Run it; None while Redis is away."""
        async with self._turn:
            return await self._redis.ask(
                lambda redis: self._script(keys=[self._key], args=args, client=redis)
            )


async def take(asking: Awaitable[T], give_back: Callable[[T], Awaitable[object]]) -> T:
    """Wait for an answer; if cancelled meanwhile, give back what was in it."""
    answer = asyncio.ensure_future(asking)
    try:
        return await asyncio.shield(answer)
    except asyncio.CancelledError:
        await give_back(await answer)
        raise
