"""PostgreSQL as a data source: one read-only snapshot, with time-outs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import ibis
import psycopg
from ibis.backends.sql.datatypes import PostgresType
from psycopg import errors, pq

from longhaul.adapters.sources.hashes import is_in_share, place, sampled, share_of
from longhaul.adapters.sources.names import quoted, split
from longhaul.adapters.sources.session import Dialect, QueryFailed, Session
from longhaul.core.errors import ItemFailed, Unavailable
from longhaul.core.rule_execution import SampleOf
from longhaul.core.sources import DataSource, SourceAccess, SourceColumn, SourceTable

CONNECT_SECONDS = 5

_TABLES = """
SELECT n.nspname, c.relname, c.relkind IN ('v', 'f') AS is_query, c.reltuples,
       array_agg(a.attname::text ORDER BY a.attnum) AS names,
       array_agg(format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum) AS types,
       array_agg(NOT a.attnotnull ORDER BY a.attnum) AS nullable,
       coalesce((SELECT array_agg(k.attname::text ORDER BY array_position(i.indkey, k.attnum))
                 FROM pg_index AS i
                     JOIN pg_attribute AS k ON k.attrelid = c.oid AND k.attnum = ANY (i.indkey)
                 WHERE i.indrelid = c.oid AND i.indisprimary), '{}') AS key
FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND has_table_privilege(c.oid, 'SELECT')
    AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%%'
    AND (%(schema)s::text IS NULL OR n.nspname = %(schema)s)
    AND (%(table)s::text IS NULL OR c.relname = %(table)s)
