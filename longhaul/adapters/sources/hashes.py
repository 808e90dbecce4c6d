"""Places that are like random and always the same: hashes of rows."""

from collections.abc import Iterable, Sequence
from math import sqrt

import ibis
import ibis.expr.types as ir

from longhaul.core.rule_execution import SampleOf

_DIGITS = 8

# The same sample of a table for everyone.
_SEED = 7

# Up to this many rows are sorted; for more that would take longer than reading them.
_MOST_SORTED = 100_000


@ibis.udf.scalar.builtin  # type: ignore[untyped-decorator] # Ibis has no types
def md5(text: str) -> str:  # type: ignore[empty-body] # the engines have the body
    """The hash that both engines have."""


def place(start: str, texts: Iterable[ir.StringValue]) -> ir.StringValue:
    """The place of a row by some of its columns, as texts, in an order that depends on a word."""
    text = ibis.literal(start)
    for column in texts:
        text = text + "|" + column.fill_null("")
    return md5(text)


def is_in_share(where: ir.StringValue, share: float) -> ir.BooleanValue:
    """Whether a place is within the first share of all."""
    if share >= 1:
        return ibis.literal(True)
    return where.left(_DIGITS) < f"{int(share * 16**_DIGITS):0{_DIGITS}x}"


def share_of(count: int, wanted: SampleOf) -> float:
    """The wanted share of a number of rows; for a size slightly more, because of chance."""
    share = (wanted.percentage or 100) / 100
    if wanted.size is None or not count:
        return share
    return min(share, (wanted.size + 5 * sqrt(wanted.size) + 20) / count)


def sampled(rows: ir.Table, count: int, wanted: SampleOf, told_by: Sequence[str]) -> ir.Table:
    """About the wanted share of the rows, or the wanted number from all over them.

    Args:
        told_by: The columns whose values tell rows apart.
    """
    share = share_of(count, wanted)
    some = rows.sample(share, method="row", seed=_SEED) if share < 1 else rows
    if wanted.size is None or wanted.size >= count:
        return some
    if wanted.size <= _MOST_SORTED:
        # The first rows are often the oldest ones.
        some = some.order_by(place("", (some[name].cast("string") for name in told_by)))
    return some.limit(wanted.size)
