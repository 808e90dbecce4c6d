"""What a model answers about a document, and what of it is believed."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from longhaul.core.extraction import DocumentText, Extraction, Question
from longhaul.core.job_types import BadAnswer


class FoundKey(BaseModel):
    """A key of the record that stands in the document."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: str = Field(max_length=500, description="the key's name, as in the data")
    value: str = Field(max_length=500, description="as it is written in the document")


class ExtractionAnswer(BaseModel):
    """Where the document says the value of the attribute, if it does."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    found: bool = Field(description="whether the document says the value for this record")
    value: str | None = Field(None, max_length=2_000, description="exactly as it is written")
    quote: str | None = Field(
        None, max_length=2_000, description="the words around the value, exactly as written"
    )
    page: int | None = Field(None, ge=1, description="the page that the quote is from")
    primary_keys: list[FoundKey] = Field(
        default_factory=list, max_length=20, description="keys of the record that you found"
    )
    confidence: float = Field(ge=0, le=1, description="0 to 1: how sure you are")
    rationale: str = Field(min_length=1, max_length=2_000, description="why it is this value")


def read_extraction(
    answer: ExtractionAnswer,
    question: Question,
    document: DocumentText,
    frozen: Mapping[str, Any],
) -> Extraction:
    """Turn an answer into an extraction; what it quotes must stand in the document.

    Raises:
        BadAnswer: Everything that is wrong with it.
    """
    location: Mapping[str, Any] = {}
    complaints = list(_key_complaints(answer, question, document))
    if answer.found:
        located = _locate(answer, document)
        if isinstance(located, str):
            complaints.append(located)
        else:
            location = located
    elif answer.value:
        complaints.append("`value` must be null when `found` is false.")
    if complaints:
        raise BadAnswer("\n".join(complaints))
    return Extraction(
        value=answer.value if answer.found else None,
        keys={key.name: key.value for key in answer.primary_keys},
        confidence=answer.confidence,
        rationale=answer.rationale,
        provider=frozen["provider"],
        model=frozen["model"],
        prompt_version=frozen["prompt_version"],
        location=location,
    )


def _key_complaints(
    answer: ExtractionAnswer, question: Question, document: DocumentText
) -> Iterable[str]:
    for number, key in enumerate(answer.primary_keys, start=1):
        if key.name not in question.keys:
            yield f"Primary key {number} has a name that is none of the record's keys."
        elif not document.holds(key.value):
            yield f"Primary key {number} does not stand in the document as you write it."


def _locate(answer: ExtractionAnswer, document: DocumentText) -> Mapping[str, Any] | str:
    if not answer.value or not answer.quote or answer.page is None:
        return "When `found` is true, `value`, `quote` and `page` are needed."
    if answer.page > len(document.pages):
        return f"The document has {len(document.pages)} pages."
    found = document.find(answer.quote, answer.page)
    if found is None:
        return "The quote does not stand on that page to the letter; copy it from the text."
    if " ".join(answer.value.split()) not in " ".join(answer.quote.split()):
        return "The value does not stand in the quote to the letter."
    page, offset, length = found
    return {"page": page, "offset": offset, "length": length, "quote": answer.quote}
