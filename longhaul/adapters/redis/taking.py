"""Taking what Redis gives out, without losing it on the way."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def take(asking: Awaitable[T], give_back: Callable[[T], Awaitable[object]]) -> T:
    """Wait for an answer; whoever is cancelled meanwhile gives back what was in it."""
    answer = asyncio.ensure_future(asking)
    try:
        return await asyncio.shield(answer)
    except asyncio.CancelledError:
        await give_back(await answer)
        raise
