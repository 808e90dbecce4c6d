"""Repeating what can be repeated while a dependency is away."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from longhaul.core.errors import Unavailable

T = TypeVar("T")

PATIENCE = timedelta(seconds=60)

_RETRY = 0.2


async def patiently(ask: Callable[[], Awaitable[T]], patience: timedelta = PATIENCE) -> T:
    """Ask until there is an answer; `ask` must be harmless to repeat.

    Raises:
        Unavailable: There was none for as long as `patience`.
    """
    loop = asyncio.get_running_loop()
    give_up = loop.time() + patience.total_seconds()
    while True:
        try:
            return await ask()
        except Unavailable:
            if loop.time() >= give_up:
                raise
            await asyncio.sleep(_RETRY)
