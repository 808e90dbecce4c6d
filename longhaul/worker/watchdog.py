"""Ends a process whose event loop hangs, so that its supervisor restarts it."""

import asyncio
import faulthandler
import os
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

TICK = 1.0
HANGS_AFTER_TICKS = 20
EXIT_CODE = 70


@asynccontextmanager
async def watchdog(ticks: int = HANGS_AFTER_TICKS) -> AsyncIterator[None]:
    """Exit with code 70 when the loop has not run for a number of seconds.

    The watching thread counts the seconds itself: a process that was frozen as a whole does
    not count as hung.
    """
    turns = _Turns()
    stopped = threading.Event()
    thread = threading.Thread(target=_watch, args=(turns, stopped, ticks), daemon=True)
    thread.start()
    beat = asyncio.create_task(turns.count())
    try:
        yield
    finally:
        stopped.set()
        beat.cancel()


class _Turns:
    def __init__(self) -> None:
        self.seen = 0

    async def count(self) -> None:
        while True:
            self.seen += 1
            await asyncio.sleep(TICK)


def _watch(turns: _Turns, stopped: threading.Event, ticks: int) -> None:
    last, still = -1, 0
    while not stopped.wait(TICK):
        still = still + 1 if turns.seen == last else 0
        last = turns.seen
        if still >= ticks:
            print(f"the event loop has hung for {still} s; exiting", file=sys.stderr)  # noqa: T201
            faulthandler.dump_traceback(all_threads=True)
            time.sleep(0)
            os._exit(EXIT_CODE)
