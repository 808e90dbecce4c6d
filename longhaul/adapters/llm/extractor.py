"""Asks a model where a document says a value, and believes only what stands there to the letter."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from longhaul.adapters.llm.prompts import load
from longhaul.core.extraction import DocumentText, Extraction, Question
from longhaul.core.extraction_answers import ExtractionAnswer, read_extraction
from longhaul.core.job_types import Calls

TASK = "test_execution"
STEP = "extraction"

# What of a document goes into a prompt; of a longer one the pages that look most promising.
MAX_TEXT = 40_000
MAX_DESCRIPTION = 2_000


class ModelExtractor:
    """Finds what a model finds.

    The expected value is not shown to the model: what it does not know it cannot repeat.
    """

    async def extract(
        self,
        question: Question,
        document: DocumentText,
        frozen: Mapping[str, Any],
        calls: Calls,
    ) -> Extraction:
        """Find the value, or say that it is not there."""

        async def check(answer: ExtractionAnswer) -> None:
            read_extraction(answer, question, document, frozen)

        prompt = load(TASK, frozen["prompt_version"], "document")
        answer = await calls.ask(
            step=STEP,
            provider=frozen["provider"],
            model=frozen["model"],
            instructions=prompt.instructions,
            prompt=prompt.about(_described(question, document)),
            answer=ExtractionAnswer,
            check=check,
        )
        return read_extraction(answer, question, document, frozen)


def _described(question: Question, document: DocumentText) -> Mapping[str, Any]:
    attribute = question.attribute
    return {
        "attribute": {
            "name": attribute.name,
            "mdrm": attribute.mdrm,
            "data_type": attribute.data_type,
            "format": attribute.format,
            "description": attribute.description[:MAX_DESCRIPTION],
            "physical_column": attribute.column,
        },
        "record_keys": dict(question.keys),
        "document": {
            "pages": len(document.pages),
            "pages_without_text": list(document.without_text),
            "text": _chosen(question, document),
        },
    }


def _chosen(question: Question, document: DocumentText) -> Sequence[Mapping[str, Any]]:
    """The pages that fit, best first chosen, in their order."""
    words = {word.casefold() for word in re.findall(r"\w{3,}", question.attribute.name)}

    def promise(page: str) -> tuple[bool, int]:
        folded = page.casefold()
        has_key = any(value.casefold() in folded for value in question.keys.values() if value)
        return has_key, sum(word in folded for word in words)

    ranked = sorted(
        range(len(document.pages)), key=lambda index: promise(document.pages[index]), reverse=True
    )
    left = MAX_TEXT
    chosen: dict[int, str] = {}
    for index in ranked:
        if left > 0 and document.pages[index].strip():
            chosen[index] = document.pages[index][:left]
            left -= len(chosen[index])
    return [{"page": index + 1, "text": chosen[index]} for index in sorted(chosen)]
