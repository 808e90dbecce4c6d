"""Faults planted into clean rows, each recorded, so that finding them can be scored."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from longhaul.adapters.sample.dice import Dice
from longhaul.adapters.sample.form import Column
from longhaul.adapters.sample.geography import draw_foreign_zip
from longhaul.adapters.sample.loan import Cells
from longhaul.adapters.sample.notation import REPORTING_MONTH, day_text, month_of, percent_text
from longhaul.core.attributes import Obligation
from longhaul.core.formats import DataType

KEY_COLUMN = "ln_nbr"

# One row in this many is spoiled: 1 % of them, at a different place in each block.
ROWS_PER_ANOMALY = 100


class AnomalyKind(StrEnum):
    """What is wrong with a planted value."""

    NULL_IN_MANDATORY = "null_in_mandatory"
    BAD_FORMAT = "bad_format"
    OUT_OF_RANGE = "out_of_range"
    INVALID_CODE = "invalid_code"
    DUPLICATE_KEY = "duplicate_key"
    DATE_ORDER = "date_order"
    INCONSISTENT = "inconsistent"
    FUTURE_DATE = "future_date"
    NEGATIVE_AMOUNT = "negative_amount"


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One planted fault.

    Attributes:
        row_key: The loan number as the table has it. For a duplicate it is the number of
            an earlier row, so that two rows have it.
        column: The physical column that was spoiled.
    """

    row_key: str
    column: str
    kind: AnomalyKind


@dataclass(frozen=True, slots=True)
class Victim:
    """A cell to be spoiled.

    Attributes:
        row: The clean row, by column.
        earlier_key: The loan number of an earlier row, or None if there is none.
    """

    column: Column
    row: Cells
    earlier_key: str | None

    @property
    def value(self) -> str:
        """The clean value; anomalies are planted where there is one."""
        return self.text(self.column.name)

    def text(self, column: str) -> str:
        """The clean value of a column that is never empty in clean rows."""
        return self.row[column] or ""


