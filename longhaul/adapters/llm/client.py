"""One request to a model, through pydantic-ai. Takes seconds to import: see `providers`."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx2
from pydantic_ai.direct import model_request
from pydantic_ai.exceptions import ModelAPIError, UnexpectedModelBehavior
from pydantic_ai.messages import ModelRequest as Conversation
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.settings import ModelSettings

from longhaul.adapters.llm.errors import translated
from longhaul.adapters.llm.prices import cost_of
from longhaul.core.calls import ModelReply, ModelRequest
from longhaul.core.errors import ItemFailed, ProviderBusy

CONNECT_TIMEOUT = timedelta(seconds=5)
KEEP_ALIVE = timedelta(seconds=30)
MOST_IDLE = 50

_BACKSLASH_OR_NUL = re.compile(r"(\\\\)|\\u0000|\x00")


@asynccontextmanager
async def open_http() -> AsyncIterator[httpx2.AsyncClient]:
    """Open the connections that all calls of the process share."""
    # As many connections as calls: their number is limited elsewhere, and a
    # call that waited here for a connection would already count as sent. Only connecting has a
    # limit of its own; the whole call has the caller's.
    async with httpx2.AsyncClient(
        timeout=httpx2.Timeout(None, connect=CONNECT_TIMEOUT.total_seconds()),
        limits=httpx2.Limits(
            max_connections=None,
            # Of those that are idle: each call looks at every one of them.
            max_keepalive_connections=MOST_IDLE,
            keepalive_expiry=KEEP_ALIVE.total_seconds(),
        ),
        follow_redirects=True,
    ) as http:
        yield http


class PydanticAiClient:
    """Sends requests to one provider; each is exactly one HTTP request.

    Args:
        model: Makes the model of a name, with a client that never retries.
        shape: How a request asks for its JSON answer.
    """

    def __init__(
        self,
        *,
        model: Callable[[str], Model],
        shape: Callable[[ModelRequest], ModelRequestParameters],
    ) -> None:
        self._model = model
        self._shape = shape
        self._models: dict[str, Model] = {}

    async def complete(self, request: ModelRequest, within: timedelta) -> ModelReply:
        """Return the model's answer as it is: text that should be JSON."""
        model, shape = self._named(request.model), self._shape(request)
        asked = Conversation.user_text_prompt(request.prompt, instructions=request.instructions)
        # Thinking counts against `max_tokens`, and an answer that is cut off is useless.
        settings = ModelSettings(max_tokens=request.max_tokens, thinking=False)
        try:
            async with asyncio.timeout(within.total_seconds()):
                response = await model_request(
                    model,
                    [asked],
                    model_settings=settings,
                    model_request_parameters=shape,
                    instrument=False,  # its spans would carry prompts
                )
        except TimeoutError as exc:
            raise ProviderBusy(
                f"The model provider gave no answer within {within.total_seconds():g} seconds.",
                reason="timeout",
            ) from exc
        except (ModelAPIError, UnexpectedModelBehavior) as exc:
            raise translated(exc) from exc
        except (TypeError, AttributeError) as exc:
            # It raises this for a 200 whose JSON is not an answer, such as a gateway's error.
            raise ProviderBusy(
                "The model provider sent a response that cannot be read.", reason="server_error"
            ) from exc
        return _reply(request, response)

    def _named(self, name: str) -> Model:
        model = self._models.get(name)
        if model is None:
            model = self._models[name] = self._model(name)
        return model


def schema_name(request: ModelRequest) -> str:
    """The answer's name as providers accept it."""
    return re.sub(r"[^a-zA-Z0-9_-]+", "_", request.schema_name)[:64]


def _reply(request: ModelRequest, response: ModelResponse) -> ModelReply:
    if response.finish_reason == "length":
        raise ItemFailed(
            "answer_cut_off",
            f"The model's answer was longer than {request.max_tokens} tokens and was cut off.",
        )
    if response.finish_reason == "content_filter":
        raise ItemFailed("answer_withheld", "The model provider's filter withheld the answer.")
    usage = response.usage
    return ModelReply(
        text=_storable(_text(response)),
        model=response.model_name or request.model,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_tokens=usage.cache_read_tokens,
        cost_usd=cost_of(usage, request.provider, response.model_name, request.model),
    )


def _text(response: ModelResponse) -> str:
    for part in response.parts:
        if isinstance(part, ToolCallPart):
            return part.args_as_json_str()
    return "".join(part.content for part in response.parts if isinstance(part, TextPart))


def _storable(text: str) -> str:
    """Without NUL, raw or escaped, and without half surrogate pairs: PostgreSQL stores neither."""
    without = _BACKSLASH_OR_NUL.sub(lambda found: found[1] or "", text)
    return without.encode(errors="replace").decode()
