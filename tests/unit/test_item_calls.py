"""The model calls of one item: asked, asked again, re-used, waited for and given up."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel

from longhaul.activities.calls import CALL_TIMEOUT, MAX_TRIES, ItemCalls, Provider
from longhaul.activities.item_clock import ItemClock, ItemClocks
from longhaul.core.calls import CallPlace, ModelReply, SentCall
from longhaul.core.errors import (
    RATE_LIMITED,
    Fenced,
    ItemFailed,
    ProviderBusy,
    ProviderRejected,
    Unavailable,
)
from longhaul.core.job_types import BadAnswer
from tests.fakes import FreeLimiter, MemoryCallJournal, NotedBreaker, ScriptedModel

GOOD = '{"name": "range", "low": 3}'
PLACE = partial(CallPlace, job_id="j-1", attempt=1, epoch=0, ordinal=4)


class Rule(BaseModel):
    name: str
    low: int


def busy(reason: str = "server_error", retry_after: float | None = None) -> ProviderBusy:
    wait = None if retry_after is None else timedelta(seconds=retry_after)
    return ProviderBusy("Busy.", reason=reason, retry_after=wait)


@dataclass
class Desk:
    """An item's calls with everything that they need, and access to it."""

    model: ScriptedModel
    journal: MemoryCallJournal = field(default_factory=MemoryCallJournal)
    limiter: FreeLimiter = field(default_factory=FreeLimiter)
    breaker: NotedBreaker = field(default_factory=NotedBreaker)
    limit: timedelta = timedelta(minutes=1)
    naps: list[float] = field(default_factory=list)
    logged: list[str] = field(default_factory=list)
    waits: list[str] = field(default_factory=list)
    sleep: Callable[[float], Awaitable[object]] | None = None

    def __post_init__(self) -> None:
        self.provider = Provider(client=self.model, limiter=self.limiter, breaker=self.breaker)
        self.clock = ItemClock(ItemClocks(), self.limit)

    async def ask(self, **changes: Any) -> Rule:
        with self.clock:
            return await self.calls().ask(**QUESTION | changes)

    def calls(self) -> ItemCalls:
        return ItemCalls(
            place=PLACE,
            providers={"openai": self.provider},
            journal=self.journal,
            clock=self.clock,
            waiting=self._waiting,
            log=lambda event, **_: self.logged.append(event),
            sleep=self.sleep or self._nap,
        )

    @contextmanager
    def _waiting(self, reason: str) -> Iterator[None]:
        self.waits.append(reason)
        yield

    async def _nap(self, seconds: float) -> None:
        self.naps.append(seconds)


QUESTION: dict[str, Any] = {
    "step": "rules",
    "provider": "openai",
    "model": "m",
    "instructions": "Propose a rule.",
    "prompt": "For this attribute.",
    "answer": Rule,
}


# --- Answers ---------------------------------------------------------------------------------


async def test_an_answer_is_validated_and_journalled() -> None:
    desk = Desk(ScriptedModel(f"Here you are: {GOOD}"))

    assert await desk.ask() == Rule(name="range", low=3)
    (row,) = desk.journal.rows
    assert (row.state, row.call.place.step) == ("answered", "rules")
    assert desk.journal.totals.made == 1


async def test_an_answer_is_reused_after_a_crash() -> None:
    before = Desk(ScriptedModel(GOOD))
    await before.ask()
    after = Desk(ScriptedModel(), journal=before.journal)

    assert await after.ask() == Rule(name="range", low=3)
    assert after.model.requests == []
    assert after.limiter.acquired == []
    assert after.logged == ["answer_reused"]


async def test_another_question_does_not_get_the_old_answer() -> None:
    before = Desk(ScriptedModel(GOOD))
    await before.ask()
    after = Desk(ScriptedModel(GOOD), journal=before.journal)
    await after.ask(prompt="For another attribute.")

    assert len(after.model.requests) == 1


async def test_a_call_that_a_crash_left_open_is_made_again_and_counted() -> None:
    before = Desk(ScriptedModel(asyncio.CancelledError()))
    with pytest.raises(asyncio.CancelledError):
        await before.ask()
    after = Desk(ScriptedModel(GOOD), journal=before.journal)
    await after.ask()

    assert (after.journal.totals.made, after.journal.totals.repeated) == (2, 1)


# --- Bad answers -----------------------------------------------------------------------------


async def test_a_bad_answer_is_asked_for_again_with_what_was_wrong() -> None:
    desk = Desk(ScriptedModel('{"name": "range"}', GOOD))
    await desk.ask()
    first, second = desk.model.requests

    assert first.prompt == "For this attribute."
    assert second.prompt.startswith("For this attribute.")
    assert "- low: Field required" in second.prompt
    assert [row.call.place.step for row in desk.journal.rows] == ["rules", "rules/again-1"]


