"""Stop-loss: a job that mostly fails pauses itself instead of burning money."""

MIN_ITEMS = 20
WINDOW = 100

_DONE, _FAILED = ".", "F"


class FailureWindow:
    """The latest item results, oldest first, small enough to travel with a workflow."""

    def __init__(self, marks: str = "") -> None:
        self.marks = marks[-WINDOW:]

    def add(self, *, failed: bool) -> None:
        """Note one more result."""
        self.marks = (self.marks + (_FAILED if failed else _DONE))[-WINDOW:]

    def extend(self, marks: str) -> None:
        """Note the results of a chunk."""
        self.marks = (self.marks + marks)[-WINDOW:]

    def exceeds(self, ratio: float | None) -> bool:
        """Whether more than `ratio` of the latest items failed; False below 20 results."""
        if ratio is None or len(self.marks) < MIN_ITEMS:
            return False
        return self.marks.count(_FAILED) / len(self.marks) > ratio
