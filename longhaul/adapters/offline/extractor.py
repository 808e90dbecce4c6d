"""Finds values in documents by their labels: no network, no model, always the same answer."""

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from longhaul.adapters.offline.labels import DOUBT, behind, label
from longhaul.core.attributes import Attribute
from longhaul.core.extraction import DocumentText, Extraction, Question
from longhaul.core.job_types import OFFLINE, Calls
from longhaul.core.layout import (
    Cell,
    Line,
    below,
    read_separated,
    tables,
)
from longhaul.core.records import Records

MODEL = "labels"
VERSION = "2"

_QUOTE = 300

# A line with its own label and value is not a value of the line above.
_NAMED = re.compile(r"[A-Za-z)] ?[:=]")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A value that may belong to a label.

    Attributes:
        weight: The confidence of this way of finding it, 0-1.
    """

    page: int
    cell: Cell
    line: Line
    weight: float
    why: str


class OfflineExtractor:
    """Searches the attribute's name, and the value after or below it.

    Args:
        seconds_per_item: How long to wait for each item, for demonstrations and tests.
    """

    def __init__(self, *, seconds_per_item: float = 0.0) -> None:
        self._seconds = seconds_per_item

    async def extract(
        self,
        question: Question,
        document: DocumentText,
        frozen: Mapping[str, Any],
        calls: Calls,
    ) -> Extraction:
        """Find the value, or say that it is not there."""
        if self._seconds:
            await asyncio.sleep(self._seconds)
        return await asyncio.to_thread(_extract, question, document)


def _extract(question: Question, document: DocumentText) -> Extraction:
    keys = {name: value for name, value in question.keys.items() if document.holds(value)}
    records = Records(question, document)
    found = [
        one
        for number, page in enumerate(document.pages, start=1)
        for one in _on_page(number, page, question, keys, records)
    ]
    if not found:
        return _extraction(None, keys, 0.0, _missing(document), {})
    best = max(found, key=lambda one: one.weight)
    rivals = {one.cell.text for one in found if one.weight == best.weight}
    confidence = best.weight if len(rivals) == 1 else round(best.weight / 2, 2)
    why = best.why
    if len(rivals) > 1:
        why += f" There are {len(rivals)} such values; this is the first."
    location = {
        "page": best.page,
        "offset": best.cell.start,
        "length": len(best.cell.text),
        "quote": " ".join(best.line.text.split())[:_QUOTE],
    }
    return _extraction(best.cell.text, keys, confidence, why, location)


def _extraction(
    value: str | None,
    keys: Mapping[str, str],
    confidence: float,
    why: str,
    location: Mapping[str, Any],
) -> Extraction:
    return Extraction(
        value=value,
        keys=keys,
        confidence=confidence,
        rationale=why,
        provider=OFFLINE,
        model=MODEL,
        prompt_version=VERSION,
        location=location,
    )


def _missing(document: DocumentText) -> str:
    said = "No label of the attribute with a value of this record was found."
    if document.without_text:
        pages = ", ".join(map(str, document.without_text[:20]))
        said += f" Without a text layer: page {pages}."
    return said


def _on_page(
    number: int, page: str, question: Question, keys: Mapping[str, str], records: Records
) -> Iterator[_Found]:
    lines, is_label = records.lines[number - 1], label(question.attribute)
    yield from _in_tables(number, lines, is_label, keys, records, aligned=True)
    yield from _behind_labels(number, lines, question.attribute, records)
    yield from _in_tables(number, read_separated(page), is_label, keys, records, aligned=False)


def _in_tables(
    number: int,
    lines: Sequence[Line],
    is_label: re.Pattern[str],
    keys: Mapping[str, str],
    records: Records,
    *,
    aligned: bool,
) -> Iterator[_Found]:
    wanted = {_bare(value) for value in keys.values()}
    needed = {_bare(value) for value in records.named.values()}
    for table in tables(lines, is_label):
        trust = _trust(is_label.match(table.title.text))
        for place, row in enumerate(table.rows, table.at + 1):
            named = wanted & {_bare(cell.text) for cell in row.cells}
            if not named & needed or records.share(number - 1, place) is None:
                continue
            cell = below(table.header, table.title, row, aligned=aligned)
            if cell is not None:
                # A row with more of the keys is more surely the record's.
                weight = round((0.95 - 0.2 * (1 - len(named) / len(wanted))) * trust, 2)
                yield _Found(
                    page=number, cell=cell, line=row, weight=weight, why="In the record's row."
                )


def _behind_labels(
    number: int,
    lines: Sequence[Line],
    attribute: Attribute,
    records: Records,
) -> Iterator[_Found]:
    pattern, is_label = behind(attribute), label(attribute)
    for at, line in enumerate(lines):
        share = records.share(number - 1, at)
        if share is None:
            continue
        found = pattern.search(line.text)
        if found:
            value = re.split(r" {2,}|\t| \| ", found["value"].rstrip())[0].strip()
            cell = Cell(value, line.start + found.start("value"))
            weight = (0.9 if ":" in found["colon"] else 0.8) * share * _trust(found)
            why = "Behind the attribute's label."
        elif (below_it := _below_label(lines, at, is_label)) is not None:
            weight = 0.6 * share * _trust(is_label.match(line.text.strip()))
            cell, why = below_it, "Below the attribute's label."
        else:
            continue
        if cell.text:
            yield _Found(page=number, cell=cell, line=line, weight=round(weight, 2), why=why)


def _below_label(lines: Sequence[Line], at: int, is_label: re.Pattern[str]) -> Cell | None:
    line = lines[at]
    if not is_label.fullmatch(line.text.strip().rstrip(":")) or at + 1 == len(lines):
        return None
    following = lines[at + 1].cells
    if len(following) != 1 or _NAMED.search(following[0].text):
        return None
    return following[0]


def _trust(found: re.Match[str] | None) -> float:
    return DOUBT if found and found["doubtful"] else 1.0


def _bare(text: str) -> str:
    return "".join(text.split()).casefold()
