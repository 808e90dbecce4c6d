"""The size of a run, and its progress output."""

from collections.abc import Callable
from dataclasses import dataclass

QUICK = 10


@dataclass(frozen=True, slots=True)
class Scale:
    """Turns full sizes into those of this run.

    Attributes:
        say: Prints a line of progress.
    """

    quick: bool
    say: Callable[[str], None]

    def __call__(self, size: int, *, least: int = 1) -> int:
        """The size, or a tenth of it in a quick run."""
        return max(size // QUICK, least) if self.quick else size
