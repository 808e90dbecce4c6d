"""Excel: sheets are read row by row and written out as CSV, every value as a text."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import date, datetime, time
from io import FileIO
from pathlib import Path
from typing import Any

from longhaul.adapters.sources.csv_files import check_names
from longhaul.adapters.sources.session import Interrupted, QueryFailed
from longhaul.core.errors import ItemFailed

# How cells with a day or a time are written.
DATES = ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S")

# The highest row number in Excel; a higher one would make us count up to it.
_MOST_ROWS = 1_048_576


def read_sheets(path: Path, *, check: Callable[[], None]) -> Mapping[str, Sequence[str]]:
    """The sheets that have a first row, with the names in it.

    Args:
        check: Called repeatedly; an error of it ends the reading.
    """
    with _opened(path, check) as book:
        headers = {sheet.title: _names(sheet) for sheet in book.worksheets}
    return {title: names for title, names in headers.items() if names}


def write_csv(path: Path, sheet: str, target: Path, *, check: Callable[[], None]) -> None:
    """Write a sheet's rows below the first one as CSV; an empty cell becomes a missing value.

    Empty rows at the end are ignored: a sheet keeps rows that were once filled or have a
    colour.

    Args:
        check: Called repeatedly; an error of it ends the reading.
    """
    with (
        _opened(path, check) as book,
        closing(book[sheet].iter_rows(values_only=True)) as rows,
        target.open("w", encoding="utf-8", newline="") as file,
    ):
        width = len(_names(book[sheet]))
        next(rows, None)
        nothing = 0
        for row in rows:
            # A few bytes may mean a million rows, so checking while the file is read is not enough.
            check()
            cells = [*row[:width], *[None] * (width - len(row))]
            if all(cell in (None, "") for cell in cells):
                nothing += 1
                if nothing > _MOST_ROWS:
                    raise ItemFailed(
                        "source_unreadable", "A sheet names a row that Excel does not have."
                    )
                continue
            file.writelines([",".join([""] * width) + "\n"] * nothing)
            nothing = 0
            file.write(",".join(map(_field, cells)) + "\n")


def _field(cell: object) -> str:
    # A text is quoted and a missing value is not, so that an empty text stays one.
    text = _text(cell)
    return "" if text is None else '"' + text.replace('"', '""') + '"'


class _Watched(FileIO):
    """A file that calls a check before each read: opening a workbook reads all of its texts."""

    def __init__(self, path: Path, check: Callable[[], None]) -> None:
        super().__init__(path)
        self._check = check

    def read(self, size: int | None = -1, /) -> bytes:
        self._check()
        return super().read(size)


@contextmanager
def _opened(path: Path, check: Callable[[], None]) -> Iterator[Any]:
    import openpyxl  # noqa: PLC0415 - most processes never read Excel

    try:
        with (
            _Watched(path, check) as file,
            closing(openpyxl.load_workbook(file, read_only=True, data_only=True)) as book,
        ):
            for sheet in book.worksheets:
                # A sheet's declared size may be wrong: rows beyond it would be missed.
                sheet.reset_dimensions()
            yield book
    except (ItemFailed, QueryFailed, Interrupted, OSError, MemoryError):
        raise
    except Exception:  # noqa: BLE001 - the library raises all kinds of errors for a bad file
        raise ItemFailed(
            "source_unreadable",
            "The file is not an Excel workbook, or is damaged: open it and save it again.",
        ) from None


def _names(sheet: Any) -> Sequence[str]:
    first = next(sheet.iter_rows(max_row=1, values_only=True), ())
    names = [_text(cell) or "" for cell in first]
    while names and not names[-1]:
        names.pop()
    if names:
        check_names(names, "A sheet of the workbook")
    return names


def _text(cell: object) -> str | None:
    match cell:
        case None:
            return None
        case bool():
            return "true" if cell else "false"
        case float() if cell.is_integer():
            return str(int(cell))
        case datetime() if cell.time() != time():
            return cell.isoformat(sep=" ", timespec="seconds")
        case datetime() | date():
            return f"{cell:%Y-%m-%d}"
        case _:
            return str(cell)
