"""Opens the client of the configured provider, and imports nothing else.

pydantic-ai and a provider's SDK take seconds to import, so only a worker that calls that
provider does, and only when it opens the client.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

from longhaul.adapters.settings import LlmSettings
from longhaul.core.errors import ProviderRejected
from longhaul.core.job_types import OFFLINE
from longhaul.core.ports import ModelClient

# The model when none is configured.
USUAL_MODELS: Mapping[str, str] = {
    OFFLINE: "",
    "openai": "gpt-6.1-terra",
    "anthropic": "claude-sonnet-5-5",
}


def model_of(settings: LlmSettings) -> str:
    """The configured model, or the provider's usual one."""
    return settings.model or USUAL_MODELS[settings.provider]


def open_client(settings: LlmSettings) -> AbstractAsyncContextManager[ModelClient]:
    """Open the provider's client: one for the whole process, with one pool of connections.

    Raises:
        ProviderRejected: There is no key for the provider's own address.
        ValueError: The provider is the offline analyst, which needs no client.
    """
    if settings.provider == OFFLINE:
        raise ValueError("The offline analyst has no client.")
    if settings.api_key is None and settings.base_url is None:
        raise ProviderRejected(
            f"The provider {settings.provider!r} needs a key; set LONGHAUL_LLM__API_KEY."
        )
    if settings.provider == "openai":
        from longhaul.adapters.llm.openai_model import open_openai  # noqa: PLC0415 - see above

        return open_openai(settings)
    from longhaul.adapters.llm.anthropic_model import open_anthropic  # noqa: PLC0415 - see above

    return open_anthropic(settings)
