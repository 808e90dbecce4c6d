"""The parts of a long document that a model sees: those around labels and keys."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from longhaul.core.extraction import DocumentText, Question, whole
from longhaul.core.layout import words_of
from longhaul.core.records import Records

# A page is shown in blocks of this many characters.
_BLOCK = 500
# What belongs to a hit, nearest first: its own block, and those around it.
_AROUND = (0, 1, -1, 2)


@dataclass(frozen=True, slots=True, order=True)
class Excerpt:
    """Some characters of a page; pages are counted from 0."""

    page: int
    start: int
    end: int


def excerpts(
    question: Question, document: DocumentText, records: Records, most: int
) -> Sequence[Excerpt]:
    """The parts to show, in their order, up to a number of characters together.

    All of a short document. Of a longer one what stands around the label in the record's own
    part comes first, then around its keys, then around the label where it is not said whose
    part it is; what is left is filled from the beginning.
    """
    pages = document.pages
    if sum(map(len, pages)) <= most:
        return [Excerpt(number, 0, len(page)) for number, page in enumerate(pages) if page.strip()]
    left = most // _BLOCK
    chosen: set[tuple[int, int]] = set()
    for page, block in _promising(question, document, records):
        text = pages[page][max(block, 0) * _BLOCK : (block + 1) * _BLOCK]
        if left and block >= 0 and text.strip() and (page, block) not in chosen:
            chosen.add((page, block))
            left -= 1
    return list(_joined(sorted(chosen), document))


def _promising(
    question: Question, document: DocumentText, records: Records
) -> Iterator[tuple[int, int]]:
    hits = sorted(_hits(question, document, records))
    for _, page, at in hits:
        yield from ((page, at // _BLOCK + step) for step in _AROUND)
    for number, text in enumerate(document.pages):
        yield from ((number, block) for block in range(len(text) // _BLOCK + 1))


def _hits(
    question: Question, document: DocumentText, records: Records
) -> Iterator[tuple[float, int, int]]:
    """The places of labels and keys, each with a rank; the lowest is best."""
    attribute = question.attribute
    names = (attribute.name, attribute.column or "", attribute.mdrm or "")
    phrases = "|".join(phrase for name in names if (phrase := words_of(name)))
    label = re.compile(phrases or "(?!)", re.IGNORECASE)
    words = re.compile("|".join(re.findall(r"\w{4,}", attribute.name)) or "(?!)", re.IGNORECASE)
    for number, page in enumerate(document.pages):
        for found in label.finditer(page):
            share = records.share_at(number, found.start())
            yield (1.5 if share is None else 1 - share), number, found.start()
        for value in records.named.values():
            # Less than a label under the key, more than one without a record.
            yield from ((0.1, number, one.start()) for one in whole(value).finditer(page))
        yield from ((1.0, number, one.start()) for one in words.finditer(page))


def _joined(chosen: Sequence[tuple[int, int]], document: DocumentText) -> Iterator[Excerpt]:
    start = 0
    for place, (page, block) in enumerate(chosen):
        if place == 0 or chosen[place - 1] != (page, block - 1):
            start = block * _BLOCK
        if place + 1 == len(chosen) or chosen[place + 1] != (page, block + 1):
            yield Excerpt(page, start, min((block + 1) * _BLOCK, len(document.pages[page])))
