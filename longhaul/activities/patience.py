"""Repeating calls while a dependency is down."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from longhaul.core.errors import StillUnavailable, Unavailable

T = TypeVar("T")

PATIENCE = timedelta(seconds=60)

_RETRY = 0.2


async def patiently(ask: Callable[[], Awaitable[T]], patience: timedelta = PATIENCE) -> T:
    """Call `ask` until it succeeds; it must be harmless to repeat.

    Raises:
        StillUnavailable: It failed for as long as `patience` after the first failure.
    """
    give_up: float | None = None
    while True:
        try:
            return await ask()
        except StillUnavailable:
            raise
        except Unavailable as exc:
            # The clock starts here: every item comes here, and hardly any waits.
            now = asyncio.get_running_loop().time()
            give_up = give_up or now + patience.total_seconds()
            if now >= give_up:
                raise StillUnavailable(exc.sentence) from exc
            await asyncio.sleep(_RETRY)
