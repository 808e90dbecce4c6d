"""A job that its provider refuses in two chunks: one is back at once, one still has an item out."""

import asyncio

from longhaul.core.errors import ProviderRejected
from tests.engine import Engine


class Refusals:
    """Refuses an item of a job's first chunk and all of its fourth one, until `is_over`.

    The first is refused once its neighbour is in flight, which waits at the gate; the fourth
    chunk after that. So the chunk that is still out has stopped before the job pauses.
    """

    def __init__(self, engine: Engine) -> None:
        self.is_over = False
        self._engine = engine
        self._neighbour_started = asyncio.Event()
        self._first_refused = asyncio.Event()
        self.gate = engine.echo.gate = asyncio.Event()
        engine.echo.before_each = self._meet

    async def create(self) -> str:
        return await self._engine.create(items=16, concurrency=8)

    async def _meet(self, _: str) -> None:
        _, ordinal = self._engine.echo.started[-1]
        if self.is_over:
            return
        match ordinal:
            case 0:
                await self._neighbour_started.wait()
                self._first_refused.set()
                raise ProviderRejected("The provider refuses the key.")
            case 1:
                self._neighbour_started.set()
            case 10 | 11:
                await self._first_refused.wait()
                raise ProviderRejected("The provider refuses the key.")
