"""Ending background tasks for certain."""

import asyncio
from collections.abc import Iterable
from typing import Any

_ASK_AGAIN = 0.2


async def cancel_and_wait(
    tasks: Iterable["asyncio.Task[Any]"], *, patience: float | None = None
) -> bool:
    """Cancel tasks until they are done, and say whether all of them are.

    One cancel is not enough: libraries swallow it now and then, and a
    helper that never ends would keep its chunk alive for ever.

    Args:
        tasks: The tasks to end.
        patience: Seconds after which a task that still has not ended is left alone; None
            means never.
    """
    pending = {task for task in tasks if not task.done()}
    loop = asyncio.get_running_loop()
    deadline = None if patience is None else loop.time() + patience
    while pending and (deadline is None or loop.time() < deadline):
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_ASK_AGAIN)
    return not pending
