"""The client of a model provider, over real HTTP, for each API that it speaks."""

import asyncio
import json
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from longhaul.adapters.llm.providers import USUAL_MODELS, model_of, open_client
from longhaul.adapters.settings import LlmSettings
from longhaul.core.calls import ModelReply, ModelRequest
from longhaul.core.errors import RATE_LIMITED, ItemFailed, JobError, ProviderBusy, ProviderRejected
from longhaul.core.ports import ModelClient
from tests.ports import new_port
from tests.stubs import model_server as stub
from tests.stubs.model_server import Behaviour, ModelServer, Reply
from tests.waiting import PATIENCE

KEY = "sk-very-secret"
PROMPT = "the-prompt-that-nobody-may-quote"
PATIENT = timedelta(seconds=PATIENCE)
MODELS = {"openai": "gpt-4o", "anthropic": "claude-sonnet-4-6"}


class Rule(BaseModel):
    kind: Literal["range", "format"]
    arguments: dict[str, Any] = Field(default_factory=dict)
    confidence: float = Field(ge=0, le=1)


class Rules(BaseModel):
    rules: list[Rule]


@dataclass
class Spoken:
    """A client of one provider's API, and the server that it talks to."""

    provider: str
    server: ModelServer
    client: ModelClient
    request: ModelRequest

    async def ask(self, behaviour: Behaviour, within: timedelta = PATIENT) -> ModelReply:
        """Send one request, and see that it was exactly one."""
        before = len(self.server.requests)
        self.server.script(behaviour)
        try:
            return await self.client.complete(self.request, within)
        finally:
            assert len(self.server.requests) == before + 1


@pytest.fixture(params=["openai", "anthropic"])
def provider(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer.start() as server:
        yield server


@pytest.fixture
async def spoken(provider: str, server: ModelServer) -> AsyncIterator[Spoken]:
    async with open_client(settings(provider, server.base_url(provider))) as client:
        yield Spoken(provider, server, client, request_to(provider))


def settings(provider: str, base_url: str) -> LlmSettings:
    return LlmSettings.model_validate({"provider": provider, "base_url": base_url, "api_key": KEY})


def request_to(provider: str) -> ModelRequest:
    return ModelRequest(
        provider=provider,
        model=MODELS[provider],
        instructions="Propose rules.",
        prompt=PROMPT,
        schema_name="Rules",
        schema=Rules.model_json_schema(),
        max_tokens=700,
    )


def by_provider(*, openai: Behaviour, anthropic: Behaviour) -> Behaviour:
    return lambda seen: (openai if seen.provider == "openai" else anthropic)(seen)


# --- Answers ---------------------------------------------------------------------------------


async def test_an_answer_comes_back_as_the_json_that_was_asked_for(spoken: Spoken) -> None:
    answer = {"rules": [{"kind": "format", "arguments": {"regex": "^ä+$"}, "confidence": 0.5}]}
    reply = await spoken.ask(stub.good(answer))

    assert json.loads(reply.text) == answer


async def test_the_request_carries_the_schema_the_instructions_and_the_limit(
    spoken: Spoken,
) -> None:
    reply = await spoken.ask(stub.good())
    (seen,) = spoken.server.requests

    assert seen.schema["properties"].keys() == {"rules"}
    # A model must be able to fill a map that the schema leaves open.
    assert seen.schema["$defs"]["Rule"]["properties"]["arguments"]["additionalProperties"] is True
    assert seen.prompt == PROMPT
    assert "Propose rules." in json.dumps(seen.body)
    assert 700 in (seen.body.get("max_completion_tokens"), seen.body.get("max_tokens"))
    assert Rules.model_validate_json(reply.text)


async def test_tokens_and_cost_are_told(spoken: Spoken) -> None:
    reply = await spoken.ask(stub.good(input_tokens=1_200, output_tokens=300, cached_tokens=1_000))

    assert (reply.input_tokens, reply.output_tokens, reply.cached_tokens) == (1_200, 300, 1_000)
    # 200 fresh, 1,000 cached and 300 written tokens at the list's prices.
    expected = {"openai": Decimal("0.00475"), "anthropic": Decimal("0.0054")}
    assert reply.cost_usd == expected[spoken.provider]


async def test_the_model_that_answered_is_the_one_that_is_named_and_priced(
    spoken: Spoken,
) -> None:
    dated = {"openai": "gpt-4o-2024-08-06", "anthropic": "claude-sonnet-4-6-20260205"}
    spoken.request = replace(spoken.request, model="whatever-is-best")
    reply = await spoken.ask(stub.good(model=dated[spoken.provider]))

    assert reply.model == dated[spoken.provider]
    assert reply.cost_usd is not None


async def test_a_model_without_a_known_price_costs_nobody_knows_what(spoken: Spoken) -> None:
    spoken.request = replace(spoken.request, model="house-model-1")
    reply = await spoken.ask(stub.good())

    assert reply.model == "house-model-1"
    assert reply.cost_usd is None


@pytest.mark.parametrize(
    ("behaviour", "part"),
    [
        (stub.prose, "```json"),
        (stub.wrong_enum, "no-such-member"),
        (stub.broken_answer, '{"rules": [{'),
        (stub.text("No."), "No."),
    ],
    ids=["prose", "wrong enum", "broken", "no JSON"],
)
async def test_what_is_wrong_inside_an_answer_is_for_the_asker_to_judge(
    spoken: Spoken, behaviour: Behaviour, part: str
) -> None:
    assert part in (await spoken.ask(behaviour)).text


async def test_an_empty_answer_is_an_empty_text(spoken: Spoken) -> None:
    assert (await spoken.ask(stub.empty)).text == ""


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ('{"a": "x\x00y"}', '{"a": "xy"}'),
        (r'{"a": "x\u0000y"}', '{"a": "xy"}'),
        (r'{"a": "\\u0000"}', r'{"a": "\\u0000"}'),
        ('{"a": "\ud800"}', '{"a": "?"}'),
    ],
    ids=["raw NUL", "escaped NUL", "escaped backslash", "half a character"],
)
async def test_an_answer_holds_nothing_that_cannot_be_stored(
    spoken: Spoken, sent: str, stored: str
) -> None:
    assert (await spoken.ask(stub.text(sent))).text == stored