@pytest.mark.parametrize("answer", ["", "No.", '{"name": "ran', '{"low": "x"}'])
async def test_three_bad_answers_fail_the_item(answer: str) -> None:
    desk = Desk(ScriptedModel(*[answer] * 3))
    with pytest.raises(ItemFailed, match="in 3 tries") as caught:
        await desk.ask()

    assert caught.value.item_code == "bad_answer"
    assert len(desk.model.requests) == 3
    assert desk.breaker.calls == ["succeeded"] * 3


async def test_a_check_can_refuse_what_the_shape_allows() -> None:
    async def check(rule: Rule) -> None:
        if rule.low > 2:
            raise BadAnswer("`low` must be at most 2.")

    desk = Desk(ScriptedModel(GOOD, '{"name": "range", "low": 1}'))

    assert (await desk.ask(check=check)).low == 1
    assert "`low` must be at most 2." in desk.model.requests[1].prompt


async def test_after_a_crash_asking_again_goes_on_where_it_was() -> None:
    before = Desk(ScriptedModel("No.", asyncio.CancelledError()))
    with pytest.raises(asyncio.CancelledError):
        await before.ask()
    after = Desk(ScriptedModel(GOOD), journal=before.journal)
    await after.ask()

    assert [request.prompt for request in after.model.requests] == [before.model.requests[1].prompt]


# --- A busy provider -------------------------------------------------------------------------


async def test_being_told_to_slow_down_is_no_failure_of_the_item() -> None:
    desk = Desk(ScriptedModel(*[busy(RATE_LIMITED)] * 20, GOOD))

    assert await desk.ask()
    assert desk.journal.totals.retried == 20
    assert len(desk.limiter.closed) == 20
    assert desk.breaker.calls == ["abandoned"] * 20 + ["succeeded"]


async def test_everyone_waits_for_as_long_as_the_provider_asks() -> None:
    desk = Desk(ScriptedModel(busy(RATE_LIMITED, 7), busy("overloaded", 9), GOOD))
    await desk.ask()

    assert desk.limiter.closed == [timedelta(seconds=7), timedelta(seconds=9)]
    assert desk.naps == [7, 9]


@pytest.mark.parametrize("reason", ["server_error", "overloaded", "timeout", "connection"])
async def test_five_failures_of_the_provider_fail_the_item(reason: str) -> None:
    desk = Desk(ScriptedModel(*[busy(reason)] * MAX_TRIES))
    with pytest.raises(ItemFailed, match="did not answer in 5 tries") as caught:
        await desk.ask()

    assert caught.value.item_code == "provider_unavailable"
    assert desk.breaker.calls == ["failed"] * MAX_TRIES
    assert [row.failure for row in desk.journal.rows] == [reason] * MAX_TRIES
    assert desk.limiter.closed == []


async def test_waits_grow_between_failures_and_none_follows_the_last() -> None:
    desk = Desk(ScriptedModel(*[busy()] * MAX_TRIES))
    with pytest.raises(ItemFailed):
        await desk.ask()

    assert len(desk.naps) == MAX_TRIES - 1
    for nap, ceiling in zip(desk.naps, [1, 2, 4, 8], strict=True):
        assert ceiling / 2 <= nap <= ceiling


async def test_failures_are_counted_for_each_question_anew() -> None:
    failing = [busy()] * (MAX_TRIES - 1)
    desk = Desk(ScriptedModel(*failing, "No.", *failing, GOOD))

    assert await desk.ask()


# --- Refusals --------------------------------------------------------------------------------


async def test_a_provider_that_refuses_us_stops_the_item_at_once() -> None:
    desk = Desk(ScriptedModel(ProviderRejected("Top it up.")))
    with pytest.raises(ProviderRejected, match="Top it up"):
        await desk.ask()

    assert [row.failure for row in desk.journal.rows] == ["provider_rejected"]
    assert desk.breaker.calls == ["succeeded"]


async def test_a_request_that_cannot_be_answered_fails_the_item_with_its_reason() -> None:
    desk = Desk(ScriptedModel(ItemFailed("context_too_long", "Too long.")))
    with pytest.raises(ItemFailed, match="Too long"):
        await desk.ask()

    assert [row.failure for row in desk.journal.rows] == ["context_too_long"]


async def test_a_provider_that_this_worker_has_not_is_refused_with_what_to_do() -> None:
    desk = Desk(ScriptedModel())
    with pytest.raises(ProviderRejected, match="LONGHAUL_LLM__API_KEY"):
        await desk.ask(provider="anthropic")

    assert desk.journal.rows == []


