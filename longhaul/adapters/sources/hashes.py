"""Places that look random and are always the same: hashes of what rows hold."""

from collections.abc import Iterable
from typing import Any

import ibis

_DIGITS = 8


@ibis.udf.scalar.builtin  # type: ignore[untyped-decorator] # Ibis has no types
def md5(text: str) -> str:  # type: ignore[empty-body] # the engines have the body
    """The hash that both engines have."""


def place(start: str, texts: Iterable[Any]) -> Any:
    """The place of a row by some of its columns, as texts, in an order that a word begins."""
    text = ibis.literal(start)
    for column in texts:
        text = text + "|" + column.fill_null("")
    return md5(text)


def is_in_share(where: Any, share: float) -> Any:
    """Whether a place is among the first ones, which are such a share of all."""
    if share >= 1:
        return ibis.literal(True)
    return where.left(_DIGITS) < f"{int(share * 16**_DIGITS):0{_DIGITS}x}"
