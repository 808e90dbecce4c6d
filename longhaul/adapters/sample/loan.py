"""One mortgage, before it is written into columns: the facts that columns must agree on.

Amounts are whole dollars, rates hundred-thousandths, ratios hundredths of a percent, months
are counted from the year 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from longhaul.adapters.sample.dice import Dice
from longhaul.adapters.sample.geography import draw_state
from longhaul.adapters.sample.notation import REPORTING_MONTH

Cells: TypeAlias = Mapping[str, str | None]

# Younger than the shortest term, so that no loan outlives it; older than the longest arrears.
OLDEST = 150
_SEASONED = 24

LARGEST_BALANCE_OF_NEGATIVE_AMORTIZATION = 1.15


class Fate(Enum):
    """The state of a loan."""

    PERFORMING = auto()
    LATE = auto()
    IN_FORECLOSURE = auto()
    LOST = auto()
    PAID_OFF = auto()


_FATES = (
    *(Fate.PERFORMING,) * 180,
    *(Fate.LATE,) * 10,
    *(Fate.IN_FORECLOSURE,) * 4,
    *(Fate.LOST,) * 2,
    *(Fate.PAID_OFF,) * 4,
)


@dataclass(frozen=True, slots=True)
class Life:
    """The months of a loan.

    Attributes:
        age: Months from closing to the reporting month.
        paid: Instalments paid, of those that have fallen due.
        late: Instalments due and not paid.
        referred: When it was handed to an attorney for foreclosure.
        sold: When the home was sold in foreclosure.
    """

    closed: int
    age: int
    fate: Fate
    paid: int
    late: int
    referred: int | None = None
    sold: int | None = None

    @property
    def first_due(self) -> int:
        """The month of the first instalment: the second after closing."""
        return self.closed + 2

    @property
    def next_due(self) -> int:
        """The month of the oldest instalment not yet paid."""
        return self.first_due + self.paid

    @property
    def has_ended(self) -> bool:
        """Whether nothing is owed any more."""
        return self.fate is Fate.LOST or self.fate is Fate.PAID_OFF


@dataclass(frozen=True, slots=True)
class Adjustment:
    """How the rate of an adjustable loan moves."""

    first_period: int
    reset_period: int
    index: str
    margin: int
    step: int
    ceiling: int


@dataclass(frozen=True, slots=True)
class Modification:
    """The last change of a loan's terms."""

    code: str
    month: int
    rate_before: int
    rate_after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Loan:
    """The facts that the columns of one loan must agree on.

    Attributes:
        combined_ltv: All liens on the home at origination.
        interest_only: Months from the start in which only interest was due.
        payment: Principal and interest due in the reporting month.
    """

    number: str
    state: str
    zip_code: str
    life: Life
    term: int
    value: int
    amount: int
    combined_ltv: int
    balance: int
    rate: int
    current_rate: int
    payment: int
    score: int
    lien: str
    interest_only: int = 0
    adjustment: Adjustment | None = None
    modification: Modification | None = None

    @property
    def remaining_term(self) -> int:
        """Months left until the final payment."""
        return 0 if self.life.has_ended else self.term - self.life.paid

    @property
    def pays_interest_only(self) -> bool:
        """Whether only interest is due in the reporting month."""
        return not self.life.has_ended and self.life.paid < self.interest_only


def draw_life(dice: Dice) -> Life:
    """The months of a loan: young ones are more frequent, old ones are in trouble more often."""
    age = 3 + int((OLDEST - 3) * dice.random() ** 1.5)
    fate = dice.pick(_FATES) if age >= _SEASONED else Fate.PERFORMING
    late, referred, sold = 0, None, None
    if fate is Fate.LATE:
        late = dice.between(1, 5)
    elif fate is Fate.IN_FORECLOSURE:
        referred = REPORTING_MONTH - dice.between(0, 9)
    elif fate is Fate.LOST:
        sold = REPORTING_MONTH - dice.between(0, 2)
        referred = sold - dice.between(3, 9)
    if referred is not None:
        late = REPORTING_MONTH - referred + dice.between(4, 8)
    return Life(
        closed=REPORTING_MONTH - age,
        age=age,
        fate=fate,
        # The first instalment is due two months after closing, the latest in this month.
        paid=age - 1 - late,
        late=late,
        referred=referred,
        sold=sold,
    )


def draw_place(dice: Dice) -> tuple[str, str]:
    """A state and a postal code in it."""
    state = draw_state(dice)
    return state.code, state.draw_zip(dice)


def draw_value(dice: Dice) -> int:
    """The value of a home; expensive ones are rare."""
    return 1_000 * (70 + int(1_400 * dice.random() ** 2.5))


def draw_score(dice: Dice) -> int:
    """A credit score at origination; one loan in twelve is subprime."""
    if dice.chance(1 / 12):
        return dice.between(500, 619)
    return 620 + int(220 * dice.random() ** 0.7)


def draw_modification(dice: Dice, life: Life, rate: int) -> Modification | None:
    """A change of terms after the first year; of late loans every third was modified."""
    share = 0.3 if life.late else 0.03
    if life.age < _SEASONED or not dice.chance(share):
        return None
    month = dice.between(life.closed + 12, REPORTING_MONTH - 1)
    rate_after = max(1_000, rate - 125 * dice.between(2, 12))
    return Modification(dice.pick("11122345"), month, rate, rate_after)


def draw_adjusted_rate(dice: Dice, rate: int, life: Life, adjustment: Adjustment) -> int:
    """The current rate of an adjustable loan: its first one, or index and margin."""
    if life.age <= adjustment.first_period:
        return rate
    indexed = adjustment.margin + 25 * dice.between(60, 200)
    return min(indexed, adjustment.ceiling)


def instalment(amount: int, rate: int, months: int) -> int:
    """The level monthly payment that repays an amount."""
    monthly = rate / 1_200_000
    return round(amount * monthly / (1 - (1 + monthly) ** -months))


def interest(amount: int, rate: int) -> int:
    """The interest of one month."""
    return round(amount * rate / 1_200_000)


def amortised(amount: int, rate: int, months: int, paid: int) -> int:
    """The rest of an amount after a number of level payments."""
    growth = 1 + rate / 1_200_000
    whole = growth**months
    return round(amount * (whole - growth**paid) / (whole - 1))
