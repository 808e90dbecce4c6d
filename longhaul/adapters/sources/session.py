"""A session with a data source: a connection that reads, belongs to one thread, and can be stopped.

Ibis writes the SQL, so that we put no identifier and no value into text. The connections
are ours, because those of Ibis cannot be cancelled or kept read-only.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

from longhaul.adapters.sources.names import is_same
from longhaul.core.errors import ItemFailed
from longhaul.core.rule_execution import SampleOf
from longhaul.core.sources import SourceTable


class Dialect(StrEnum):
    """The two engines that queries are written for."""

    POSTGRESQL = "postgres"
    DUCKDB = "duckdb"


class Interrupted(Exception):
    """The session was told to stop."""


class QueryFailed(Exception):
    """The engine refused or cancelled one statement; the session goes on.

    Attributes:
        is_slow: It reached its time-out.
    """

    def __init__(self, code: str, sentence: str, *, is_slow: bool = False) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.is_slow = is_slow

    @property
    def as_failure(self) -> ItemFailed:
        """The same as the failure of an item."""
        return ItemFailed(self.code, self.sentence)


class Session(ABC):
    """Reads one source; all methods but `interrupt` are called by the thread that opened it."""

    dialect: Dialect

    def __init__(self) -> None:
        self._interrupted = threading.Event()

    @abstractmethod
    def tables(self) -> Sequence[SourceTable]:
        """The tables of the source with their columns, by name."""

    @abstractmethod
    def bind(self, table: SourceTable, columns: Sequence[str] | None = None) -> Any:
        """The table as an Ibis expression with some of its columns, ready to be queried."""

    @abstractmethod
    def sample(self, table: SourceTable, rows: Any, count: int, wanted: SampleOf) -> Any:
        """Some of the rows of a bound table with this many, the same in every query.

        Raises:
            QueryFailed: The table cannot be sampled.
        """

    @abstractmethod
    def close(self) -> None:
        """Close everything."""

    @abstractmethod
    def _run(self, sql: str) -> list[tuple[Any, ...]]:
        """Run one statement."""

    @abstractmethod
    def _stop(self) -> None:
        """Stop the statement that runs now, if one does."""

    def fetch(self, expression: Any) -> list[tuple[Any, ...]]:
        """Run an Ibis expression and return all of its rows.

        Raises:
            QueryFailed: The engine refused the statement or gave it up.
            Interrupted: The session was stopped.
        """
        self.check()
        try:
            sql = compiler(self.dialect)(expression)
        except Exception as exc:
            # Ibis' own classes of errors need Ibis, which is imported late.
            raise QueryFailed("query_failed", "This source cannot evaluate the rule.") from exc
        return self._run(sql)

    def table(self, name: str | None) -> SourceTable:
        """Find a table by its name; without one the source must have only one.

        Raises:
            ItemFailed: There is none, or more than one.
        """
        return find_table(self.tables(), name)

    def interrupt(self) -> None:
        """Stop the statement and allow no other; may be called from any thread, repeatedly."""
        self._interrupted.set()
        self._stop()

    def check(self) -> None:
        """Raise `Interrupted` if the session was stopped."""
        if self._interrupted.is_set():
            raise Interrupted


def compiler(dialect: Dialect) -> Callable[[Any], str]:
    """Ibis' compiler for an engine; imported when it is first needed, which takes a second."""
    if dialect is Dialect.POSTGRESQL:
        from ibis.backends.postgres import Backend  # noqa: PLC0415 - see above
    else:
        from ibis.backends.duckdb import Backend  # noqa: PLC0415 - see above
    compile_expression: Callable[[Any], str] = Backend().compile
    return compile_expression


def find_table(tables: Sequence[SourceTable], name: str | None) -> SourceTable:
    """Find a table by its name; without one there must be only one.

    Raises:
        ItemFailed: There is none, or more than one.
    """
    found = [one for one in tables if name is None or is_same(name, one.name)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise ItemFailed("table_missing", "The data source has no such table.")
    raise ItemFailed("table_missing", "The data source has more than one such table; name one.")


def any_of(tests: Sequence[Any]) -> Any:
    """Whether one of some tests is true; built by halving, so that no expression gets too deep."""
    if len(tests) == 1:
        return tests[0]
    half = len(tests) // 2
    return any_of(tests[:half]) | any_of(tests[half:])


@contextmanager
def closing(session: Session) -> Iterator[Session]:
    """Close the session at the end of the block."""
    try:
        yield session
    finally:
        session.close()
