"""Work that several tasks wait for and only one does."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from longhaul.core.errors import ItemFailed

Answer = TypeVar("Answer")

REMEMBERED = 16


class SharedWork(Generic[Answer]):
    """Remembers the latest answers by their key.

    The work goes on as long as somebody waits for it, and is cancelled with the last one. A
    failure is remembered like an answer, unless the same work may succeed when tried again.
    """

    def __init__(self) -> None:
        self._tasks: OrderedDict[Hashable, asyncio.Task[Answer]] = OrderedDict()
        self._waiting: dict[asyncio.Task[Answer], int] = {}

    async def get(self, key: Hashable, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """Wait for the answer of whoever asked first, or be the first."""
        task = self._tasks.get(key)
        if task is None or task.cancelled():
            task = self._start(key, work)
        self._waiting[task] = self._waiting.get(task, 0) + 1
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if self._waiting[task] == 1 and not task.done():
                self._forget(key, task)
                task.cancel()
                # Whoever is told that we have stopped must find the source at rest.
                await asyncio.wait({task})
                if not task.cancelled():
                    task.exception()
            raise
        except ItemFailed as exc:
            if exc.again:
                self._forget(key, task)
            raise
        except Exception:
            self._forget(key, task)
            raise
        finally:
            self._waiting[task] -= 1
            if not self._waiting[task]:
                del self._waiting[task]

    def _start(self, key: Hashable, work: Callable[[], Awaitable[Answer]]) -> asyncio.Task[Answer]:
        task = self._tasks[key] = asyncio.ensure_future(_as_coroutine(work))
        while len(self._tasks) > REMEMBERED:
            # Those who still wait for it hold it themselves.
            self._tasks.popitem(last=False)
        return task

    def _forget(self, key: Hashable, task: asyncio.Task[Answer]) -> None:
        if self._tasks.get(key) is task:
            del self._tasks[key]


async def _as_coroutine(work: Callable[[], Awaitable[Answer]]) -> Answer:
    return await work()
