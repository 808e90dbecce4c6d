"""CSV, Parquet and Excel files: loaded into their own DuckDB, which then reads nothing else."""

import re
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import duckdb
import ibis
from ibis.backends.sql.datatypes import DuckDBType

from longhaul.adapters.sources import csv_files, excel_files
from longhaul.adapters.sources.hashes import sampled
from longhaul.adapters.sources.names import quoted
from longhaul.adapters.sources.places import find_place
from longhaul.adapters.sources.session import Dialect, QueryFailed, Session, compiler
from longhaul.core.errors import ItemFailed
from longhaul.core.rule_execution import SampleOf
from longhaul.core.sources import (
    SUFFIXES,
    DataSource,
    SourceAccess,
    SourceColumn,
    SourceKind,
    SourceTable,
)

THREADS = 2

# The number of a row in its file, from 1; no file can have a column of this name.
ROW = "\x01row"


class FileSession(Session):
    """A table is copied when it is first bound, so every query sees the same rows.

    After that the engine only reads its copy, whatever the query.
    """

    dialect = Dialect.DUCKDB

    def __init__(self, source: DataSource, access: SourceAccess) -> None:
        super().__init__()
        self._source = source
        self._seconds = access.statement_timeout.total_seconds()
        self._late = threading.Event()
        self._files = _files(source, access.folders)
        self._known: dict[str, tuple[SourceTable, Path, str]] | None = None
        self._folder = _scratch(access.scratch)
        try:
            self._connection = duckdb.connect(
                str(self._folder / "copy.duckdb"),
                config={
                    "memory_limit": f"{access.memory_mb}MB",
                    "threads": THREADS,
                    "temp_directory": str(self._folder / "spill"),
                    "autoinstall_known_extensions": False,
                    "TimeZone": "UTC",
                },
            )
        except duckdb.Error as exc:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise _meaning(exc) from exc

    def tables(self) -> Sequence[SourceTable]:
        """The tables of the file or of the folder's files."""
        return [table for table, _, _ in self._tables().values()]

    def bind(self, table: SourceTable, columns: Sequence[str] | None = None) -> Any:
        """Copy some columns of a table, and forbid to read anything else from now on."""
        _, path, sheet = self._tables()[table.name]
        wanted = [one for one in table.columns if columns is None or one.name in columns]
        with self._translated(), self._timed():
            self._copy(path, sheet, table, [one.name for one in wanted])
            self._connection.execute("SET enable_external_access = false")
            self._connection.execute("SET lock_configuration = true")
            described = self._connection.execute("DESCRIBE rows").fetchall()
        types = {name: DuckDBType.from_string(kind) for name, kind, *_ in described}
        return ibis.table(types, name="rows")

    def sample(self, table: SourceTable, rows: Any, count: int, wanted: SampleOf) -> Any:
        """Some of the rows, in another copy: the engine does not repeat its choice."""
        some = compiler(self.dialect)(sampled(rows, count, wanted, [ROW]))
        with self._translated(), self._timed():
            self._connection.execute("CREATE TABLE sampled AS " + some)
        return ibis.table(rows.schema(), name="sampled")

    def check(self) -> None:
        """Raise if it was interrupted, or if the statement has reached its time-out."""
        super().check()
        if self._late.is_set():
            raise QueryFailed("source_timeout", "The query took too long.", is_slow=True)

    def close(self) -> None:
        """Remove the copy."""
        with suppress(duckdb.Error):
            self._connection.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, sql: str) -> list[tuple[Any, ...]]:
        with self._translated(), self._timed():
            # A result that is not fetched to its end blocks the connection.
            return list(self._connection.execute(sql).fetchall())

    def _stop(self) -> None:
        with suppress(duckdb.Error):
            self._connection.interrupt()

    def _tables(self) -> dict[str, tuple[SourceTable, Path, str]]:
        if self._known is None:
            with self._translated(), self._timed():
                found = [one for path in self._files for one in self._tables_of(path)]
            self._known = {one[0].name: one for one in found}
        return self._known

    def _tables_of(self, path: Path) -> Iterator[tuple[SourceTable, Path, str]]:
        self.check()
        match self._source.kind:
            case SourceKind.CSV:
                _, names = csv_files.read_header(path)
                yield SourceTable(name=quoted([path.stem]), columns=_texts(names)), path, ""
            case SourceKind.EXCEL:
                for sheet, names in excel_files.read_sheets(path, check=self.check).items():
                    table = SourceTable(
                        name=quoted([sheet]), columns=_texts(names), dates=excel_files.DATES
                    )
                    yield table, path, sheet
            case _:
                relation = self._connection.read_parquet(_only(path))
                columns = [
                    SourceColumn(name=name, type=str(kind).lower())
                    for name, kind in zip(relation.columns, relation.types, strict=True)
                ]
                ((rows,),) = relation.count("*").fetchall()
                csv_files.check_names([one.name for one in columns], "The Parquet file")
                yield SourceTable(name=quoted([path.stem]), columns=columns, rows=rows), path, ""

    def _copy(self, path: Path, sheet: str, table: SourceTable, columns: Sequence[str]) -> None:
        delimiter, skipped = ",", 0
        match self._source.kind:
            case SourceKind.PARQUET:
                relation = self._connection.read_parquet(_only(path))
            case kind:
                if kind is SourceKind.EXCEL:
                    target = self._folder / "sheet.csv"
                    excel_files.write_csv(path, sheet, target, check=self.check)
                    path = target
                else:
                    delimiter, _ = csv_files.read_header(path)
                    skipped = 1
                relation = self._connection.read_csv(
                    _only(path),
                    header=False,
                    skiprows=skipped,
                    delimiter=delimiter,
                    quotechar='"',
                    escapechar='"',
                    columns={one.name: "VARCHAR" for one in table.columns},
                    auto_detect=False,
                    allow_quoted_nulls=False,
                    strict_mode=True,
                    max_line_size=csv_files.LONGEST_LINE,
                    # Otherwise it is 16 of the longest lines, whatever the memory.
                    buffer_size=csv_files.LONGEST_LINE,
                )
        chosen = [duckdb.ColumnExpression(name) for name in columns]
        number = duckdb.SQLExpression("row_number() OVER ()").alias(ROW)
        relation.select(number, *chosen).create("rows")

    @contextmanager
    def _timed(self) -> Iterator[None]:
        # DuckDB has no statement time-out, and neither have Python's loops.
        timer = threading.Timer(self._seconds, self._give_up, [self._late])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            # A new one for the next statement: the timer may be setting this one now.
            self._late = threading.Event()

    def _give_up(self, late: threading.Event) -> None:
        late.set()
        self._stop()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except duckdb.InterruptException as exc:
            self.check()
            raise QueryFailed("source_timeout", "The query took too long.", is_slow=True) from exc
        except (duckdb.Error, OSError) as exc:
            self.check()
            raise _meaning(exc) from exc


