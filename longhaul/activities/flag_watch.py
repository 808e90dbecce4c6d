"""Polls the pause flags of all jobs that this process works on."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from longhaul.core.controls import Flag
from longhaul.core.ports import Flags

EVERY = timedelta(milliseconds=100)


class FlagWatch:
    """Calls the watchers of a job when it has a flag."""

    def __init__(self, flags: Flags) -> None:
        self._flags = flags
        self._watchers: list[tuple[str, Callable[[Flag], None]]] = []

    @contextmanager
    def watching(self, job_id: str, apply: Callable[[Flag], None]) -> Iterator[None]:
        """Call `apply` with the job's flag repeatedly while the block runs."""
        watcher = (job_id, apply)
        self._watchers.append(watcher)
        try:
            yield
        finally:
            self._watchers.remove(watcher)

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            if watchers := list(self._watchers):
                flags = await self._flags.read([job_id for job_id, _ in watchers])
                for (_, apply), flag in zip(watchers, flags, strict=True):
                    if flag is not None:
                        apply(flag)
            await asyncio.sleep(EVERY.total_seconds())
