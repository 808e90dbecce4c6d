"""Waiting for what another task or process does."""

import asyncio
from collections.abc import Awaitable, Callable

# No passing test waits that long, even on a much slower machine.
PATIENCE = 240.0


async def until(
    is_so: Callable[[], Awaitable[bool]],
    *,
    what: str,
    seconds: float = PATIENCE,
    every: float = 0.02,
) -> None:
    """Wait until something is true."""
    try:
        async with asyncio.timeout(seconds):
            while not await is_so():
                await asyncio.sleep(every)
    except TimeoutError:
        raise AssertionError(f"waited {seconds:g} s for {what}") from None
