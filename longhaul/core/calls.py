"""Paid calls to a model: journalled before they are sent and after they are answered."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPlace:
    """Whose call it is: unique together with the number of the try."""

    job_id: str
    attempt: int
    epoch: int
    ordinal: int
    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """One request to a model, independent of the provider.

    Attributes:
        schema: JSON Schema that the answer must satisfy.
        max_tokens: Upper limit of the answer.
    """

    provider: str
    model: str
    instructions: str
    prompt: str
    schema_name: str
    schema: Mapping[str, Any]
    max_tokens: int = 4_000

    def fingerprint(self) -> str:
        """Equal requests have equal fingerprints; an answer is re-used only for its own."""
        text = json.dumps(
            [
                self.provider,
                self.model,
                self.instructions,
                self.prompt,
                self.schema_name,
                self.schema,
                self.max_tokens,
            ],
            sort_keys=True,
            ensure_ascii=False,
        )
        return hashlib.sha256(text.encode()).hexdigest()

    def estimated_tokens(self) -> int:
        """Roughly what the request will cost: four characters a token, and the answer's limit.

        The rule of thumb of the providers' own documentation for English text; the rate
        limiter is told the true figure afterwards.
        """
        return (len(self.instructions) + len(self.prompt)) // 4 + self.max_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReply:
    """The answer, and what it cost.

    Attributes:
        input_tokens: All of them, cached ones included.
        cost_usd: None where no price is known for the model.
    """

    text: str
    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_usd: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SentCall:
    """One call that was sent.

    Attributes:
        token: Identifies this call, so that journalling it twice counts once.
    """

    place: CallPlace
    token: str
