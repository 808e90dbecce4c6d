"""CSV: the form of a file is read from its first line, not guessed from its values."""

import csv
from collections.abc import Sequence
from pathlib import Path

from longhaul.core.errors import ItemFailed

DELIMITERS = ",;\t|"
LONGEST_LINE = 16_000_000
_LONGEST_HEADER = 1_000_000


def read_header(path: Path) -> tuple[str, Sequence[str]]:
    """The delimiter of a file, and the names of its columns.

    Raises:
        ItemFailed: The first line of the file has no names.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline(_LONGEST_HEADER)
    except UnicodeDecodeError:
        raise ItemFailed("source_unreadable", "The CSV file is not written in UTF-8.") from None
    # A delimiter in quotes does not count, so the names are read with each.
    try:
        read = {one: next(csv.reader([first], delimiter=one), []) for one in DELIMITERS}
    except csv.Error:
        raise ItemFailed(
            "source_unreadable", "The first line of the CSV file has no column names."
        ) from None
    delimiter, names = max(read.items(), key=lambda found: len(found[1]))
    check_names(names, "The CSV file")
    return delimiter, names


def check_names(names: Sequence[str], what: str) -> None:
    """Refuse columns that cannot be told apart.

    Raises:
        ItemFailed: There are none, or one is empty, or two are the same.
    """
    if not names or not all(names):
        raise ItemFailed("source_unreadable", f"{what} has a column without a name.")
    if len({name.casefold() for name in names}) < len(names):
        raise ItemFailed("source_unreadable", f"{what} has two columns of the same name.")
