"""Rows of a source by their keys, every value as the text that the source writes for it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from longhaul.adapters.sources.session import Session
from longhaul.core.errors import ItemFailed
from longhaul.core.sources import SourceTable

# Keys that one query names.
_AT_ONCE = 200

# Rows with the same key that are of any use to a person.
MOST_ALIKE = 10


def read_rows(
    session: Session,
    table: SourceTable,
    columns: Iterable[str],
    keys: Sequence[Mapping[str, str | None]],
    bound: Any | None = None,
) -> list[dict[str, str | None]]:
    """The rows that have one of some keys, in the order of their values.

    Args:
        keys: Values by column; all name the same columns.
        bound: The table, where the session has bound it with these columns already.

    Raises:
        ItemFailed: The table lacks a column, or a key does not read as its column's type.
    """
    if not keys:
        return []
    names = list(dict.fromkeys([*keys[0], *columns]))
    known = {column.name for column in table.columns}
    if not known.issuperset(names):
        raise ItemFailed("column_missing", "The table has no such column.")
    if bound is None:
        bound = session.bind(table, names)
    # Under other names: of a choice of all columns that were bound Ibis makes a plain `*`.
    shown = {f"c{number}": bound[name].cast("string") for number, name in enumerate(names)}
    found: list[dict[str, str | None]] = []
    for first in range(0, len(keys), _AT_ONCE):
        some = keys[first : first + _AT_ONCE]
        wanted = {tuple(key.values()) for key in some}
        query = bound.filter([_one_of(bound, name, some) for name in keys[0]])
        query = query.select(**shown).order_by(list(shown)).limit(MOST_ALIKE * len(some))
        for values in session.fetch(query):
            row = dict(zip(names, values, strict=True))
            # The conditions take each column by itself, so that some rows have none of the keys.
            if tuple(row[name] for name in keys[0]) in wanted:
                found.append(row)
    return found


def _one_of(bound: Any, name: str, keys: Sequence[Mapping[str, str | None]]) -> Any:
    import ibis  # noqa: PLC0415 - takes a second, which only workers have

    column = bound[name]
    values = sorted({value for key in keys if (value := key[name]) is not None})
    # Compared in the column's own type, so that an index on it can be used.
    condition = column.isin([ibis.literal(value).cast(column.type()) for value in values])
    return condition | column.isnull() if any(key[name] is None for key in keys) else condition