def _scratch(below: Path | None) -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix="longhaul-source-", dir=below))
    except OSError:
        raise _no_scratch() from None


def _no_scratch() -> ItemFailed:
    return ItemFailed(
        "no_scratch",
        "Files cannot be copied for reading: check that the folder of "
        "LONGHAUL_SOURCES__SCRATCH exists, is writable and has free space.",
    )


def _files(source: DataSource, folders: Sequence[Path] | None) -> Sequence[Path]:
    place = find_place(source.location, folders)
    try:
        if place.is_file():
            return [place]
        found = sorted(place.iterdir())
    except OSError:
        raise ItemFailed("source_missing", "The data source's file does not exist.") from None
    # A file of the folder may itself be a link to somewhere else.
    wanted = [path for path in found if path.suffix.lower() in SUFFIXES[source.kind]]
    return [find_place(str(path), folders) for path in wanted]


def _only(path: Path) -> str:
    # For DuckDB a name with one of these is a pattern.
    return re.sub(r"([*?\[])", r"[\1]", str(path))


def _texts(names: Sequence[str]) -> Sequence[SourceColumn]:
    return [SourceColumn(name=name, type="text") for name in names]


_LINE = re.compile(r"CSV Error on Line: (\d+)")


def _meaning(exc: Exception) -> Exception:
    # DuckDB's message may quote the row.
    text = str(exc)
    line = _LINE.search(text)
    if line:
        return ItemFailed(
            "source_unreadable",
            f"The CSV file cannot be read from line {line[1]} on: {_csv_fault(text)}.",
        )
    if "No space left on device" in text or "max_temp_directory_size" in text:
        return _no_scratch()
    match exc:
        case duckdb.OutOfMemoryException():
            return QueryFailed("too_large", "The query needs more memory than it may have.")
        case duckdb.ConversionException() | duckdb.BinderException() | duckdb.OutOfRangeException():
            return QueryFailed("type_mismatch", "The column's type does not suit the rule.")
        case duckdb.InvalidInputException() if "regex" in text.lower():
            return QueryFailed("bad_regex", "The data source refuses the regular expression.")
        case duckdb.IOException() | duckdb.InvalidInputException() | OSError():
            return ItemFailed("source_unreadable", "The data source's file cannot be read.")
        case _:
            return QueryFailed("query_failed", "The engine refused the query.")


def _csv_fault(text: str) -> str:
    if "Expected Number of Columns" in text:
        return "it has more or fewer fields than the first line"
    if "unicode" in text:
        return "it is not written in UTF-8"
    if "Maximum line size" in text:
        return "it is longer than a line may be"
    return "it breaks the rules of CSV"
