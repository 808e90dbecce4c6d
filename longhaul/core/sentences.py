"""Pieces of sentences for people."""

from collections.abc import Sequence


def some_of(first: Sequence[object], count: int) -> str:
    """The first of many things, and how many more there are."""
    more = count - len(first)
    return ", ".join(map(str, first)) + f" and {more} more" * (more > 0)