class Planter:
    """Spoils one cell in every hundred rows, the kinds taking turns.

    Rows and cells depend on the dice and on earlier rows, never on the number of rows that
    follow: a longer table begins like a shorter one.
    """

    def __init__(self, columns: Sequence[Column], dice: Dice) -> None:
        self._dice = dice
        self._cells = {
            kind: [(position, column) for position, column in enumerate(columns) if is_apt(column)]
            for kind, is_apt in _APT.items()
        }
        self._columns = tuple(column.name for column in columns)
        self._turns = deque(sorted(AnomalyKind, key=lambda _: dice.random()))
        self._next_index = self._draw_index(block=0)

    def spoil(
        self, index: int, values: list[str | None], key_of: Callable[[int], str]
    ) -> Anomaly | None:
        """Plant an anomaly into the row if it is its turn, and return its record.

        Args:
            index: The row's place in the table, from 0; called once for every row, in order.
            values: The clean row; one of them is changed.
            key_of: The loan number of a row by its index.
        """
        if index != self._next_index:
            return None
        self._next_index = self._draw_index(block=index // ROWS_PER_ANOMALY + 1)
        # The rows before it in its block are clean, so the number is still in the table.
        first = index - index % ROWS_PER_ANOMALY
        earlier = key_of(self._dice.between(first, index - 1)) if index > first else None
        row = dict(zip(self._columns, values, strict=True))
        for kind in self._turns:
            victims = [
                (position, Victim(column, row, earlier))
                for position, column in self._cells[kind]
                if _can_spoil(kind, column, row, earlier)
            ]
            if victims:
                position, victim = self._dice.pick(victims)
                values[position] = _SPOIL[kind](self._dice, victim)
                self._turns.remove(kind)
                self._turns.append(kind)
                key = values[self._columns.index(KEY_COLUMN)] or ""
                return Anomaly(row_key=key, column=victim.column.name, kind=kind)
        return None

    def _draw_index(self, block: int) -> int:
        return block * ROWS_PER_ANOMALY + self._dice.between(0, ROWS_PER_ANOMALY - 1)


def _can_spoil(kind: AnomalyKind, column: Column, row: Cells, earlier: str | None) -> bool:
    if kind is AnomalyKind.DUPLICATE_KEY and earlier is None:
        return False
    needed = _NEEDS.get((kind, column.name), ())
    return all(row.get(name) is not None for name in (column.name, *needed))


def _is_key(column: Column) -> bool:
    return any(field.is_key for field in column.fields)


def _is_mandatory(column: Column) -> bool:
    return any(field.mandatory is Obligation.MANDATORY for field in column.fields)


def _is_amount(column: Column) -> bool:
    return all(
        field.format.data_type is DataType.INTEGER
        and (field.minimum, field.maximum) == (Decimal(0), None)
        for field in column.fields
    )


def _is_past_date(column: Column) -> bool:
    return column.fields[0].format.strftime == "%Y%m%d" and column.source != "nxt_pmt_due_dt"


# A fault in a key would make its row unidentifiable; only a duplicate is planted there.
def _apt(is_apt: Callable[[Column], bool]) -> Callable[[Column], bool]:
    return lambda column: bool(column.fields) and not _is_key(column) and is_apt(column)


_APT: Mapping[AnomalyKind, Callable[[Column], bool]] = {
    AnomalyKind.NULL_IN_MANDATORY: _apt(_is_mandatory),
    AnomalyKind.BAD_FORMAT: _apt(
        lambda column: column.fields[0].format.data_type is not DataType.STRING
    ),
    AnomalyKind.OUT_OF_RANGE: _apt(lambda column: column.fields[0].maximum is not None),
    AnomalyKind.INVALID_CODE: _apt(lambda column: bool(column.fields[0].codes)),
    AnomalyKind.DUPLICATE_KEY: lambda column: column.name == KEY_COLUMN,
    AnomalyKind.DATE_ORDER: lambda column: column.name in _EARLIER_DATE,
    AnomalyKind.INCONSISTENT: lambda column: column.name in _CONTRADICT,
    AnomalyKind.FUTURE_DATE: _apt(_is_past_date),
    AnomalyKind.NEGATIVE_AMOUNT: _apt(_is_amount),
}


def _bad_format(dice: Dice, victim: Victim) -> str:
    value, form = victim.value, victim.column.fields[0].format
    if form.data_type is DataType.DATE:
        year, month, day = value[:4], value[4:6], value[6:]
        return dice.pick((f"{month}/{day}/{year}", f"{year}-{month}-{day}", f"{year}13{day}"))
    if form.data_type is DataType.DECIMAL:
        # More decimals than the form allows would only be another way to write a number.
        return dice.pick((f"{value}%", f"{value}.0" if form.scale else f"{value},0", "N/A"))
    return dice.pick((f"{value}USD", f"{value}.5.0", "N/A"))


def _out_of_range(dice: Dice, victim: Victim) -> str:
    field = victim.column.fields[0]
    beyond = (field.maximum or Decimal(0)) * dice.between(2, 9) + dice.between(1, 9)
    scale = field.format.scale or 0
    return f"{beyond:.{scale}f}"


def _invalid_code(dice: Dice, victim: Victim) -> str:
    field = victim.column.fields[0]
    if field.format.data_type is DataType.STRING:
        length = field.format.length or 1
        foreign = [letter * length for letter in "QXZ79"]
    else:
        foreign = ["77", "88", "99"]
    return dice.pick([code for code in foreign if code not in field.codes])


def _months_before(dice: Dice, victim: Victim) -> str:
    earlier = victim.text(_EARLIER_DATE[victim.column.name])
    return day_text(month_of(earlier) - dice.between(1, 12), dice.between(1, 28))


def _in_the_future(dice: Dice, victim: Victim) -> str:
    return day_text(REPORTING_MONTH + dice.between(12, 600), dice.between(1, 28))


def _negative(dice: Dice, victim: Victim) -> str:
    return f"-{max(int(victim.value), dice.between(100, 9_999))}"


_HALF = 50_00


def _other_ltv(dice: Dice, victim: Victim) -> str:
    hundredths = int(victim.value.replace(".", ""))
    shift = dice.between(15_00, 30_00)
    return percent_text(hundredths - shift if hundredths > _HALF else hundredths + shift)


def _growing_balance(dice: Dice, victim: Victim) -> str:
    amount = max(int(victim.row.get(name) or 0) for name in _ORIGINAL_AMOUNTS)
    return str(amount * dice.between(15, 30) // 10)


def _longer_than_ever(dice: Dice, victim: Victim) -> str:
    return str(int(victim.text("orig_ln_term")) + dice.between(12, 60))


_EARLIER_DATE: Mapping[str, str] = {"fst_pmt_dt": "ln_close_dt", "nxt_pmt_due_dt": "fst_pmt_dt"}
_ORIGINAL_AMOUNTS = ("orig_ln_amt_disb", "orig_cmtmt_amt")

_CONTRADICT: Mapping[str, Callable[[Dice, Victim], str]] = {
    "orig_ltv_pct": _other_ltv,
    "prop_zip_cd": lambda dice, victim: draw_foreign_zip(dice, victim.value),
    "upb_amt": _growing_balance,
    "rem_term": _longer_than_ever,
}

# Other conditions of a row for the fault.
_NEEDS: Mapping[tuple[AnomalyKind, str], Sequence[str]] = {
    **{(AnomalyKind.DATE_ORDER, later): (earlier,) for later, earlier in _EARLIER_DATE.items()},
    (AnomalyKind.INCONSISTENT, "orig_ltv_pct"): ("orig_ln_amt_disb", "orig_prop_val_amt"),
    (AnomalyKind.INCONSISTENT, "prop_zip_cd"): ("prop_st_cd",),
    (AnomalyKind.INCONSISTENT, "upb_amt"): ("orig_ln_amt_disb",),
    (AnomalyKind.INCONSISTENT, "rem_term"): ("orig_ln_term",),
}

_SPOIL: Mapping[AnomalyKind, Callable[[Dice, Victim], str | None]] = {
    AnomalyKind.NULL_IN_MANDATORY: lambda _, __: None,
    AnomalyKind.BAD_FORMAT: _bad_format,
    AnomalyKind.OUT_OF_RANGE: _out_of_range,
    AnomalyKind.INVALID_CODE: _invalid_code,
    AnomalyKind.DUPLICATE_KEY: lambda _, victim: victim.earlier_key,
    AnomalyKind.DATE_ORDER: _months_before,
    AnomalyKind.INCONSISTENT: lambda dice, victim: _CONTRADICT[victim.column.name](dice, victim),
    AnomalyKind.FUTURE_DATE: _in_the_future,
    AnomalyKind.NEGATIVE_AMOUNT: _negative,
}
