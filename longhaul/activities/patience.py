"""Repeating what can be repeated while a dependency is away."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from longhaul.core.errors import StillUnavailable, Unavailable

T = TypeVar("T")

PATIENCE = timedelta(seconds=60)

_RETRY = 0.2


async def patiently(ask: Callable[[], Awaitable[T]], patience: timedelta = PATIENCE) -> T:
    """Ask until there is an answer; `ask` must be harmless to repeat.

    Raises:
        StillUnavailable: There was none for as long as `patience` after the first refusal.
    """
    give_up: float | None = None
    while True:
        try:
            return await ask()
        except StillUnavailable:
            raise
        except Unavailable as exc:
            # The clock starts here: every item passes this way, and hardly any waits.
            now = asyncio.get_running_loop().time()
            give_up = give_up or now + patience.total_seconds()
            if now >= give_up:
                raise StillUnavailable(exc.sentence) from exc
            await asyncio.sleep(_RETRY)
