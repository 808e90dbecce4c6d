"""A model's answer about a document, and the checks that it must pass."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from longhaul.core.extraction import (
    AROUND,
    DocumentText,
    Extraction,
    Question,
    spaced,
    spaced_whole,
)
from longhaul.core.job_types import BadAnswer
from longhaul.core.records import Records


class FoundKey(BaseModel):
    """A key of the record that occurs in the document."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: str = Field(max_length=500, description="the key's name, as in the data")
    value: str = Field(max_length=500, description="as it is written in the document")


class ExtractionAnswer(BaseModel):
    """Where the document has the value of the attribute, if it does."""

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
    records: Records,
    frozen: Mapping[str, Any],
) -> Extraction:
    """Turn an answer into an extraction; its quote must occur in the document.

    It must be about the record as well. If the document does not show which record the value
    belongs to, the confidence is lowered.

    Raises:
        BadAnswer: Everything that is wrong with it.
    """
    location: Mapping[str, Any] = {}
    confidence = answer.confidence
    complaints = list(_key_complaints(answer, question, document))
    if answer.found:
        complaints += _missing_keys(answer, records)
        located = _located(answer, document, records)
        if isinstance(located, str):
            complaints.append(located)
        else:
            location, share = located
            confidence = min(confidence, share)
    elif answer.value:
        complaints.append("`value` must be null when `found` is false.")
    if complaints:
        raise BadAnswer("\n".join(complaints))
    return Extraction(
        value=answer.value if answer.found else None,
        keys={key.name: key.value for key in answer.primary_keys},
        confidence=confidence,
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
            yield f"Primary key {number} has a name that is not one of the record's keys."
        elif not document.holds(key.value):
            yield f"Primary key {number} does not occur in the document as you write it."
        elif answer.found and not _is_ours(key, question):
            yield f"Primary key {number} is that of another record."


def _is_ours(key: FoundKey, question: Question) -> bool:
    """Whether a key is the record's; a day or a bank may be written in other ways."""
    ours = question.identifiers.get(key.name)
    return ours is None or key.value.strip().casefold() == ours.casefold()


def _missing_keys(answer: ExtractionAnswer, records: Records) -> Iterable[str]:
    if records.named and not {key.name for key in answer.primary_keys} & set(records.named):
        names = " or ".join(records.named)
        yield f"When `found` is true, the record's {names} must be among the primary keys."


def _located(
    answer: ExtractionAnswer, document: DocumentText, records: Records
) -> tuple[Mapping[str, Any], float] | str:
    """Where the quote stands and how surely it is about the record, or what is wrong with it."""
    if not answer.value or not answer.quote or answer.page is None:
        return "When `found` is true, `value`, `quote` and `page` are needed."
    if answer.page > len(document.pages):
        return f"The document has {len(document.pages)} pages."
    is_value = spaced_whole(answer.value)
    if not is_value.search(answer.quote):
        return "The value does not occur in the quote exactly and as a whole."
    page = document.pages[answer.page - 1]
    quotes = list(spaced(answer.quote).finditer(page))
    if not quotes:
        return "The quote does not occur on that page exactly; copy it from the text."
    shares: dict[tuple[int, int], float] = {}
    for quote in quotes:
        first = max(quote.start() - AROUND, 0)
        for value in is_value.finditer(page[first : quote.end() + AROUND]):
            start, end = first + value.start(), first + value.end()
            if quote.start() <= start and end <= quote.end():
                share = records.share_at(answer.page - 1, start)
                shares[quote.span()] = max(share or 0, shares.get(quote.span(), 0))
    if not shares:
        return "The quote cuts the value short; copy it from the text with the whole value."
    # The same words may occur in the parts of several records.
    (start, end), share = max(shares.items(), key=lambda one: one[1])
    if not share:
        return "The quote is from a part of the document about another record."
    return {
        "page": answer.page,
        "offset": start,
        "length": end - start,
        "quote": answer.quote,
    }, share
