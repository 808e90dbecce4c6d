"""Reading a model's answer: models wrap JSON in prose and fences, and get fields wrong."""

import json
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from longhaul.core.job_types import BadAnswer

A = TypeVar("A", bound=BaseModel)

MAX_COMPLAINT = 2_000


def read_answer(text: str, answer: type[A]) -> A:
    """Find the JSON object in an answer and validate it.

    Raises:
        BadAnswer: There is no complete JSON object in it.
        ValidationError: The object does not have the shape asked for.
    """
    start = text.find("{")
    if start < 0:
        raise BadAnswer("The answer holds no JSON object.")
    try:
        value, _ = json.JSONDecoder().raw_decode(text[start:])
    except ValueError:
        raise BadAnswer("The JSON object in the answer is broken or cut off.") from None
    return answer.model_validate(value)


def complaint(error: ValidationError | BadAnswer) -> str:
    """Tell a model what was wrong, where, without repeating its whole answer."""
    if isinstance(error, BadAnswer):
        return str(error)[:MAX_COMPLAINT]
    lines = [
        f"- {'.'.join(str(part) for part in one['loc']) or 'answer'}: {one['msg']}"
        for one in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    return "\n".join(lines)[:MAX_COMPLAINT]
