"""Asks a model where a document says a value, and checks that the quote occurs there exactly."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from longhaul.adapters.llm.excerpts import Excerpt, excerpts
from longhaul.adapters.llm.prompts import load
from longhaul.core.extraction import DocumentText, Extraction, Question
from longhaul.core.extraction_answers import ExtractionAnswer, read_extraction
from longhaul.core.job_types import Calls
from longhaul.core.records import Records

TASK = "test_execution"
STEP = "extraction"

# The most characters of a document in a prompt; of a longer one the best parts.
MAX_TEXT = 40_000
MAX_DESCRIPTION = 2_000


class ModelExtractor:
    """Finds values with a model.

    The model does not see the expected value, so it cannot repeat it.
    """

    async def extract(
        self,
        question: Question,
        document: DocumentText,
        frozen: Mapping[str, Any],
        calls: Calls,
    ) -> Extraction:
        """Find the value, or say that it is not there."""
        records, shown = await asyncio.to_thread(_look_over, question, document)

        async def check(answer: ExtractionAnswer) -> None:
            read_extraction(answer, question, document, records, frozen)

        prompt = load(TASK, frozen["prompt_version"], "document")
        answer = await calls.ask(
            step=STEP,
            provider=frozen["provider"],
            model=frozen["model"],
            instructions=prompt.instructions,
            prompt=prompt.about(_described(question, document, shown)),
            answer=ExtractionAnswer,
            check=check,
        )
        found = read_extraction(answer, question, document, records, frozen)
        return replace(found, rationale=found.rationale + _cut(document, shown))


def _look_over(question: Question, document: DocumentText) -> tuple[Records, Sequence[Excerpt]]:
    records = Records(question, document)
    return records, excerpts(question, document, records, MAX_TEXT)


def _described(
    question: Question, document: DocumentText, shown: Sequence[Excerpt]
) -> Mapping[str, Any]:
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
        "identifying": list(question.identifiers),
        "document": {
            "pages": len(document.pages),
            "pages_without_text": list(document.without_text),
            "is_shown_in_parts": bool(_cut(document, shown)),
            "text": [_part(document, one) for one in shown],
        },
    }


def _part(document: DocumentText, one: Excerpt) -> Mapping[str, Any]:
    page = document.pages[one.page]
    part = {"page": one.page + 1, "text": page[one.start : one.end]}
    if one.end - one.start == len(page):
        return part
    return {**part, "from": one.start, "to": one.end, "length": len(page)}


def _cut(document: DocumentText, shown: Sequence[Excerpt]) -> str:
    """The note for people when a model has not seen all of a document."""
    length = sum(len(page) for page in document.pages if page.strip())
    seen = sum(one.end - one.start for one in shown)
    return f" The model was shown {seen:,} of the text's {length:,} characters." * (seen < length)
