"""Draws that are always the same for a seed."""

from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")


class Dice(Random):
    """Only uses `random()`, the one draw that Python promises never to change."""

    def pick(self, options: Sequence[T]) -> T:
        """One of the options; one that occurs twice is twice as likely."""
        return options[int(self.random() * len(options))]

    def between(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return low + int(self.random() * (high - low + 1))

    def chance(self, share: float) -> bool:
        """True in this share of the draws."""
        return self.random() < share
