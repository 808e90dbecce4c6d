"""What the items of a job share, made once per process."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from longhaul.core.jobs import Job

T = TypeVar("T")

_JOBS_REMEMBERED = 32


@dataclass
class _Entry(Generic[T]):
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    made: list[T] = field(default_factory=list)


class PerJob(Generic[T]):
    """Makes a thing when the first item of an attempt asks for it; the others wait for it.

    What fails is tried again by the next item that asks. Only the latest jobs are remembered.
    """

    def __init__(self) -> None:
        self._entries: OrderedDict[tuple[str, int], _Entry[T]] = OrderedDict()

    async def get(self, job: Job, make: Callable[[], Awaitable[T]]) -> T:
        """The thing of this attempt of the job."""
        key = (job.id, job.attempt)
        entry = self._entries.setdefault(key, _Entry())
        self._entries.move_to_end(key)
        while len(self._entries) > _JOBS_REMEMBERED:
            self._entries.popitem(last=False)
        async with entry.lock:
            if not entry.made:
                entry.made.append(await make())
            return entry.made[0]
