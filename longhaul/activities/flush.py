"""Brings results into the ledger: many items in one fenced transaction at a time."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

from longhaul.activities.patience import PATIENCE, patiently
from longhaul.core.catalog import AnyJobType
from longhaul.core.errors import Fenced, NotStored, Unavailable
from longhaul.core.items import Done, Failed, ItemOutcome, ItemState
from longhaul.core.jobs import Job, RunMode
from longhaul.core.messages import STOPPED_BY_EPOCH, STOPPED_BY_OUTAGE
from longhaul.core.ports import CountChanges, ErrorReporter, Stores
from longhaul.core.tasks import cancel_and_wait

MAX_ROWS = 200
MAX_WAIT = timedelta(milliseconds=50)
MAX_QUEUED = 5 * MAX_ROWS
WRITES_AT_ONCE = 2


class Tally:
    """Counts the results that one chunk has handed in and those that are stored."""

    def __init__(self) -> None:
        self.ended = 0
        self.marks: list[str] = []
        self._waiting: set[int] = set()
        self._settled = asyncio.Event()
        self._settled.set()

    def handed_in(self, ended: ItemOutcome) -> None:
        """One more result is handed in."""
        self._waiting.add(ended.item.ordinal)
        self._settled.clear()

    def stored(self, ended: ItemOutcome) -> None:
        """One result has been stored, now or earlier."""
        self.ended += 1
        self.marks.append("F" if ended.state is ItemState.FAILED else ".")
        self.let_go(ended)

    def let_go(self, ended: ItemOutcome) -> None:
        """One result need not be waited for."""
        self._waiting.discard(ended.item.ordinal)
        if not self._waiting:
            self._settled.set()

    async def settled(self) -> None:
        """Return when no result is waited for."""
        await self._settled.wait()


class BatchWriter:
    """Writes one batch of results: ledger, domain rows and counters in one transaction."""

    def __init__(self, stores: Stores, job_type: AnyJobType) -> None:
        self._database = stores.database
        self._jobs = stores.jobs
        self._ledger = stores.ledger
        self._job_type = job_type

    async def write(self, job: Job, batch: Sequence[ItemOutcome]) -> tuple[Job, list[ItemOutcome]]:
        """Store a batch; return the row that it left and the results as they were stored.

        Raises:
            Fenced: The job has ended or a later epoch began; nothing was written.
            Unavailable: The database did not answer; the batch can be written again.
        """
        async with self._database.begin() as tx:
            done = [ended for ended in batch if isinstance(ended.result, Done)]
            refused = await self._job_type.refuse(tx, job, done) if done else {}
            results = [_unless(refused, ended) for ended in batch] if refused else list(batch)
            fresh = await self._ledger.end(tx, job.id, results)
            kept = [ended for ended in results if ended.item.ordinal in fresh]
            if rows := [ended for ended in kept if isinstance(ended.result, Done)]:
                await self._job_type.save(tx, job, rows)
            row = await self._jobs.count(tx, job.id, job.epoch, _changes(kept))
            if row is None:
                raise Fenced
        return row, results


def _unless(refused: Mapping[int, Failed], ended: ItemOutcome) -> ItemOutcome:
    refusal = refused.get(ended.item.ordinal)
    return ended if refusal is None else replace(ended, result=refusal)


def _changes(kept: Sequence[ItemOutcome]) -> CountChanges:
    states = [ended.state for ended in kept]
    return CountChanges(
        done=states.count(ItemState.DONE),
        failed=states.count(ItemState.FAILED),
        skipped=states.count(ItemState.SKIPPED),
        current_step=next((e.item.label for e in reversed(kept) if e.item.label), None),
    )


class Flusher:
    """Gathers the results of all chunks of a job in this process and writes them.

    The first result after a quiet moment is written at once; the next ones gather for up
    to 50 ms or 200 rows. While one batch waits for the database the next one may be on its way;
    the job's row lets them commit one after the other. A write is never cancelled: it
    would not be known whether it was committed.
    """

    def __init__(
        self,
        job: Job,
        writer: BatchWriter,
        errors: ErrorReporter,
        on_row: Callable[[Job], None],
        on_stop: Callable[[RunMode, str], None],
        patience: timedelta = PATIENCE,
    ) -> None:
        self.broken: Unavailable | NotStored | None = None
        self._job = job
        self._writer = writer
        self._errors = errors
        self._on_row = on_row
        self._on_stop = on_stop
        self._patience = patience
        self._fenced = False
        self._queue: deque[tuple[ItemOutcome, Tally]] = deque()
        self._work = asyncio.Event()
        self._full = asyncio.Event()
        self._closing = False
        self._ready = asyncio.Event()
        self._ready.set()
        self._writers = asyncio.Semaphore(WRITES_AT_ONCE)
        self._task = asyncio.create_task(self._run())

    def add(self, ended: ItemOutcome, tally: Tally) -> None:
        """Hand in a result; the tally learns when it is stored."""
        tally.handed_in(ended)
        self._queue.append((ended, tally))
        self._work.set()
        if len(self._queue) >= MAX_ROWS:
            self._full.set()
        if len(self._queue) >= MAX_QUEUED:
            self._ready.clear()

    @property
    def is_full(self) -> bool:
        """Whether no new item should start: results are not stored, or too slowly."""
        return not self._ready.is_set()

    async def ready(self) -> None:
        """Return when a new item may start."""
        await self._ready.wait()

    async def close(self) -> None:
        """End the task; every tally must have settled."""
        self._closing = True
        self._work.set()
        self._full.set()
        await asyncio.wait({self._task}, timeout=1)
        await cancel_and_wait([self._task])

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        next_write = loop.time()
        async with asyncio.TaskGroup() as writes:
            while True:
                await self._work.wait()
                if self._closing and not self._queue:
                    return
                await self._gather(next_write - loop.time())
                await self._writers.acquire()
                next_write = loop.time() + MAX_WAIT.total_seconds()
                writes.create_task(self._write(self._next_batch()))

    def _next_batch(self) -> list[tuple[ItemOutcome, Tally]]:
        batch = [self._queue.popleft() for _ in range(min(MAX_ROWS, len(self._queue)))]
        if not self._queue:
            self._work.clear()
        if len(self._queue) < MAX_ROWS:
            self._full.clear()
        return batch

    async def _write(self, batch: list[tuple[ItemOutcome, Tally]]) -> None:
        try:
            await self._store(batch)
        except Exception as exc:  # noqa: BLE001 - chunks wait for this and must be told
            error_id = self._errors.file(exc, job_id=self._job.id, step="flush")
            self.broken = NotStored(error_id)
            self._give_up(batch, RunMode.DRAIN, STOPPED_BY_OUTAGE)
        finally:
            self._writers.release()

    async def _gather(self, seconds: float) -> None:
        if seconds <= 0 or self._closing:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._full.wait()
        except TimeoutError:
            pass

    async def _store(self, batch: list[tuple[ItemOutcome, Tally]]) -> None:
        if self._fenced or self.broken:
            _let_go(batch)
            return
        rows = [one for one, _ in batch]
        try:
            row, results = await patiently(partial(self._try_to_write, rows), self._patience)
        except Fenced:
            self._fenced = True
            self._give_up(batch, RunMode.NOW, STOPPED_BY_EPOCH)
            return
        except Unavailable as exc:
            self.broken = exc
            self._give_up(batch, RunMode.DRAIN, STOPPED_BY_OUTAGE)
            return
        except Exception as exc:  # noqa: BLE001 - one row that cannot be stored fails alone
            await self._store_one_by_one(batch, exc)
            return
        self._on_row(row)
        for result, (_, tally) in zip(results, batch, strict=True):
            tally.stored(result)
        if len(self._queue) < MAX_QUEUED:
            self._ready.set()

    async def _try_to_write(self, rows: list[ItemOutcome]) -> tuple[Job, list[ItemOutcome]]:
        try:
            return await self._writer.write(self._job, rows)
        except Unavailable:
            # No new item starts while nothing can be stored.
            self._ready.clear()
            raise

    async def _store_one_by_one(
        self, batch: list[tuple[ItemOutcome, Tally]], exc: Exception
    ) -> None:
        if len(batch) > 1:
            for one in batch:
                await self._store([one])
            return
        ((ended, tally),) = batch
        error_id = self._errors.file(exc, job_id=self._job.id, item_key=ended.item.key)
        if isinstance(ended.result, Failed):
            # Even the failure cannot be stored: an internal fault, reported by the chunk.
            self.broken = NotStored(error_id)
            self._give_up(batch, RunMode.DRAIN, STOPPED_BY_OUTAGE)
            return
        failure = Failed(
            "not_storable", f"The item's result could not be stored; the log has error {error_id}."
        )
        await self._store([(replace(ended, result=failure), tally)])

    def _give_up(self, batch: list[tuple[ItemOutcome, Tally]], mode: RunMode, why: str) -> None:
        self._on_stop(mode, why)
        self._ready.set()
        _let_go(batch)


def _let_go(batch: Sequence[tuple[ItemOutcome, Tally]]) -> None:
    for ended, tally in batch:
        tally.let_go(ended)
