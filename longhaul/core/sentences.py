"""Pieces of sentences for people."""

from collections.abc import Sequence


def some_of(first: Sequence[object], count: int) -> str:
    """The first of many things, and how many more there are."""
    named, more = ", ".join(map(str, first)), count - len(first)
    return f"{named} and {more} more" if more > 0 else named
