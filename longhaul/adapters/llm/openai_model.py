"""OpenAI and other servers with its chat completions API. Imported only by workers that use it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from openai import AsyncOpenAI
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

from longhaul.adapters.llm.client import PydanticAiClient, open_http, schema_name
from longhaul.adapters.settings import LlmSettings
from longhaul.core.calls import ModelRequest

URL = "https://api.openai.com/v1"

# Private servers often need no key, but the SDK does.
_NO_KEY = "none"


@asynccontextmanager
async def open_openai(settings: LlmSettings) -> AsyncIterator[PydanticAiClient]:
    """Open a client of OpenAI, or of the configured address."""
    key = settings.api_key.get_secret_value() if settings.api_key else _NO_KEY
    async with open_http() as http:
        sdk = AsyncOpenAI(
            api_key=key,
            base_url=settings.base_url or URL,
            max_retries=0,
            timeout=http.timeout,
            http_client=http,
        )
        # Another server may not have what only OpenAI's API has.
        provider = (
            OpenAICompatibleProvider("openai-compatible", openai_client=sdk)
            if settings.base_url
            else OpenAIProvider(openai_client=sdk)
        )

        def model(name: str) -> Model:
            return OpenAIChatModel(name, provider=provider)

        yield PydanticAiClient(model=model, shape=_json_schema)


def _json_schema(request: ModelRequest) -> ModelRequestParameters:
    return ModelRequestParameters(
        output_mode="native",
        # `strict` is left open: pydantic-ai turns it on where the schema allows it.
        output_object=OutputObjectDefinition(
            json_schema=dict(request.schema), name=schema_name(request)
        ),
    )
