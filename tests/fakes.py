"""Fakes of the outside: each passes the contract suite of its port, or has no rules."""

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from longhaul.core.calls import CallPlace, ModelReply, ModelRequest, SentCall
from longhaul.core.controls import Control, Flag
from longhaul.core.errors import Fenced, TemporalUnavailable
from longhaul.core.jobs import CallTotals, Job
from longhaul.core.ports import Live, Shown, WorkflowRun


class HandClock:
    """A clock that only advances on demand."""

    def __init__(self) -> None:
        self._now = 1_000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._slept = 0

    def now(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        self._slept += 1
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, self._slept, future))
        await future

    async def advance(self, seconds: float) -> None:
        """Let time pass, waking each sleeper at its time."""
        end = self._now + seconds
        await settled()
        while self._sleepers and self._sleepers[0][0] <= end:
            self._now, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)
            await settled()
        self._now = end


async def settled() -> None:
    """Let every task that can go on do so."""
    for _ in range(20):
        await asyncio.sleep(0)


class ScriptedModel:
    """Answers each request with the next of the given replies, or raises it."""

    def __init__(self, *script: ModelReply | BaseException | str) -> None:
        self._script = list(script)
        self.requests: list[ModelRequest] = []
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def complete(self, request: ModelRequest, within: timedelta) -> ModelReply:
        self.requests.append(request)
        self.asked.set()
        await self.may_answer.wait()
        following = self._script.pop(0)
        if isinstance(following, BaseException):
            raise following
        if isinstance(following, ModelReply):
            return following
        return ModelReply(text=following, model=request.model, input_tokens=20, output_tokens=10)


class FreeLimiter:
    """Lets every request through at once, or holds them on demand, and records its calls."""

    def __init__(self) -> None:
        self.acquired: list[int] = []
        self.settled: list[int] = []
        self.closed: list[timedelta] = []
        self.asked = asyncio.Event()
        self.lets_through = asyncio.Event()
        self.lets_through.set()

    async def acquire(
        self, tokens: int, still: Callable[[], Awaitable[bool]]
    ) -> "FreePermit | None":
        self.asked.set()
        await self.lets_through.wait()
        if not await still():
            return None
        self.acquired.append(tokens)
        return FreePermit(self)

    async def close(self, wait: timedelta) -> None:
        self.closed.append(wait)


class FreePermit:
    """Records what was really used."""

    def __init__(self, limiter: FreeLimiter) -> None:
        self._limiter = limiter

    async def settle(self, tokens: int) -> None:
        self._limiter.settled.append(tokens)


class NotedBreaker:
    """Lets every call be tried, and records the outcomes in `calls`."""

    def __init__(self, *, stands: Iterable[bool] = ()) -> None:
        self.calls: list[str] = []
        self.stands = list(stands)

    async def enter(self) -> "NotedTrial":
        self.calls.append("entered")
        return NotedTrial(self, len(self.calls) - 1)


class NotedTrial:
    """One call, by its place in the breaker's notes."""

    def __init__(self, breaker: NotedBreaker, place: int) -> None:
        self._breaker = breaker
        self._place = place

    async def stands(self) -> bool:
        return self._breaker.stands.pop(0) if self._breaker.stands else True

    async def succeeded(self) -> None:
        self._breaker.calls[self._place] = "succeeded"

    async def failed(self) -> None:
        self._breaker.calls[self._place] = "failed"

    async def abandoned(self) -> None:
        self._breaker.calls[self._place] = "abandoned"


@dataclass(frozen=True)
class JournalledCall:
    """A row of the journal."""

    call: SentCall
    number: int
    fingerprint: str
    state: str = "sent"
    reply: ModelReply | None = None
    failure: str | None = None


class MemoryCallJournal:
    """The journal of one job."""

    def __init__(self, rows: Iterable[JournalledCall] = ()) -> None:
        self.rows = list(rows)
        self.epoch = 0
        self.totals = CallTotals()

    async def reusable(self, place: CallPlace, fingerprint: str) -> ModelReply | None:
        answers = [
            row.reply
            for row in self._at(place)
            if row.state == "answered" and row.fingerprint == fingerprint
        ]
        return answers[-1] if answers else None

    async def sent(self, call: SentCall, request: ModelRequest, fingerprint: str) -> None:
        earlier = self._at(call.place)
        if any(row.call.token == call.token for row in earlier):
            return
        if call.place.epoch != self.epoch:
            raise Fenced
        last = earlier[-1].state if earlier else None
        self.rows.append(JournalledCall(call, len(earlier) + 1, fingerprint))
        self.totals = replace(
            self.totals,
            made=self.totals.made + 1,
            repeated=self.totals.repeated + (last == "sent"),
            retried=self.totals.retried + (last == "failed"),
        )

    async def answered(self, call: SentCall, reply: ModelReply, duration_ms: int) -> None:
        if self._end(call, state="answered", reply=reply) and call.place.epoch == self.epoch:
            cost = self.totals.cost_usd
            if reply.cost_usd is not None:
                cost = (cost or Decimal(0)) + reply.cost_usd
            self.totals = replace(
                self.totals,
                input_tokens=self.totals.input_tokens + reply.input_tokens,
                output_tokens=self.totals.output_tokens + reply.output_tokens,
                cost_usd=cost,
            )

    async def failed(self, call: SentCall, reason: str, duration_ms: int) -> None:
        self._end(call, state="failed", failure=reason)

    def _at(self, place: CallPlace) -> list[JournalledCall]:
        where = (place.job_id, place.attempt, place.ordinal, place.step)
        return [row for row in self.rows if _where(row.call.place) == where]

    def _end(
        self,
        call: SentCall,
        *,
        state: str,
        reply: ModelReply | None = None,
        failure: str | None = None,
    ) -> bool:
        for index, row in enumerate(self.rows):
            if row.call.token == call.token and row.state == "sent":
                self.rows[index] = replace(row, state=state, reply=reply, failure=failure)
                return True
        return False


def _where(place: CallPlace) -> tuple[str, int, int, str]:
    return place.job_id, place.attempt, place.ordinal, place.step


class NoBoard:
    """A board that shows nothing, like Redis when it is down."""

    async def post(self, job: Job) -> None: ...

    async def post_live(self, job_id: str, live: Live) -> None: ...

    async def read(self, job_id: str) -> Shown:
        return Shown(known=False)

    async def read_live(self, job_ids: Sequence[str]) -> Sequence[Shown]:
        return [Shown(known=False)] * len(job_ids)


class NoTraces:
    """Nothing to delete."""

    async def forget(self, job_ids: Sequence[str]) -> None: ...


class NoFlags:
    """Flags that are never raised."""

    async def raise_flag(self, job_id: str, flag: Flag) -> None: ...

    async def read(self, job_ids: Sequence[str]) -> Sequence[Flag | None]:
        return [None] * len(job_ids)


class NoWorkflows:
    """Temporal, when it is down."""

    async def start(self, job: Job, workflow: type, queue: str, summary: str) -> bool:
        raise TemporalUnavailable

    async def control(self, job_id: str, control: Control) -> bool:
        raise TemporalUnavailable

    async def cancel(self, job_id: str) -> bool:
        raise TemporalUnavailable

    async def nudge(self, job_id: str) -> bool:
        raise TemporalUnavailable

    async def describe(self, job_id: str) -> WorkflowRun | None:
        raise TemporalUnavailable