async def test_a_fenced_item_sends_nothing() -> None:
    desk = Desk(ScriptedModel(GOOD))
    desk.journal.epoch = 1
    with pytest.raises(Fenced):
        await desk.ask()

    assert desk.model.requests == []
    assert desk.breaker.calls == ["abandoned"]


async def test_a_cancelled_call_tells_nothing_about_the_provider() -> None:
    desk = Desk(ScriptedModel(GOOD))
    desk.model.may_answer.clear()
    asking = asyncio.create_task(desk.ask())
    await desk.model.asked.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    assert desk.breaker.calls == ["abandoned"]
    assert [row.state for row in desk.journal.rows] == ["sent"]


# --- The rate limit --------------------------------------------------------------------------


async def test_the_limit_is_told_what_the_answer_really_took() -> None:
    reply = ModelReply(text=GOOD, model="m", input_tokens=300, output_tokens=50)
    desk = Desk(ScriptedModel(reply))
    await desk.ask()

    assert desk.limiter.acquired[0] > 4_000
    assert desk.limiter.settled == [350]


async def test_a_request_that_was_turned_away_took_nothing() -> None:
    desk = Desk(ScriptedModel(busy(RATE_LIMITED), busy("connection"), busy("timeout"), GOOD))
    await desk.ask()

    # A time-out may have been worked on; what it took stays taken.
    assert desk.limiter.settled == [0, 0, 30]


async def test_an_item_that_leaves_the_line_tells_nothing_about_the_provider() -> None:
    desk = Desk(ScriptedModel(GOOD))
    desk.limiter.lets_through.clear()
    asking = asyncio.create_task(desk.ask())
    await desk.limiter.asked.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    assert desk.breaker.calls == ["abandoned"]
    assert desk.journal.rows == []
    assert desk.waits == ["provider", "rate_limit"]


async def test_an_item_whose_provider_failed_while_it_was_in_line_waits_for_the_provider() -> None:
    desk = Desk(ScriptedModel(GOOD), breaker=NotedBreaker(stands=[False, True]))
    await desk.ask()

    assert desk.breaker.calls == ["abandoned", "succeeded"]
    assert len(desk.limiter.acquired) == 1


# --- Time ------------------------------------------------------------------------------------


async def test_time_stands_still_while_an_item_waits_its_turn() -> None:
    desk = Desk(ScriptedModel(GOOD))
    desk.limiter.lets_through.clear()
    desk.model.may_answer.clear()
    asking = asyncio.create_task(desk.ask())
    await desk.limiter.asked.wait()
    due_in_line = desk.clock.due
    desk.limiter.lets_through.set()
    await desk.model.asked.wait()
    due_while_asked = desk.clock.due
    desk.model.may_answer.set()

    assert await asking
    assert due_in_line is None
    assert due_while_asked is not None


async def test_time_stands_still_while_an_item_waits_for_the_provider() -> None:
    stood: list[bool] = []

    async def sleep(seconds: float) -> None:
        stood.append(desk.clock.due is None)

    desk = Desk(ScriptedModel(busy(), GOOD), sleep=sleep)
    await desk.ask()

    assert stood == [True]
    assert desk.waits == ["provider", "rate_limit", "provider", "provider", "rate_limit"]


async def test_an_item_that_takes_too_long_is_cut_off_while_the_model_thinks() -> None:
    desk = Desk(ScriptedModel(GOOD), limit=timedelta(seconds=0.02))
    desk.model.may_answer.clear()
    with pytest.raises(TimeoutError):
        await desk.ask()

    assert desk.breaker.calls == ["abandoned"]


async def test_the_model_has_a_time_of_its_own() -> None:
    allowed: list[timedelta] = []

    class Watched(ScriptedModel):
        async def complete(self, request: Any, within: timedelta) -> ModelReply:
            allowed.append(within)
            return await super().complete(request, within)

    await Desk(Watched(GOOD)).ask()

    assert allowed == [CALL_TIMEOUT]


# --- The journal -----------------------------------------------------------------------------


async def test_an_answer_is_not_paid_for_twice_because_the_journal_was_away() -> None:
    class Away(MemoryCallJournal):
        def __init__(self) -> None:
            super().__init__()
            self.faults = 1

        async def answered(self, call: SentCall, reply: ModelReply, duration_ms: int) -> None:
            if self.faults:
                self.faults -= 1
                raise Unavailable("away")
            await super().answered(call, reply, duration_ms)

    desk = Desk(ScriptedModel(GOOD), journal=Away())
    await desk.ask()

    assert len(desk.model.requests) == 1
    assert [row.state for row in desk.journal.rows] == ["answered"]
