"""Rows of a source by their keys, every value as a text."""

from collections.abc import Iterable, Mapping, Sequence

import ibis
import ibis.expr.types as ir

from longhaul.adapters.sources.session import Session, any_of
from longhaul.adapters.sources.values import as_text
from longhaul.core.cases import MOST_ROWS

# The most keys in one query.
_AT_ONCE = 200

# Longer values are cut, in samples and in their evidence.
LONGEST_CELL = 10_000

# The most rows with the same key, and one that shows that there are more.
_MOST_ALIKE = MOST_ROWS + 1


def read_rows(
    session: Session,
    bound: ir.Table,
    columns: Iterable[str],
    keys: Sequence[Mapping[str, str | None]],
) -> list[dict[str, str | None]]:
    """The rows of a bound table that have one of some keys, in the order of their values.

    Args:
        keys: Values by column; all name the same columns.

    Raises:
        QueryFailed: A key cannot be read as its column's type, or the table cannot be read.
    """
    if not keys:
        return []
    names = list(dict.fromkeys([*keys[0], *columns]))
    # Under other names: Ibis turns a choice of all bound columns into `*`.
    width = len(keys[0])
    texts = [as_text(bound[name]) for name in names]
    texts[width:] = [text.left(LONGEST_CELL + 1) for text in texts[width:]]
    shown = {f"c{number}": text for number, text in enumerate(texts)}
    found: list[dict[str, str | None]] = []
    for first in range(0, len(keys), _AT_ONCE):
        some = keys[first : first + _AT_ONCE]
        wanted = {tuple(key.values()) for key in some}
        rows = bound.filter(_has_one_of(bound, some)).select(**shown)
        found += [
            dict(zip(names, (*values[:width], *map(_cut, values[width:])), strict=True))
            for values in session.fetch(_first_of_each(rows, width))
            # In the column's type 1.0 equals 1, which is written differently.
            if values[:width] in wanted
        ]
    return found


def _cut(value: str | None) -> str | None:
    if value is None or len(value) <= LONGEST_CELL:
        return value
    return value[:LONGEST_CELL] + "…"


def _has_one_of(bound: ir.Table, keys: Sequence[Mapping[str, str | None]]) -> ir.BooleanValue:
    """Whether a row has one of some keys; keys that differ in one column only are one test."""
    different = {name: len({key[name] for key in keys}) for name in keys[0]}
    *others, last = sorted(different, key=lambda name: different[name])
    by_others: dict[tuple[str | None, ...], list[str | None]] = {}
    for key in keys:
        by_others.setdefault(tuple(key[name] for name in others), []).append(key[last])
    return any_of(
        [
            ibis.and_(
                *(_is_in(bound[name], [value]) for name, value in zip(others, rest, strict=True)),
                _is_in(bound[last], values),
            )
            for rest, values in by_others.items()
        ]
    )


def _is_in(column: ir.Column, values: Sequence[str | None]) -> ir.BooleanValue:
    # Compared in the column's own type, so that an index on it can be used.
    known = sorted({value for value in values if value is not None})
    is_known = column.isin([ibis.literal(value).cast(column.type()) for value in known])
    return is_known | column.isnull() if None in values else is_known


def _first_of_each(rows: ir.Table, width: int) -> ir.Table:
    """The first few rows of each key, which is in the first columns."""
    columns = list(rows.columns)
    place = ibis.row_number().over(group_by=columns[:width], order_by=columns)
    numbered = rows.mutate(place=place)
    return numbered.filter(numbered.place < _MOST_ALIKE).order_by(columns).select(*columns)
