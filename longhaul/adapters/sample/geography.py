"""States and their postal codes."""

from collections.abc import Mapping
from dataclasses import dataclass

from longhaul.adapters.sample.dice import Dice


@dataclass(frozen=True, slots=True)
class State:
    """A state with the first and last three digits that its postal codes begin with.

    Attributes:
        weight: How many of about 330 loans are there.
    """

    code: str
    first: int
    last: int
    weight: int

    def holds(self, zip_code: str) -> bool:
        """Whether a postal code is in the state."""
        return self.first <= int(zip_code[:3]) <= self.last

    def draw_zip(self, dice: Dice) -> str:
        """A postal code of the state."""
        return f"{dice.between(self.first, self.last):03}{dice.between(1, 99):02}"


# One range of each state, not all of them: every code in it is assigned to that state.
STATES: Mapping[str, State] = {
    code: State(code, first, last, weight)
    for code, first, last, weight in [
        ("AL", 354, 369, 5),
        ("AK", 995, 999, 1),
        ("AZ", 855, 857, 7),
        ("AR", 716, 729, 3),
        ("CA", 900, 908, 39),
        ("CO", 800, 816, 6),
        ("CT", 60, 69, 4),
        ("DE", 197, 199, 1),
        ("DC", 202, 205, 1),
        ("FL", 320, 339, 22),
        ("GA", 300, 319, 11),
        ("HI", 967, 968, 1),
        ("ID", 832, 838, 2),
        ("IL", 600, 620, 13),
        ("IN", 460, 479, 7),
        ("IA", 500, 516, 3),
        ("KS", 664, 679, 3),
        ("KY", 400, 418, 5),
        ("LA", 703, 708, 5),
        ("ME", 39, 49, 1),
        ("MD", 206, 212, 6),
        ("MA", 10, 27, 7),
        ("MI", 480, 499, 10),
        ("MN", 556, 567, 6),
        ("MS", 386, 397, 3),
        ("MO", 633, 641, 6),
        ("MT", 590, 599, 1),
        ("NE", 683, 693, 2),
        ("NV", 893, 895, 3),
        ("NH", 30, 38, 1),
        ("NJ", 70, 89, 9),
        ("NM", 877, 884, 2),
        ("NY", 100, 149, 19),
        ("NC", 270, 289, 11),
        ("ND", 580, 588, 1),
        ("OH", 430, 458, 12),
        ("OK", 734, 741, 4),
        ("OR", 970, 979, 4),
        ("PA", 150, 196, 13),
        ("RI", 28, 29, 1),
        ("SC", 290, 299, 5),
        ("SD", 570, 577, 1),
        ("TN", 370, 385, 7),
        ("TX", 750, 770, 30),
        ("UT", 840, 847, 3),
        ("VT", 50, 54, 1),
        ("VA", 220, 246, 9),
        ("WA", 980, 986, 8),
        ("WV", 247, 268, 2),
        ("WI", 537, 549, 6),
        ("WY", 820, 831, 1),
    ]
}

_WEIGHTED = tuple(state for state in STATES.values() for _ in range(state.weight))


def draw_state(dice: Dice) -> State:
    """A state, populous ones more often."""
    return dice.pick(_WEIGHTED)


def draw_foreign_zip(dice: Dice, zip_code: str) -> str:
    """A postal code of another state than that of a postal code."""
    foreign = [state for state in STATES.values() if not state.holds(zip_code)]
    return dice.pick(foreign).draw_zip(dice)
