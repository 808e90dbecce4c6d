"""Data sources: where the rows of a report come from, behind one port."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path, PurePath
from typing import Protocol

from longhaul.core.errors import InvalidInput, ItemFailed, Unavailable

# What may be over in a moment.
_AWAY = frozenset({"source_unreachable", "source_timeout", "source_locked"})


class SourceKind(StrEnum):
    """What a data source is."""

    POSTGRESQL = "postgresql"
    CSV = "csv"
    PARQUET = "parquet"
    EXCEL = "excel"

    @classmethod
    def _missing_(cls, value: object) -> "SourceKind | None":
        # What the first release wrote.
        return cls.POSTGRESQL if value == "postgres" else None


# How the names of files end; those that end otherwise are passed over in a folder.
SUFFIXES: Mapping[SourceKind, Sequence[str]] = {
    SourceKind.CSV: (".csv", ".tsv", ".txt"),
    SourceKind.PARQUET: (".parquet",),
    SourceKind.EXCEL: (".xlsx", ".xlsm"),
}


def kind_of_file(name: str) -> SourceKind | None:
    """What kind of source a file is, by the end of its name; None when that says nothing."""
    suffix = PurePath(name).suffix.lower()
    return next((kind for kind, known in SUFFIXES.items() if suffix in known), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSource:
    """One row of the table data_source.

    Attributes:
        location: Of PostgreSQL a schema, a `schema.table`, or nothing for all that the user
            may read; of files the path of one, or of a folder of them, absolute or below one
            of the folders that sources may lie in.
        secret_ref: The environment variable that holds the DSN of a PostgreSQL source.
            Without it the source is in Longhaul's own database.
    """

    name: str
    kind: SourceKind
    location: str
    secret_ref: str | None = None
    id: int | None = None

    @property
    def is_own(self) -> bool:
        """Whether it is in Longhaul's own database."""
        return self.kind is SourceKind.POSTGRESQL and not self.secret_ref


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceColumn:
    """One column of a table.

    Attributes:
        type: As the source calls it; of CSV and Excel always `text`.
    """

    name: str
    type: str
    nullable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTable:
    """One table of a source.

    Attributes:
        name: Names the table within its source: `schema.table` in PostgreSQL, the file's
            name without its suffix, the sheet's name. Parts that are no plain lower-case
            words are in double quotes.
        rows: About how many it has; None if that is not known.
        key: The columns of its primary key, as far as the source knows one.
        is_query: Whether its rows are the answer of a query, as those of a view are.
        dates: How the source writes times as texts, such as `%Y-%m-%d`, whatever an
            attribute says: a cell of Excel holds a day, and no writing of it.
    """

    name: str
    columns: Sequence[SourceColumn]
    rows: int | None = None
    key: Sequence[str] = ()
    is_query: bool = False
    dates: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceAccess:
    """Which sources may be reached, and what a query may cost.

    Attributes:
        own_dsn: Longhaul's own database, for the sources in it.
        folders: Files are only read below these; None for no limit.
        secrets: What `secret_ref` may name; None for no limit.
        memory_mb: Memory for reading a file; the rest goes to disk.
        scratch: Where files are copied while they are read; None for the system's own folder.
    """

    own_dsn: str = field(default="", repr=False)
    folders: Sequence[Path] | None = None
    secrets: Collection[str] | None = None
    statement_timeout: timedelta = timedelta(minutes=10)
    lock_timeout: timedelta = timedelta(seconds=5)
    memory_mb: int = 1024
    scratch: Path | None = None


class Sources(Protocol):
    """Reads data sources; never writes to them.

    Every method raises:
        ItemFailed: The source cannot be read: `source_unreachable`, `source_denied`,
            `source_missing`, `source_unreadable`, `source_locked`, `source_timeout`,
            `secret_missing`, `table_missing`, `no_scratch`.
        Unavailable: The source is in our own database, which did not answer.
    """

    async def tables(self, source: DataSource) -> Sequence[SourceTable]:
        """The tables of a source with their columns, by name."""


def refusal_of(failure: ItemFailed, pointer: str) -> InvalidInput | Unavailable:
    """The refusal for a source that cannot be read.

    Args:
        pointer: Where they named it.
    """
    if failure.item_code == "no_scratch":
        return Unavailable(failure.sentence)
    if failure.item_code in _AWAY:
        return Unavailable(
            f"{failure.sentence} Check that it runs and can be reached from here, then try again."
        )
    return InvalidInput(failure.sentence, ((pointer, failure.item_code),))


def find_source(sources: Collection[DataSource], name: str) -> DataSource:
    """The data source of a name.

    Raises:
        InvalidInput: There is none; the message has the names that exist.
    """
    for one in sources:
        if one.name == name:
            return one
    names = ", ".join(one.name for one in sources) or "none"
    raise InvalidInput(
        f"The report has no data source of this name; it has: {names}.",
        (("/data_source", "unknown"),),
    )
