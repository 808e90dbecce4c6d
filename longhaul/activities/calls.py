"""The model calls of one item: paced, journalled, validated, and re-used after a crash."""

import asyncio
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from longhaul.activities.answers import complaint, read_answer
from longhaul.activities.item_clock import ItemClock
from longhaul.activities.patience import patiently
from longhaul.core.calls import CallPlace, ModelReply, ModelRequest, SentCall
from longhaul.core.errors import RATE_LIMITED, ItemFailed, ProviderBusy, ProviderRejected
from longhaul.core.job_types import BadAnswer
from longhaul.core.ports import Breaker, CallJournal, ModelClient, Permit, RateLimiter, Trial

A = TypeVar("A", bound=BaseModel)
T = TypeVar("T")

MAX_REASKS = 2
MAX_TRIES = 5
CALL_TIMEOUT = timedelta(seconds=90)
FIRST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(seconds=30)

TIMED_OUT = "timeout"


class Provider:
    """One model provider with what protects it: client, rate limit and breaker."""

    def __init__(
        self,
        *,
        client: ModelClient,
        limiter: RateLimiter,
        breaker: Breaker,
        call_timeout: timedelta = CALL_TIMEOUT,
    ) -> None:
        self.client = client
        self.call_timeout = call_timeout
        self._limiter = limiter
        self._breaker = breaker

    async def turn(
        self, tokens: int, waiting: Callable[[str], AbstractContextManager[None]]
    ) -> tuple[Trial, Permit]:
        """Wait until a request of about this many tokens may be sent.

        The line before the rate limit may be long, so the breaker is asked again at its end.
        """
        while True:
            with waiting("provider"):
                trial = await self._breaker.enter()
            try:
                with waiting("rate_limit"):
                    permit = await self._limiter.acquire(tokens, trial.stands)
            except asyncio.CancelledError:
                await trial.abandoned()
                raise
            if permit is not None:
                return trial, permit
            await trial.abandoned()

    async def slow_down(self, trial: Trial, permit: Permit, busy: ProviderBusy) -> None:
        """Let every worker know that the provider is busy."""
        if busy.reason != TIMED_OUT:
            await permit.settle(0)  # it was turned away before it cost a token
        if busy.reason == RATE_LIMITED:
            await trial.abandoned()
        else:
            await trial.failed()
        if busy.reason == RATE_LIMITED or busy.retry_after:
            await self._limiter.close(busy.retry_after or FIRST_WAIT)