GROUP BY c.oid, n.nspname, c.relname, c.relkind, c.reltuples
ORDER BY n.nspname, c.relname
"""

_SCHEMA_AND_TABLE = 2

# The schema of our own tables in our own database; not a source.
_OURS = "public"


class PostgresSession(Session):
    """One transaction, in which every query sees the same rows."""

    dialect = Dialect.POSTGRESQL

    def __init__(self, source: DataSource, dsn: str, access: SourceAccess) -> None:
        super().__init__()
        self._schema, self._table = _location(source)
        self._is_own = source.is_own
        if self._is_own and self._schema == _OURS:
            raise ItemFailed(
                "source_denied",
                "The schema public of Longhaul's own database cannot be a data source.",
            )
        self._known: Sequence[SourceTable] | None = None
        try:
            self._connection = psycopg.connect(
                dsn,
                options=_options(access),
                application_name="longhaul-sources",
                connect_timeout=CONNECT_SECONDS,
            )
        except psycopg.Error as exc:
            raise self._away() from exc
        self._connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        self._connection.read_only = True

    def tables(self) -> Sequence[SourceTable]:
        """The tables that the location names, with their columns."""
        if self._known is None:
            wanted = {"schema": self._schema, "table": self._table}
            with self._translated(), self._connection.cursor() as cursor:
                rows = cursor.execute(_TABLES, wanted).fetchall()
            if self._is_own and self._schema is None:
                rows = [row for row in rows if row[0] != _OURS]
            self._known = [_table(*row) for row in rows]
        return self._known

    def bind(self, table: SourceTable, columns: Sequence[str] | None = None) -> Any:
        """The table as an Ibis expression."""
        schema, name = split(table.name)
        types = {
            column.name: PostgresType.from_string(column.type)
            for column in table.columns
            if columns is None or column.name in columns
        }
        return ibis.table(types, name=name, database=schema)

    def sample(self, table: SourceTable, rows: Any, count: int, wanted: SampleOf) -> Any:
        """Some of the rows; the server repeats its choice in every query of the snapshot."""
        if not table.is_query:
            return sampled(rows, count, wanted, rows.columns)
        # A view has no blocks and no order: its rows are chosen by their values.
        whole = self.bind(table)
        where = place("", (whole[name].cast("string") for name in whole.columns))
        some = whole.filter(is_in_share(where, share_of(count, wanted)))
        if wanted.size is not None:
            some = some.order_by(where).limit(wanted.size)
        return some.select(*rows.columns)

    def query(self, text: str, values: Any = None) -> list[tuple[Any, ...]]:
        """Run one statement of a person, with its parameters.

        Raises:
            QueryFailed: The engine refused the statement or gave it up.
            Interrupted: The session was stopped.
        """
        self.check()
        with self._translated(), self._connection.transaction(), self._connection.cursor() as one:
            one.execute(text.encode(), values)
            return one.fetchall()

    def close(self) -> None:
        """Leave the snapshot and the server."""
        self._connection.close()

    def _run(self, sql: str) -> list[tuple[Any, ...]]:
        # A savepoint, so that a statement that fails does not end the snapshot.
        return self.query(sql)

    def _stop(self) -> None:
        # The caller repeats this until it has stopped.
        with suppress(psycopg.Error):
            if not self._connection.closed:
                self._connection.cancel_safe(timeout=CONNECT_SECONDS)

    def _away(self) -> Exception:
        if self._is_own:
            return Unavailable("The database did not answer; the request can be repeated.")
        return ItemFailed("source_unreachable", "The data source did not answer.", again=True)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as exc:
            self.check()
            if self._connection.closed or self._connection.info.status is pq.ConnStatus.BAD:
                raise self._away() from exc
            raise _meaning(exc) from exc


def _options(access: SourceAccess) -> str:
    settings = {
        "statement_timeout": round(access.statement_timeout.total_seconds() * 1000),
        "lock_timeout": round(access.lock_timeout.total_seconds() * 1000),
        "idle_in_transaction_session_timeout": 0,
        "default_transaction_read_only": "on",
        "timezone": "UTC",
        "datestyle": "ISO",
        "extra_float_digits": 1,
        # The first rows of a sample must be the same in every query.
        "synchronize_seqscans": "off",
        "jit": "off",
    }
    return " ".join(f"-c {name}={value}" for name, value in settings.items())


def _location(source: DataSource) -> tuple[str | None, str | None]:
    if not source.location:
        return None, None
    try:
        parts = split(source.location)
    except ValueError:
        parts = []
    if not 1 <= len(parts) <= _SCHEMA_AND_TABLE:
        raise ItemFailed(
            "source_missing", "The location of a PostgreSQL source is a schema or schema.table."
        )
    return parts[0], parts[1] if len(parts) == _SCHEMA_AND_TABLE else None


def _table(
    schema: str,
    name: str,
    is_query: bool,
    rows: float,
    names: Sequence[str],
    types: Sequence[str],
    nullable: Sequence[bool],
    key: Sequence[str],
) -> SourceTable:
    return SourceTable(
        name=quoted((schema, name)),
        columns=[
            SourceColumn(name=one, type=kind, nullable=may)
            for one, kind, may in zip(names, types, nullable, strict=True)
        ],
        # Minus one until the table was analysed.
        rows=round(rows) if rows >= 0 else None,
        key=tuple(key),
        is_query=is_query,
    )


# Errors of every query on the table.
_FATAL: Sequence[tuple[type[psycopg.Error], str, str]] = [
    (errors.LockNotAvailable, "source_locked", "The table is locked by somebody else."),
    (errors.InsufficientPrivilege, "source_denied", "The data source does not let us read it."),
    (errors.UndefinedTable, "table_missing", "The table is gone."),
]

_MEANINGS: Sequence[tuple[type[psycopg.Error], str, str]] = [
    (errors.UndefinedColumn, "column_missing", "The table has no such column."),
    (
        errors.ReadOnlySqlTransaction,
        "query_refused",
        "The query would write, and sources are only read.",
    ),
    (
        errors.InvalidRegularExpression,
        "bad_regex",
        "The data source refuses the regular expression.",
    ),
    (
        errors.ProgramLimitExceeded,
        "too_large",
        "A value or the query is larger than the data source can handle.",
    ),
    (errors.UndefinedFunction, "type_mismatch", "The column's type does not suit the rule."),
    (errors.DatatypeMismatch, "type_mismatch", "The column's type does not suit the rule."),
    (errors.DataError, "type_mismatch", "A value of the column does not suit the rule."),
]


def _meaning(exc: psycopg.Error) -> Exception:
    if isinstance(exc, errors.QueryCanceled):
        return QueryFailed("source_timeout", "The query took too long.", is_slow=True)
    for kind, code, sentence in _FATAL:
        if isinstance(exc, kind):
            return ItemFailed(code, sentence)
    for kind, code, sentence in _MEANINGS:
        if isinstance(exc, kind):
            return QueryFailed(code, sentence)
    return QueryFailed("query_failed", f"The data source refused the query ({exc.sqlstate}).")
