"""How many items this process runs at once, and how one gets the process to itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager


class Slots:
    """The slots of a process; `async with slots` holds one of them.

    Args:
        most: How many there are.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._free = asyncio.Semaphore(most)
        self._turn = asyncio.Lock()
        self._shared = asyncio.Event()
        self._shared.set()

    async def __aenter__(self) -> None:
        await self._shared.wait()
        await self._free.acquire()

    async def __aexit__(self, *error: object) -> None:
        self._free.release()

    @asynccontextmanager
    async def all(self) -> AsyncIterator[None]:
        """Hold every slot while the block runs; whoever wants one meanwhile waits."""
        async with self._turn, AsyncExitStack() as held:
            self._shared.clear()
            held.callback(self._shared.set)
            for _ in range(self._most):
                await held.enter_async_context(self._free)
            yield