class ItemCalls:
    """Answers `Calls.ask` for one item.

    Args:
        place: Makes the place of a step's call.
    """

    def __init__(
        self,
        *,
        place: Callable[..., CallPlace],
        providers: Mapping[str, Provider],
        journal: CallJournal,
        clock: ItemClock,
        waiting: Callable[[str], AbstractContextManager[None]],
        log: Callable[..., None],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._place = place
        self._providers = providers
        self._journal = journal
        self._clock = clock
        self._waiting = waiting
        self._log = log
        self._sleep = sleep

    async def ask(
        self,
        *,
        step: str,
        provider: str,
        model: str,
        instructions: str,
        prompt: str,
        answer: type[A],
        check: Callable[[A], Awaitable[None]] | None = None,
    ) -> A:
        """Ask a model for an answer of a given shape; see `Calls.ask`."""
        request = ModelRequest(
            provider=provider,
            model=model,
            instructions=instructions,
            prompt=prompt,
            schema_name=answer.__name__,
            schema=answer.model_json_schema(),
        )
        wrong = ""
        for number in range(1 + MAX_REASKS):
            asked = request if not number else _with_complaint(request, wrong)
            place = self._place(step=step if not number else f"{step}/again-{number}")
            reply = await self._reply(place, asked)
            try:
                value = read_answer(reply.text, answer)
                if check is not None:
                    await check(value)
            except (ValidationError, BadAnswer) as exc:
                wrong = complaint(exc)
                self._log("answer_refused", step=step, number=number + 1)
            else:
                return value
        raise ItemFailed(
            "bad_answer",
            f"The model gave no usable answer in {1 + MAX_REASKS} tries to the step {step!r}.",
        )

    async def _reply(self, place: CallPlace, request: ModelRequest) -> ModelReply:
        fingerprint = request.fingerprint()
        earlier = await self._patiently(lambda: self._journal.reusable(place, fingerprint))
        if earlier is not None:
            self._log("answer_reused", step=place.step)
            return earlier
        provider = self._provider(request.provider)
        failures = 0
        while True:
            try:
                return await self._send(provider, place, request, fingerprint)
            except ProviderBusy as exc:
                # Being told to slow down is not a failure of the item.
                if exc.reason != RATE_LIMITED:
                    failures += 1
                self._log("provider_busy", step=place.step, reason=exc.reason, failures=failures)
                if failures == MAX_TRIES:
                    break
                with self._clock.stopped(), self._waiting("provider"):
                    await self._sleep(_wait(failures, exc.retry_after).total_seconds())
        raise ItemFailed(
            "provider_unavailable",
            f"The model provider did not answer in {MAX_TRIES} tries; retry the job later.",
        )

    def _provider(self, name: str) -> Provider:
        provider = self._providers.get(name)
        if provider is None:
            raise ProviderRejected(
                f"This worker has no access to the provider {name!r}; set LONGHAUL_LLM__PROVIDER "
                "and LONGHAUL_LLM__API_KEY, then resume the job."
            )
        return provider

    async def _send(
        self, provider: Provider, place: CallPlace, request: ModelRequest, fingerprint: str
    ) -> ModelReply:
        with self._clock.stopped():
            trial, permit = await provider.turn(request.estimated_tokens(), self._waiting)
        call = SentCall(place=place, token=str(uuid.uuid4()))
        try:
            await self._patiently(lambda: self._journal.sent(call, request, fingerprint))
            reply = await self._complete(provider, call, request)
        except ProviderBusy as exc:
            await provider.slow_down(trial, permit, exc)
            raise
        except (ProviderRejected, ItemFailed):
            await trial.succeeded()
            raise
        except BaseException:
            await trial.abandoned()
            raise
        used = reply.input_tokens + reply.output_tokens
        await asyncio.gather(trial.succeeded(), permit.settle(used))
        return reply

    async def _complete(
        self, provider: Provider, call: SentCall, request: ModelRequest
    ) -> ModelReply:
        started = time.monotonic()
        try:
            reply = await provider.client.complete(request, provider.call_timeout)
        except (ProviderBusy, ProviderRejected, ItemFailed) as exc:
            reason, duration = _reason(exc), _since(started)
            await self._patiently(lambda: self._journal.failed(call, reason, duration))
            raise
        duration = _since(started)
        await self._patiently(lambda: self._journal.answered(call, reply, duration))
        return reply

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        with self._clock.stopped():
            return await patiently(ask)


def _reason(error: ProviderBusy | ProviderRejected | ItemFailed) -> str:
    match error:
        case ProviderBusy():
            return error.reason
        case ItemFailed():
            return error.item_code
        case ProviderRejected():
            return error.code


def _with_complaint(request: ModelRequest, wrong: str) -> ModelRequest:
    return ModelRequest(
        provider=request.provider,
        model=request.model,
        instructions=request.instructions,
        prompt=(
            f"{request.prompt}\n\nYour last answer could not be used:\n{wrong}\n"
            "Answer again, in full, with this fixed."
        ),
        schema_name=request.schema_name,
        schema=request.schema,
        max_tokens=request.max_tokens,
    )


def _wait(failures: int, retry_after: timedelta | None) -> timedelta:
    if retry_after is not None:
        return retry_after
    ceiling = min(FIRST_WAIT * 2 ** max(failures - 1, 0), LONGEST_WAIT)
    # Jitter, so that items which failed together do not come back together.
    return timedelta(seconds=random.uniform(0.5, 1.0) * ceiling.total_seconds())


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
