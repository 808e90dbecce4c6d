"""How plain text shows that a value belongs to a label: after it, below it or in its column."""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

GAP = re.compile(r" {2,}|\t+| *\| *")

# A table's rows are at most this far below its header.
_MOST_ROWS = 2_000
# The most columns of one name in a table.
_MOST_TITLES = 10
# A field of a CSV begins this close to the end of the one before.
_QUOTES = 500
_LONGEST_CELL = 500
_LONGEST_RECORD = 100_000


@dataclass(frozen=True, slots=True)
class Cell:
    """Some words on a line.

    Attributes:
        start: Where they begin, in characters from the beginning of the page.
    """

    text: str
    start: int

    @property
    def middle(self) -> float:
        """Where their middle is."""
        return self.start + len(self.text) / 2


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a page.

    Attributes:
        start: Where it begins, in characters from the beginning of the page.
    """

    text: str
    start: int
    cells: tuple[Cell, ...]

    def column(self, cell: Cell) -> tuple[float, float]:
        """Where a cell begins and ends, from the beginning of the line."""
        return cell.start - self.start, cell.start - self.start + len(cell.text)


@dataclass(frozen=True, slots=True)
class Table:
    """Lines that may be a table with a column for a label.

    Attributes:
        title: The cell of the header that is the label.
        at: The number of the header's line; the rows begin on the next line.
    """

    header: Line
    title: Cell
    at: int
    rows: Sequence[Line]


def read_lines(page: str) -> list[Line]:
    """The lines of a page with their cells: words separated by wide gaps, tabs or bars."""
    lines = []
    start = 0
    for text in page.split("\n"):
        lines.append(Line(text, start, tuple(_cells(text, start))))
        start += len(text) + 1
    return lines


def read_separated(page: str) -> list[Line]:
    """The lines of a page with their cells, separated by commas or semicolons."""
    lines = []
    start = 0
    for text in page.split("\n"):
        delimiter = ";" if text.count(";") > text.count(",") else ","
        cells = []
        place = 0
        # A lone return does not end a line here, and `csv` does not accept one within a line.
        plain = text[:_LONGEST_RECORD].rstrip("\r").replace("\r", " ")
        for value in next(csv.reader([plain], delimiter=delimiter), []):
            at = plain.find(value, place, place + len(value) + _QUOTES)
            cells.append(Cell(value.strip(), start + max(at, place)))
            place = max(at, place) + len(value)
        lines.append(Line(text, start, tuple(cells)))
        start += len(text) + 1
    return lines


def words_of(name: str) -> str:
    """A pattern of a name as documents write it: the same words with any separator."""
    words = re.findall(r"[^\W_]+|[%#$]", name)
    return r"[\s_\-\u2010-\u2015/,.()&'’]*".join(map(re.escape, words)) + (r"\)?" if words else "")


def below(header: Line, label: Cell, row: Line, *, aligned: bool) -> Cell | None:
    """The cell of a row that is below a cell of its header.

    Args:
        aligned: Whether columns are found by their position, not only by their number.
    """
    if len(row.cells) == len(header.cells):
        return row.cells[header.cells.index(label)]
    if not aligned:
        return None
    # An empty cell is only a gap, so counting would be wrong.
    left, right = header.column(label)
    for cell in row.cells:
        begin, end = row.column(cell)
        if begin < right and left < end:
            return cell
    return None


def tables(lines: Sequence[Line], is_label: "re.Pattern[str]") -> Iterator[Table]:
    """Tables with a column for a label; where the label is a title again, another one begins."""
    headers = [
        (at, titles)
        for at, line in enumerate(lines)
        if len(line.cells) > 1 and (titles := _titles(line, is_label))
    ]
    for (at, titles), (end, _) in pairwise([*headers, (len(lines), [])]):
        rows = lines[at + 1 : min(end, at + 1 + _MOST_ROWS)]
        for title in titles:
            yield Table(lines[at], title, at, rows)


def _titles(line: Line, is_label: "re.Pattern[str]") -> list[Cell]:
    titles = (cell for cell in line.cells if is_label.fullmatch(cell.text.strip().rstrip(":")))
    return list(islice(titles, _MOST_TITLES))


def _cells(text: str, start: int) -> Iterator[Cell]:
    gaps = [(0, 0), *((found.start(), found.end()) for found in GAP.finditer(text))]
    gaps.append((len(text), len(text)))
    for (_, begin), (end, _) in pairwise(gaps):
        words = text[begin:end].strip()
        if words:
            yield Cell(words[:_LONGEST_CELL], start + begin + text[begin:end].index(words))
