"""Looks many rows up at once; one that fails does so alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from longhaul.adapters.sources.rows import read_rows
from longhaul.adapters.sources.session import QueryFailed, Session
from longhaul.core.errors import ItemFailed
from longhaul.core.sources import SourceTable


@dataclass(frozen=True, slots=True)
class Lookup:
    """A column of the rows with one key."""

    column: str
    keys: Mapping[str, str | None]


# The values of a lookup, or the failure.
Found: TypeAlias = Sequence[str | None] | ItemFailed


def look_up(session: Session, table: SourceTable, lookups: Sequence[Lookup]) -> list[Found]:
    """The result of each lookup, in their order; all keys have the same columns.

    Raises:
        QueryFailed: The table cannot be read in time.
    """
    known = {column.name for column in table.columns}
    has_columns = [known.issuperset([one.column, *one.keys]) for one in lookups]
    possible = [one for one, has in zip(lookups, has_columns, strict=True) if has]
    answers: list[Found] = []
    if possible:
        rows = session.bind(table, [*(one.column for one in possible), *possible[0].keys])
        answers = _answers(session, rows, possible)
    found = iter(answers)
    missing = ItemFailed("column_missing", "The table has no such column.")
    return [next(found) if has else missing for has in has_columns]


def _answers(session: Session, rows: Any, lookups: Sequence[Lookup]) -> list[Found]:
    names = list(lookups[0].keys)
    wanted = [tuple(one.keys[name] for name in names) for one in lookups]
    keys = [dict(zip(names, key, strict=True)) for key in dict.fromkeys(wanted)]
    try:
        read = read_rows(session, rows, sorted({one.column for one in lookups}), keys)
    except QueryFailed as exc:
        if exc.is_slow:
            raise
        if len(lookups) == 1:
            return [exc.as_failure]
        # Halving finds the one whose key cannot be read as its column's type.
        half = len(lookups) // 2
        return [
            *_answers(session, rows, lookups[:half]),
            *_answers(session, rows, lookups[half:]),
        ]
    by_key: dict[tuple[str | None, ...], list[dict[str, str | None]]] = {}
    for row in read:
        by_key.setdefault(tuple(row[name] for name in names), []).append(row)
    return [
        [row[one.column] for row in by_key.get(key, ())]
        for one, key in zip(lookups, wanted, strict=True)
    ]
