"""Anthropic's messages API. Imported only by workers that use it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anthropic import AsyncAnthropic
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.tools import ToolDefinition

from longhaul.adapters.llm.client import PydanticAiClient, open_http, schema_name
from longhaul.adapters.settings import LlmSettings
from longhaul.core.calls import ModelRequest

URL = "https://api.anthropic.com"

_NO_KEY = "none"


@asynccontextmanager
async def open_anthropic(settings: LlmSettings) -> AsyncIterator[PydanticAiClient]:
    """Open a client of Anthropic, or of the configured address."""
    key = settings.api_key.get_secret_value() if settings.api_key else _NO_KEY
    async with open_http() as http:
        sdk = AsyncAnthropic(
            api_key=key,
            base_url=settings.base_url or URL,
            max_retries=0,
            timeout=http.timeout,
            http_client=http,
        )
        provider = AnthropicProvider(anthropic_client=sdk)

        def model(name: str) -> Model:
            return AnthropicModel(name, provider=provider)

        yield PydanticAiClient(model=model, shape=_tool)


def _tool(request: ModelRequest) -> ModelRequestParameters:
    # Not the JSON schema output: it closes every object, so that a model can never fill an
    # open map such as a rule's arguments, and it knows only some models.
    return ModelRequestParameters(
        output_mode="tool",
        output_tools=[
            ToolDefinition(
                name=schema_name(request),
                description="Takes your answer. Always answer by calling this, once.",
                parameters_json_schema=dict(request.schema),
                kind="output",
            )
        ],
        allow_text_output=False,
    )