# --- Faults ----------------------------------------------------------------------------------

BUSY = [
    pytest.param(stub.rate_limited(7), RATE_LIMITED, 7, id="429 with Retry-After"),
    pytest.param(stub.rate_limited(), RATE_LIMITED, None, id="429"),
    pytest.param(stub.rate_limited("99999999999999"), RATE_LIMITED, 3_600, id="429 for ever"),
    pytest.param(stub.server_error(500), "server_error", None, id="500"),
    pytest.param(stub.server_error(502), "server_error", None, id="502"),
    pytest.param(stub.server_error(503, 3), "server_error", 3, id="503 with Retry-After"),
    pytest.param(stub.server_error(504), "server_error", None, id="504"),
    pytest.param(stub.server_error(529), "overloaded", None, id="529"),
    pytest.param(stub.rejected(408), "timeout", None, id="408"),
    pytest.param(stub.rejected(409), "server_error", None, id="409"),
    pytest.param(stub.hang_up, "connection", None, id="hang up"),
    pytest.param(stub.broken_envelope, "server_error", None, id="half an envelope"),
    pytest.param(stub.not_an_envelope, "server_error", None, id="no envelope"),
    pytest.param(lambda _: Reply(body=b""), "server_error", None, id="nothing"),
    pytest.param(lambda _: Reply(body=b"[]"), "server_error", None, id="a list"),
    pytest.param(lambda _: Reply(body=b"<html>"), "server_error", None, id="HTML"),
]

REFUSED = [
    pytest.param(stub.quota_exhausted, "quota", id="quota"),
    pytest.param(stub.unauthorised(401), "LONGHAUL_LLM__API_KEY", id="401"),
    pytest.param(stub.unauthorised(403), "LONGHAUL_LLM__API_KEY", id="403"),
    pytest.param(stub.unknown_model, "LONGHAUL_LLM__MODEL", id="404"),
]

FAILED = [
    pytest.param(stub.rejected(400), "request_rejected", id="400"),
    pytest.param(stub.rejected(422), "request_rejected", id="422"),
    pytest.param(stub.rejected(418), "request_rejected", id="418"),
    pytest.param(stub.rejected(413), "context_too_long", id="413"),
    pytest.param(stub.too_long, "context_too_long", id="context window"),
    pytest.param(stub.cut_off, "answer_cut_off", id="cut off"),
    pytest.param(stub.refused, "answer_withheld", id="filtered"),
]


