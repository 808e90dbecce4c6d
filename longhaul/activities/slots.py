"""How many items this process runs at once, and how one can run alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta


class Slots:
    """The slots of a process; `async with slots` takes one of them.

    Args:
        most: How many there are.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._free = asyncio.Semaphore(most)
        self._turn = asyncio.Lock()
        self._shared = asyncio.Event()
        self._shared.set()

    @property
    def are_wanted(self) -> bool:
        """Whether somebody waits for a slot."""
        return self._free.locked() or not self._shared.is_set()

    async def __aenter__(self) -> None:
        while True:
            await self._shared.wait()
            await self._free.acquire()
            if self._shared.is_set():
                return
            # Somebody has asked to run alone since we began to wait.
            self._free.release()

    async def __aexit__(self, *error: object) -> None:
        self._free.release()

    @asynccontextmanager
    async def alone(self, patience: timedelta) -> AsyncIterator[None]:
        """Take every slot while the block runs; others wait.

        The block waits up to `patience` for running items, while no new ones start. Then it runs
        beside those that are left: an item that takes hours, or never ends, must not block the
        whole process.
        """
        async with self._turn, AsyncExitStack() as held:
            self._shared.clear()
            held.callback(self._shared.set)
            try:
                async with asyncio.timeout(patience.total_seconds()):
                    for _ in range(self._most):
                        await held.enter_async_context(self._free)
            except TimeoutError:
                pass
            yield
