"""Sends heartbeats for an activity, however long one of its steps takes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from temporalio import activity

from longhaul.core.tasks import cancel_and_wait

BEAT = timedelta(seconds=1)


@asynccontextmanager
async def beating(details: Callable[[], object] = lambda: None) -> AsyncIterator[None]:
    """Heartbeat in the background until the block is left."""
    beats = asyncio.create_task(_beat(details))
    try:
        yield
    finally:
        await cancel_and_wait([beats])


async def _beat(details: Callable[[], object]) -> None:
    while True:
        activity.heartbeat(details())
        await asyncio.sleep(BEAT.total_seconds())