@pytest.mark.parametrize(("behaviour", "reason", "retry_after"), BUSY)
async def test_a_provider_that_cannot_answer_now_is_busy(
    spoken: Spoken, behaviour: Behaviour, reason: str, retry_after: int | None
) -> None:
    with pytest.raises(ProviderBusy) as caught:
        await spoken.ask(behaviour)

    assert caught.value.reason == reason
    assert caught.value.retry_after == (
        None if retry_after is None else timedelta(seconds=retry_after)
    )
    assert_quotes_nothing(caught.value)


@pytest.mark.parametrize(("behaviour", "word"), REFUSED)
async def test_a_provider_that_refuses_us_says_what_to_do(
    spoken: Spoken, behaviour: Behaviour, word: str
) -> None:
    with pytest.raises(ProviderRejected, match=word) as caught:
        await spoken.ask(behaviour)

    assert_quotes_nothing(caught.value)


@pytest.mark.parametrize(("behaviour", "code"), FAILED)
async def test_a_request_that_cannot_be_answered_fails_its_item(
    spoken: Spoken, behaviour: Behaviour, code: str
) -> None:
    with pytest.raises(ItemFailed) as caught:
        await spoken.ask(behaviour)

    assert caught.value.item_code == code
    assert_quotes_nothing(caught.value)


def assert_quotes_nothing(error: JobError) -> None:
    said = "".join(traceback.format_exception_only(error))
    assert PROMPT not in said
    assert KEY not in said


async def test_a_provider_that_does_not_answer_in_time_is_busy(spoken: Spoken) -> None:
    await spoken.ask(stub.good())  # a single answer is not timed
    with pytest.raises(ProviderBusy, match=r"within 0\.3 seconds") as caught:
        await spoken.ask(stub.never, timedelta(seconds=0.3))

    assert caught.value.reason == "timeout"
    await spoken.server.until(lambda: spoken.server.abandoned == 1)


async def test_an_address_where_nobody_listens_is_busy(provider: str) -> None:
    base_url = f"http://127.0.0.1:{new_port()}"
    async with open_client(settings(provider, base_url)) as client:
        with pytest.raises(ProviderBusy) as caught:
            await client.complete(request_to(provider), PATIENT)

    assert caught.value.reason == "connection"


async def test_a_cancelled_call_ends_at_once_and_closes_its_request(spoken: Spoken) -> None:
    spoken.server.script(stub.never)
    call = asyncio.create_task(spoken.client.complete(spoken.request, PATIENT))
    await spoken.server.until(lambda: spoken.server.in_flight == 1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    await spoken.server.until(lambda: spoken.server.abandoned == 1)
    assert (await spoken.ask(stub.good())).text


async def test_two_hundred_calls_may_be_on_their_way_at_once(spoken: Spoken) -> None:
    spoken.server.hold()
    calls = [
        asyncio.create_task(
            spoken.client.complete(replace(spoken.request, prompt=f"{number}"), PATIENT)
        )
        for number in range(200)
    ]
    all_there = asyncio.create_task(
        spoken.server.until(lambda: spoken.server.in_flight == len(calls))
    )
    # A call that ends before it is let go has failed.
    await asyncio.wait([all_there, *calls], return_when=asyncio.FIRST_COMPLETED)
    assert all_there.done()
    spoken.server.release()
    await asyncio.gather(*calls)

    assert len(spoken.server.requests) == 200
    assert not spoken.server.repeated()


# --- Opening ---------------------------------------------------------------------------------


def test_a_provider_without_a_key_is_refused_before_it_is_called(provider: str) -> None:
    with pytest.raises(ProviderRejected, match="LONGHAUL_LLM__API_KEY"):
        open_client(LlmSettings.model_validate({"provider": provider}))


def test_the_offline_analyst_has_no_client() -> None:
    with pytest.raises(ValueError, match="offline"):
        open_client(LlmSettings())


def test_the_usual_model_is_asked_when_none_is_configured(provider: str) -> None:
    usual = LlmSettings.model_validate({"provider": provider})
    named = LlmSettings.model_validate({"provider": provider, "model": "mine"})

    assert model_of(usual) == USUAL_MODELS[provider]
    assert model_of(named) == "mine"


async def test_the_usual_model_has_a_price(spoken: Spoken) -> None:
    spoken.request = replace(spoken.request, model=USUAL_MODELS[spoken.provider])

    assert (await spoken.ask(stub.good())).cost_usd


def test_whoever_calls_no_provider_imports_none() -> None:
    code = (
        "import sys; import longhaul.adapters.llm.providers; "
        "print([m for m in ('pydantic_ai', 'openai', 'anthropic', 'httpx2') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "[]"
