"""What the chunks of one job share in one worker process."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import Any, Protocol

from longhaul.activities.flag_watch import FlagWatch
from longhaul.activities.flush import BatchWriter, Flusher
from longhaul.activities.patience import PATIENCE, patiently
from longhaul.core.catalog import AnyJobType, Catalog
from longhaul.core.controls import Flag
from longhaul.core.jobs import Job, RunMode
from longhaul.core.ports import ErrorReporter, JobBoard, Live, Stores
from longhaul.core.stop_loss import FailureWindow
from longhaul.core.tasks import cancel_and_wait

_SHOW_AT_MOST_EVERY = 0.05
_SHOW_AT_LEAST_EVERY = 1.0
_RATE_OVER = 10


class Stoppable(Protocol):
    """The part of a chunk that its job needs."""

    def apply(self, flag: Flag) -> None:
        """Stop if the flag says so."""

    def stop(self, mode: RunMode, why: str, reason: str = "") -> None:
        """Start no more items; with mode `now` also abandon those in flight."""


class JobRun:
    """One job in this process: its newest row, its flusher, its chunks."""

    def __init__(
        self, job: Job, job_type: AnyJobType, flusher: Callable[["JobRun"], Flusher]
    ) -> None:
        self.job = job
        self.epoch = job.epoch
        self.job_type = job_type
        self.parameters = job_type.parameters.model_validate(job.parameters)
        self.window = FailureWindow()
        self.in_flight = 0
        self.generation = job.generation
        self.flusher = flusher(self)
        self._chunks: set[Stoppable] = set()
        self._waits: Counter[str] = Counter()
        self._shown = job.version
        self._changed = asyncio.Event()
        self._ended: deque[tuple[float, int]] = deque()

    def saw(self, job: Job) -> None:
        """Take note of a row that a commit returned."""
        if job.version > self.job.version:
            self.job = job
            self._changed.set()
            self.apply(self._flag)

    @property
    def _flag(self) -> Flag:
        job = self.job
        return Flag(attempt=job.attempt, generation=job.generation, mode=job.mode)

    def apply(self, flag: Flag) -> None:
        """Pass a flag on to every chunk."""
        if flag.is_news(self.job.attempt, self.generation):
            self.generation = flag.generation
            if flag.mode is RunMode.RUN:
                # The person who resumed has seen the failures.
                self.window = FailureWindow()
        for chunk in list(self._chunks):
            chunk.apply(flag)

    def stop(self, mode: RunMode, why: str) -> None:
        """Stop every chunk."""
        for chunk in list(self._chunks):
            chunk.stop(mode, why)

    @contextmanager
    def joined(self, chunk: Stoppable) -> Iterator[None]:
        """Pass flags to a chunk while the block runs, beginning with the row's."""
        self._chunks.add(chunk)
        # The row may have a pause from before the chunk came.
        chunk.apply(self._flag)
        try:
            yield
        finally:
            self._chunks.discard(chunk)

    @contextmanager
    def waiting(self, reason: str) -> Iterator[None]:
        """Show that an item waits, and for what, while the block runs."""
        self._waits[reason] += 1
        try:
            yield
        finally:
            self._waits[reason] -= 1

    async def show(self, board: JobBoard) -> None:
        """Keep the board up to date until cancelled."""
        while True:
            self._changed.clear()
            if self.job.version > self._shown:
                await board.post(self.job)
                self._shown = self.job.version
            await board.post_live(self.job.id, self._live())
            await asyncio.sleep(_SHOW_AT_MOST_EVERY)
            with suppress(TimeoutError):
                async with asyncio.timeout(_SHOW_AT_LEAST_EVERY):
                    await self._changed.wait()

    def _live(self) -> Live:
        now, ended = asyncio.get_running_loop().time(), self.job.counts.ended
        self._ended.append((now, ended))
        while now - self._ended[0][0] > _RATE_OVER:
            self._ended.popleft()
        since, before = self._ended[0]
        rate = (ended - before) / (now - since) if now > since else 0.0
        reason, waits = next(iter(self._waits.most_common(1)), ("", 0))
        return Live(
            in_flight=self.in_flight,
            rate_per_second=round(rate, 2),
            waiting_for=reason if waits and waits >= self.in_flight else None,
        )


class JobRuns:
    """The jobs that this process works on right now.

    Args:
        patience: How long a batch is kept while the database is down.
    """

    def __init__(
        self,
        *,
        stores: Stores,
        watch: FlagWatch,
        catalog: Catalog,
        errors: ErrorReporter,
        patience: timedelta = PATIENCE,
    ) -> None:
        self._stores = stores
        self._board = stores.board
        self._watch = watch
        self._catalog = catalog
        self._errors = errors
        self._patience = patience
        self._runs: dict[tuple[str, int], _Shared] = {}

    @asynccontextmanager
    async def join(self, job_id: str, epoch: int) -> AsyncIterator[JobRun | None]:
        """Share a job's run with its other chunks; None when the epoch has moved on."""
        job = await patiently(partial(self._read, job_id), self._patience)
        if job is None or job.epoch != epoch or job.status.is_terminal:
            yield None
            return
        key = (job_id, epoch)
        shared = self._runs.get(key)
        if shared is None or shared.run.flusher.broken:
            shared = self._runs[key] = _Shared(self._open(job))
            shared.shower = asyncio.create_task(self._show(shared.run))
        shared.chunks += 1
        shared.run.saw(job)
        try:
            yield shared.run
        finally:
            shared.chunks -= 1
            if not shared.chunks:
                if self._runs.get(key) is shared:
                    del self._runs[key]
                await self._close(shared)

    async def _read(self, job_id: str) -> Job | None:
        async with self._stores.database.begin() as tx:
            return await self._stores.jobs.read(tx, job_id)

    def _open(self, job: Job) -> JobRun:
        job_type = self._catalog.get(job.job_type)
        writer = BatchWriter(self._stores, job_type)
        return JobRun(
            job,
            job_type,
            lambda run: Flusher(job, writer, self._errors, run.saw, run.stop, self._patience),
        )

    async def _show(self, run: JobRun) -> None:
        with self._watch.watching(run.job.id, run.apply):
            await run.show(self._board)

    async def _close(self, shared: "_Shared") -> None:
        if shared.shower is not None:
            shared.shower.cancel()  # before this task can be cancelled
        await shared.run.flusher.close()
        if shared.shower is not None:
            await cancel_and_wait([shared.shower])
        await self._board.post(shared.run.job)
        await self._board.post_live(shared.run.job.id, Live(in_flight=0, rate_per_second=0.0))


class _Shared:
    def __init__(self, run: JobRun) -> None:
        self.run = run
        self.chunks = 0
        self.shower: asyncio.Task[Any] | None = None
