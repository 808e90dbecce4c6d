"""How long an item may take, not counting what it waits for others."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class ItemClock:
    """Stops an item's time-out while the item waits its turn.

    Args:
        timeout: The `asyncio.timeout` that the item runs under.
    """

    def __init__(self, timeout: asyncio.Timeout) -> None:
        self._timeout = timeout
        self._stops = 0
        self._left = 0.0

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Let the item's time stand still while the block runs; blocks may overlap."""
        loop = asyncio.get_running_loop()
        self._stops += 1
        if self._stops == 1:
            self._left = (self._timeout.when() or loop.time()) - loop.time()
            self._timeout.reschedule(None)
        try:
            yield
        finally:
            self._stops -= 1
            if not self._stops and not self._timeout.expired():
                self._timeout.reschedule(loop.time() + max(self._left, 0.0))
