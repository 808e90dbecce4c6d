"""Runs the open items of a range of ordinals, many at once, until it is stopped."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial

from temporalio import activity

from longhaul.activities.flush import Tally
from longhaul.activities.heartbeat import beating
from longhaul.activities.item_run import ItemRunner
from longhaul.activities.job_runs import JobRun, JobRuns
from longhaul.activities.patience import patiently
from longhaul.activities.slots import Slots
from longhaul.core.chunks import MAX_CONCURRENCY
from longhaul.core.controls import Flag
from longhaul.core.errors import Fenced, ProviderRejected, Unavailable
from longhaul.core.items import Failed, Item, ItemOutcome, ItemState
from longhaul.core.jobs import RunMode
from longhaul.core.messages import (
    STOPPED_BY_EPOCH,
    STOPPED_BY_LIMIT,
    STOPPED_BY_LOSS,
    STOPPED_BY_OUTAGE,
    STOPPED_BY_PAUSE,
    STOPPED_BY_PROVIDER,
    STOPPED_BY_SHUTDOWN,
    ChunkRequest,
    ChunkResult,
)
from longhaul.core.ports import Ledger
from longhaul.core.tasks import cancel_and_wait

MAX_LOSSES = 3
ABANDON_AFTER = timedelta(seconds=5)
ALONE_WITHIN = timedelta(seconds=30)


class ChunkActivities:
    """Runs chunks, within this process's bound on items in flight.

    Args:
        max_in_flight: Items of all jobs that this process runs at once.
        alone_within: How long an item over which workers died waits for the others to end.
    """

    def __init__(
        self,
        *,
        runs: JobRuns,
        ledger: Ledger,
        runner: ItemRunner,
        max_in_flight: int,
        alone_within: timedelta = ALONE_WITHIN,
    ) -> None:
        self._runs = runs
        self._ledger = ledger
        self._runner = runner
        self._slots = Slots(max_in_flight)
        self._alone_within = alone_within

    @activity.defn(name="run_chunk")
    async def run_chunk(self, request: ChunkRequest) -> ChunkResult:
        """Run a chunk until its items have ended or it is stopped; return in both cases.

        Raises:
            Unavailable: Results could not be stored for a minute; their items stay open.
            NotStored: They cannot be stored at all; their items stay open.
        """
        async with self._runs.join(request.job_id, request.epoch) as run:
            if run is None:
                return ChunkResult(stopped=STOPPED_BY_EPOCH)
            chunk = _Chunk(
                request, run, self._ledger, self._runner, self._slots, self._alone_within
            )
            with run.joined(chunk):
                async with beating(lambda: chunk.tally.ended):
                    return await self._supervise(chunk, request)

    async def _supervise(self, chunk: "_Chunk", request: ChunkRequest) -> ChunkResult:
        """Turn Temporal's cancellation and the worker's shutdown into orderly stops."""
        body = asyncio.create_task(chunk.run())
        leaving = asyncio.create_task(activity.wait_for_worker_shutdown())
        try:
            while not body.done():
                try:
                    await asyncio.wait({body, leaving}, return_when=asyncio.FIRST_COMPLETED)
                    if leaving.done():
                        chunk.stop(RunMode.DRAIN, STOPPED_BY_SHUTDOWN)
                        await asyncio.wait({body})
                except asyncio.CancelledError:
                    why = STOPPED_BY_SHUTDOWN if leaving.done() else STOPPED_BY_PAUSE
                    chunk.stop(RunMode.NOW, why)
            return body.result()
        finally:
            await cancel_and_wait([leaving])


class _Chunk:
    def __init__(
        self,
        request: ChunkRequest,
        run: JobRun,
        ledger: Ledger,
        runner: ItemRunner,
        slots: Slots,
        alone_within: timedelta,
    ) -> None:
        self.tally = Tally()
        self._request = request
        self._run = run
        self._ledger = ledger
        self._runner = runner
        self._slots = slots
        self._alone_within = alone_within
        self._applied = request.generation
        self._queue: Iterator[Item] = iter(())
        self._lanes: list[asyncio.Task[None]] = []
        self._running = 0
        self._noted: Item | None = None
        self._stopped = ""
        self._stopped_under = 0
        self._reason = ""
        self._unavailable: Unavailable | None = None
        self._over = asyncio.Event()

    def apply(self, flag: Flag) -> None:
        """Apply a flag that is newer than the last one."""
        if not flag.is_news(self._request.attempt, self._applied):
            return
        self._applied = flag.generation
        if flag.mode is not RunMode.RUN:
            self.stop(flag.mode, STOPPED_BY_PAUSE)
        elif self._stopped == STOPPED_BY_PAUSE and not self._over.is_set():
            # Resumed while the last items were still in flight: the others need not wait.
            self._stopped = ""
            self._open_lanes()

    def stop(self, mode: RunMode, why: str, reason: str = "") -> None:
        """Start no more items; with mode `now` also abandon those in flight."""
        # A resume ends a pause; other reasons to stop stay.
        overrules_pause = self._stopped == STOPPED_BY_PAUSE and why != STOPPED_BY_PAUSE
        if not self._stopped or overrules_pause:
            self._stopped, self._reason = why, reason
            self._stopped_under = self._run.generation
        # Lanes that wait for a slot, which may take long, need not wait any longer.
        if mode is RunMode.NOW or not self._running:
            self._over.set()

    async def run(self) -> ChunkResult:
        """Run the open items and return when every result is stored."""
        request = self._request
        items = await patiently(
            lambda: self._ledger.open_items(
                request.job_id, request.first, request.last, request.limit
            )
        )
        started = time.monotonic()
        try:
            self._queue = iter(items)
            await self._run_lanes(len(items))
            busy = time.monotonic() - started
        finally:
            await self.tally.settled()
            await self._take_note_back()
        self._raise_if_stuck()
        return self._result(len(items), busy)

    async def _run_lanes(self, items: int) -> None:
        if items:
            self._open_lanes(items)
            await self._over.wait()
        await cancel_and_wait(self._lanes, patience=ABANDON_AFTER.total_seconds())
        for ended in self._lanes:
            if ended.done() and not ended.cancelled() and (fault := ended.exception()):
                raise fault

    def _open_lanes(self, most: int = MAX_CONCURRENCY) -> None:
        """Open as many lanes as the chunk may run items at once."""
        lane = self._careful_lane if self._request.careful else self._lane
        wanted = min(self._request.at_once, most)
        for _ in range(wanted - sum(not one.done() for one in self._lanes)):
            task = asyncio.create_task(lane())
            task.add_done_callback(self._lane_ended)
            self._lanes.append(task)

    def _lane_ended(self, _: "asyncio.Task[None]") -> None:
        if all(one.done() for one in self._lanes):
            self._over.set()

    async def _lane(self) -> None:
        flusher = self._run.flusher
        while self._may_start():
            await flusher.ready()
            suspect = None
            async with self._slots:
                # The slot is kept from item to item as long as no other chunk wants it.
                while suspect is None:
                    if not self._may_start() or (item := next(self._queue, None)) is None:
                        return
                    if item.losses:
                        suspect = item
                        break
                    await self._do(item)
                    # Items that never wait would block everything else, even the flusher.
                    await asyncio.sleep(0)
                    if flusher.is_full or self._slots.are_wanted:
                        break
            if suspect is not None:
                await self._try(suspect)

    async def _careful_lane(self) -> None:
        while self._may_start():
            await self._run.flusher.ready()
            if not self._may_start() or (item := next(self._queue, None)) is None:
                return
            await self._try(item)

    async def _try(self, item: Item) -> None:
        """Mark an item before it starts, and store its result before the next one."""
        if item.losses >= MAX_LOSSES:
            sentence = f"The worker died {MAX_LOSSES} times while it ran this item."
            self._hand_in(ItemOutcome(item, Failed("worker_lost", sentence)))
            await self.tally.settled()
            return
        async with AsyncExitStack() as held:
            with self._run.waiting("worker"):
                # One that was marked before is a suspect.
                slot = self._slots.alone(self._alone_within) if item.losses else self._slots
                await held.enter_async_context(slot)
            if not self._may_start():
                return
            self._noted = noted = replace(item, losses=item.losses + 1)
            note = partial(self._ledger.note_losses, self._request.job_id)
            await patiently(partial(note, noted.ordinal, noted.losses))
            if self._may_start():
                await self._do(noted)
                await self.tally.settled()

    def _may_start(self) -> bool:
        return not self._stopped

    async def _take_note_back(self) -> None:
        """Clear an item's mark after a stop that the worker survived, if that can be written."""
        if self._noted is not None and self._stopped != STOPPED_BY_EPOCH:
            with suppress(Unavailable):
                await self._ledger.take_loss_back(
                    self._request.job_id, self._noted.ordinal, self._noted.losses
                )

    async def _do(self, item: Item) -> None:
        self._running += 1
        self._run.in_flight += 1
        try:
            ended = await self._runner.run(self._run, item)
        except ProviderRejected as exc:
            self.stop(RunMode.DRAIN, STOPPED_BY_PROVIDER, exc.sentence)
        except Fenced:
            self.stop(RunMode.NOW, STOPPED_BY_EPOCH)
        except Unavailable as exc:
            self._unavailable = exc
            self.stop(RunMode.DRAIN, STOPPED_BY_OUTAGE)
        else:
            self._hand_in(ended)
        finally:
            self._run.in_flight -= 1
            self._running -= 1
            if self._stopped and not self._running:
                self._over.set()

    def _hand_in(self, ended: ItemOutcome) -> None:
        self._run.flusher.add(ended, self.tally)
        ratio = self._run.job.options.stop_after_failure_ratio
        if ratio is None:
            return
        self._run.window.add(failed=ended.state is ItemState.FAILED)
        if self._run.window.exceeds(ratio):
            self.stop(
                RunMode.DRAIN,
                STOPPED_BY_LOSS,
                f"More than {ratio:.0%} of the latest items failed.",
            )

    def _raise_if_stuck(self) -> None:
        if stuck := self._run.flusher.broken or self._unavailable:
            raise stuck

    def _result(self, items: int, busy: float) -> ChunkResult:
        stopped = self._stopped if self.tally.ended < items else ""
        if not stopped and self._request.limit == items:
            stopped = STOPPED_BY_LIMIT
        return ChunkResult(
            ended=self.tally.ended,
            stopped=stopped,
            reason=self._reason if stopped else "",
            generation=self._stopped_under if stopped else self._run.generation,
            busy_seconds=busy,
            marks="".join(self.tally.marks[-100:]),
            concurrency=self._run.job.options.concurrency,
            counts=self._run.job.counts,
            priority=self._run.job.priority,
        )
