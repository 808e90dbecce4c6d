"""How long an item may take, not counting waits for rate limits and outages."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType

LOOK_EVERY = timedelta(milliseconds=100)


class ItemClocks:
    """Checks all running clocks together and ends the items whose time is up.

    A timer for each item, as in `asyncio.timeout`, costs more than everything else that the
    engine does for an item that does not wait.
    """

    def __init__(self) -> None:
        self._running: set[ItemClock] = set()
        self._looking = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def task(self) -> "asyncio.Task[object] | None":
        """The current task; asking for the loop each time would cost a system call."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return asyncio.current_task(self._loop)

    def add(self, clock: "ItemClock") -> None:
        """Check a clock from now on."""
        self._running.add(clock)
        if not self._looking:
            self._look_later()

    def remove(self, clock: "ItemClock") -> None:
        """Stop checking a clock."""
        self._running.discard(clock)

    def _look_later(self) -> None:
        self._looking = True
        asyncio.get_running_loop().call_later(LOOK_EVERY.total_seconds(), self._look)

    def _look(self) -> None:
        self._looking = False
        now = time.monotonic()
        for clock in [one for one in self._running if one.due is not None and one.due <= now]:
            clock.expire()
        if self._running:
            self._look_later()


class ItemClock:
    """The time-out of one item: a block that is cancelled, and raises TimeoutError, when it ends.

    Args:
        limit: How long the block may take, to a tenth of a second.

    Attributes:
        due: When it ends, by `time.monotonic`; None while time is stopped.
        expired: Whether it has ended.
    """

    def __init__(self, clocks: ItemClocks, limit: timedelta) -> None:
        self.due: float | None = None
        self.expired = False
        self._clocks = clocks
        self._left = limit.total_seconds()
        self._stops = 0
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0

    def __enter__(self) -> "ItemClock":
        self._task = self._clocks.task()
        self._cancelling = self._task.cancelling() if self._task else 0
        self._go_on()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._clocks.remove(self)
        task, self._task = self._task, None
        if not self.expired or task is None:
            return
        # Like `asyncio.timeout`: another cancellation of the task goes first.
        if task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def expire(self) -> None:
        """End the block."""
        self.expired = True
        self._clocks.remove(self)
        if self._task is not None:
            self._task.cancel()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop the item's time while the block runs; blocks may overlap."""
        self._stops += 1
        if self._stops == 1:
            now = time.monotonic()
            self._left = max((self.due or now) - now, 0.0)
            self.due = None
            self._clocks.remove(self)
        try:
            yield
        finally:
            self._stops -= 1
            if not self._stops and not self.expired:
                self._go_on()

    def _go_on(self) -> None:
        if self._task is None:
            return  # the item has ended but left a task running
        self.due = time.monotonic() + self._left
        self._clocks.add(self)
