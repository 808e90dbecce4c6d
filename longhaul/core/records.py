"""Which record a line of a document is about.

A document about one record has its key anywhere. One about many has the key of each above
its part, or in the same row of a table.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum, auto
from typing import TypeAlias

from longhaul.core.extraction import DocumentText, Question, whole
from longhaul.core.layout import (
    GAP,
    Line,
    below,
    read_lines,
    read_separated,
    tables,
    words_of,
)

# How surely a line is about the record: it is named above; it is named somewhere before; nobody
# says whose it is.
CERTAIN, LIKELY, POSSIBLE = 1.0, 0.8, 0.5

# What may be between a key's name and its value.
_BETWEEN = re.compile(r"(?:[\s:=#.|\-(\[\"']|\b(?:no|nr|nbr|is|was)\b)*", re.IGNORECASE)

# A key follows its name within this many characters.
_BEHIND = 500
# This many characters after a key are read to find its end.
_MORE = 20

_Place: TypeAlias = tuple[int, int]


class _Whose(Enum):
    OURS = auto()
    OTHER = auto()


class Records:
    """Says how surely each line of a document is about the record of a question.

    Attributes:
        lines: The lines of each page.
        named: The keys that tell the record from others and occur in the document.
    """

    def __init__(self, question: Question, document: DocumentText) -> None:
        self.lines = [read_lines(page) for page in document.pages]
        self._starts = [[line.start for line in lines] for lines in self.lines]
        self.named = {
            name: value for name, value in question.identifiers.items() if document.holds(value)
        }
        self._labels = [
            (re.compile(rf"(?<![0-9A-Za-z])(?:{words})(?![0-9A-Za-z])", re.IGNORECASE), value)
            for name, value in question.identifiers.items()
            if value and (words := words_of(name))
        ]
        headings = dict(self._headings())
        separated = [read_separated(page) for page in document.pages]
        rows = dict(self._rows(self.lines, headings, aligned=True))
        rows |= self._rows(separated, headings, aligned=False)
        self._shares = dict(self._shared(headings, rows))

    def share(self, page: int, line: int) -> float | None:
        """How surely a line is about the record; None if it is about another one.

        Args:
            page, line: Counted from 0.
        """
        return self._shares[page, line]

    def share_at(self, page: int, offset: int) -> float | None:
        """The same for the line of a character of a page."""
        return self._shares[page, max(bisect_right(self._starts[page], offset) - 1, 0)]

    def _shared(
        self, headings: Mapping[_Place, _Whose], rows: Mapping[_Place, _Whose]
    ) -> Iterator[tuple[_Place, float | None]]:
        has_others = _Whose.OTHER in headings.values()
        is_only_ours = not has_others and _Whose.OURS in headings.values()
        mentions = [whole(value) for value in self.named.values()]
        above: _Whose | None = None
        is_mentioned = False
        for place, line in self._places():
            above = headings.get(place, above)
            is_mentioned = is_mentioned or any(one.search(line.text) for one in mentions)
            match rows.get(place, above):
                case _Whose.OURS:
                    yield place, CERTAIN
                case _Whose.OTHER:
                    yield place, None
                case _ if is_only_ours:
                    yield place, CERTAIN
                case _ if is_mentioned:
                    yield place, LIKELY
                case _:
                    yield place, None if has_others else POSSIBLE

    def _places(self) -> Iterator[tuple[_Place, Line]]:
        for page, lines in enumerate(self.lines):
            for number, line in enumerate(lines):
                yield (page, number), line

    def _headings(self) -> Iterator[tuple[_Place, _Whose]]:
        """Lines with the key of a record: the following ones are about it."""
        for (page, number), line in self._places():
            begins = len(line.text) - len(line.text.lstrip())
            for label, value in self._labels:
                for found in label.finditer(line.text):
                    said = line.text[found.end() : found.end() + _BEHIND]
                    if found.start() <= begins and not said.strip(" \t:"):
                        following = self.lines[page][number + 1 : number + 2]
                        said = "".join(one.text[:_BEHIND] for one in following)
                    whose = _whose(said, value)
                    if whose is not None:
                        yield (page, number), whose

    def _rows(
        self,
        pages: Sequence[Sequence[Line]],
        headings: Mapping[_Place, _Whose],
        *,
        aligned: bool,
    ) -> Iterator[tuple[_Place, _Whose]]:
        """Rows of tables that have a column for the key."""
        for page, lines in enumerate(pages):
            for label, value in self._labels:
                for table in tables(lines, label):
                    if (page, table.at) in headings or table.title.text.endswith(":"):
                        continue
                    for number, row in enumerate(table.rows, table.at + 1):
                        if len(row.cells) == 1:
                            break
                        key = below(table.header, table.title, row, aligned=aligned)
                        whose = _whose(key.text, value) if key else None
                        if whose is not None:
                            yield (page, number), whose


def _whose(said: str, value: str) -> _Whose | None:
    """Whether words that should begin with a record's key have ours, another, or none."""
    begins = _BETWEEN.match(said).end()  # type: ignore[union-attr] # it also matches an empty text
    words = GAP.split(said[begins : begins + len(value) + _MORE].strip(), maxsplit=1)[0]
    if whole(value).match(words):
        return _Whose.OURS
    first = next(iter(words.split()), "")
    return _Whose.OTHER if any(char.isdigit() for char in first) else None
