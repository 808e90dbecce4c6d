"""The chunk scheduler: which ranges are still to run, which are running, and their results."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from temporalio import workflow
from temporalio.common import Priority
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    RetryState,
    TimeoutError,
    is_cancelled_exception,
)

with workflow.unsafe.imports_passed_through():
    from longhaul.activities.chunk import ChunkActivities
    from longhaul.core.chunks import Chunk, Span, chunk_size, cut, item_seconds, lanes
    from longhaul.core.messages import (
        STOPPED_BY_LIMIT,
        STOPPED_BY_PAUSE,
        ChunkRequest,
        ChunkResult,
        JobState,
        Page,
        priority_key,
    )
    from longhaul.workflows import policies


_DEATHS_ADD_UP_LESS = "deaths-add-up-less"


@dataclass(frozen=True, slots=True)
class _Sent:
    request: ChunkRequest
    handle: "workflow.ActivityHandle[ChunkResult]"
    cancelled: bool = False


class ChunkScheduler:
    """Starts chunks, takes their results, and remembers what must run again.

    Args:
        poke: Wakes the main loop.
    """

    def __init__(self, state: JobState, poke: Callable[[], None]) -> None:
        self.faults = state.faults
        self.item_seconds = state.item_seconds
        self.last_fault = ""
        self._job = state
        self._poke = poke
        self._spans: list[Span] = []
        self._next_page: int | None = state.cursor
        self._redo: list[ChunkRequest] = []
        self._out: dict[int, _Sent] = {}
        self._not_before: datetime | None = None
        self._lost_at: datetime | None = None
        self._alarm: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        """Whether no chunk is running."""
        return not self._out

    @property
    def empty(self) -> bool:
        """Whether there is nothing to run and no page to ask for."""
        return not self._spans and not self._redo and self._next_page is None

    @property
    def page_wanted(self) -> int | None:
        """Where the next page of spans should start, once the last one is used up."""
        return None if self._spans else self._next_page

    @property
    def cursor(self) -> int:
        """The lowest ordinal that may still have to run."""
        firsts = [span.first for span in self._spans] + [one.first for one in self._redo]
        if self._next_page is not None:
            firsts.append(self._next_page)
        return min(firsts, default=0)

    @property
    def in_flight(self) -> list[list[int]]:
        """The first and last ordinals of the running chunks."""
        return [[sent.request.first, sent.request.last] for sent in self._out.values()]

    def has_news(self) -> bool:
        """Whether a chunk has come back."""
        return any(sent.handle.done() for sent in self._out.values())

    def take_page(self, page: Page) -> None:
        """Add the spans of a page."""
        self._spans.extend(page.spans)
        self._next_page = page.after

    def forget_spans(self) -> None:
        """Forget the open spans: the ledger will be asked again."""
        self._spans.clear()
        self._redo.clear()
        self._next_page = 0

    def dispatch(
        self, *, epoch: int, generation: int, concurrency: int, priority: int | None
    ) -> None:
        """Fill the free lanes.

        Args:
            priority: The job's; None leaves it as the workflow was started.
        """
        if self._not_before is not None and workflow.now() < self._not_before:
            return
        rank = Priority(priority_key=None if priority is None else priority_key(priority))
        widths = lanes(concurrency)
        for lane, at_once in enumerate(widths):
            if lane in self._out:
                continue
            if self._redo:
                request = self._redo.pop(0)
                self._send(
                    lane,
                    replace(
                        request,
                        generation=generation,
                        at_once=1 if request.careful else at_once,
                        limit=2 * at_once if request.careful else None,
                    ),
                    rank,
                )
            elif self._spans:
                size = chunk_size(
                    at_once, self.item_seconds, left=self._left, lane_count=len(widths)
                )
                chunk, self._spans = cut(self._spans, size)
                self._send(lane, self._request(chunk, epoch, generation, at_once), rank)
            else:
                return

    def cancel_all(self) -> None:
        """Cancel the running chunks; only called from the main loop."""
        for lane, sent in self._out.items():
            sent.handle.cancel()
            self._out[lane] = replace(sent, cancelled=True)

    def take_back(self) -> list[ChunkResult]:
        """Take the chunks that have ended; return the results of those that have one."""
        back = [lane for lane, sent in self._out.items() if sent.handle.done()]
        results = []
        for lane in back:
            sent = self._out.pop(lane)
            result = self._outcome(sent)
            if result is not None:
                self._learn(sent, result)
                results.append(result)
        return results

    @property
    def _left(self) -> int | None:
        return None if self._next_page is not None else sum(span.size for span in self._spans)

    def _request(self, chunk: Chunk, epoch: int, generation: int, at_once: int) -> ChunkRequest:
        return ChunkRequest(
            job_id=self._job.job_id,
            attempt=self._job.attempt,
            epoch=epoch,
            generation=generation,
            first=chunk.first,
            last=chunk.last,
            at_once=at_once,
        )

    def _send(self, lane: int, request: ChunkRequest, rank: Priority) -> None:
        handle = workflow.start_activity_method(
            ChunkActivities.run_chunk,
            request,
            task_queue=self._job.queue,
            summary=f"items {request.first}-{request.last}",
            priority=rank,
            **policies.CHUNK,
        )
        self._out[lane] = _Sent(request, handle)

    def _outcome(self, sent: _Sent) -> ChunkResult | None:
        """The result of a chunk; None when it was lost or cancelled and must run again."""
        try:
            return sent.handle.result()
        except asyncio.CancelledError:
            self._redo.append(sent.request)
        except ActivityError as exc:
            if was_cancelled(exc):
                self._redo.append(sent.request)
            elif isinstance(exc.cause, TimeoutError):
                self._note_loss()
                self._redo.append(replace(sent.request, careful=True))
            else:
                self.back_off(str(exc.cause), is_outage=_is_outage(exc))
                self._redo.append(sent.request)
        return None

    def _learn(self, sent: _Sent, result: ChunkResult) -> None:
        if not result.stopped:
            self.faults = 0
            if not sent.request.careful:
                self.item_seconds = item_seconds(
                    self.item_seconds,
                    items=result.ended,
                    busy_seconds=result.busy_seconds,
                    at_once=sent.request.at_once,
                )
            return
        # A chunk that learns of a pause only by its heartbeat does not learn the generation.
        unasked = (
            result.stopped == STOPPED_BY_PAUSE
            and not sent.cancelled
            and result.generation <= sent.request.generation
        )
        if unasked:
            self.back_off("a chunk stopped without being asked to")
        done_carefully = result.stopped == STOPPED_BY_LIMIT
        if done_carefully and workflow.patched(_DEATHS_ADD_UP_LESS):
            self.faults = 0
        self._redo.append(replace(sent.request, careful=False) if done_carefully else sent.request)

    def _note_loss(self) -> None:
        """Count a worker's death once, however many chunks it has cost."""
        now = workflow.now()
        is_known = self._lost_at is not None and now - self._lost_at < policies.HEARTBEAT_TIMEOUT
        if is_known and workflow.patched(_DEATHS_ADD_UP_LESS):
            return
        self._lost_at = now
        self.back_off("workers died over it")

    def back_off(self, what: str, *, is_outage: bool = False) -> None:
        """Start nothing for a while, longer with every fault in a row.

        An outage is waited for as long as it takes: it does not count towards pausing the job.
        """
        if not is_outage or self.faults < policies.MOST_OUTAGE_FAULTS:
            self.faults += 1
        self.last_fault = what
        wait = policies.back_off(self.faults)
        self._not_before = workflow.now() + wait
        self._alarm = asyncio.create_task(self._poke_after(wait.total_seconds()))

    def reset_back_off(self) -> None:
        """End the wait: somebody has resumed the job."""
        self.faults = 0
        self._not_before = None

    async def _poke_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._poke()


def _is_outage(exc: ActivityError) -> bool:
    return isinstance(exc.cause, ApplicationError) and exc.cause.type in policies.OUTAGES


def was_cancelled(exc: ActivityError) -> bool:
    """Whether an activity ended because it was asked to."""
    # After a cancel request a time-out or an error is not retried and does not look like
    # a cancellation; the ledger knows what was done either way.
    return is_cancelled_exception(exc) or exc.retry_state is RetryState.CANCEL_REQUESTED
