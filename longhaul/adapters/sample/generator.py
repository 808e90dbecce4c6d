"""The rows of the physical source table, one after the other, in flat memory."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from longhaul.adapters.sample.anomaly import Anomaly, Planter
from longhaul.adapters.sample.dice import Dice
from longhaul.adapters.sample.first_lien import first_lien_cells
from longhaul.adapters.sample.form import Form
from longhaul.adapters.sample.home_equity import home_equity_cells
from longhaul.adapters.sample.servicing import decoy_cells

_CELLS_OF: Mapping[str, Callable[[Dice, str], dict[str, str | None]]] = {
    "a1": first_lien_cells,
    "b1": home_equity_cells,
}

# Without a common factor the numbers repeat only after all ten-digit ones.
_NUMBERS = 10**10
_STRIDE = 7_368_787_501


@dataclass(frozen=True, slots=True)
class SampleRow:
    """One row: its values in the order of the columns, and what is wrong with it, if anything."""

    values: tuple[str | None, ...]
    anomaly: Anomaly | None = None


class SampleTable:
    """Makes the rows of a form's source table from a seed.

    All values are text, as in a landing table: data are stored before they are checked, so
    the table must be able to hold a 13th month or "N/A" for an amount. Only then can a bad
    format be planted and found.

    The same form and seed give the same rows, whatever their number. Each copy of a
    repeated form is a separate loan and has its own dice, so that a wider table begins
    with the columns of a narrower one; planting draws from a third pair, so that leaving the
    anomalies out changes nothing else.
    """

    def __init__(self, form: Form, *, random_seed: int, with_anomalies: bool = True) -> None:
        self._physical = form.physical_columns()
        self._cells_of = _CELLS_OF[form.name]
        self._seed = random_seed
        self._with_anomalies = with_anomalies
        self.columns = tuple(column.name for column in self._physical)

    def rows(self, count: int) -> Iterator[SampleRow]:
        """Make the first rows of the table; each call starts again."""
        loans = [self._loans(copy) for copy in sorted({each.copy for each in self._physical})]
        planter = Planter(self._physical, self._dice("anomalies"))
        for index in range(count):
            values = [value for one in loans for value in one.draw(index)]
            anomaly = None
            if self._with_anomalies:
                anomaly = planter.spoil(index, values, loans[0].number)
            yield SampleRow(tuple(values), anomaly)

    def anomalies(self, count: int) -> Iterator[Anomaly]:
        """The anomalies among the first rows."""
        return (row.anomaly for row in self.rows(count) if row.anomaly)

    def _loans(self, copy: int) -> "_Loans":
        sources = [column.source for column in self._physical if column.copy == copy]
        return _Loans(sources, self._cells_of, self._dice(f"loans {copy}"), copy=copy)

    def _dice(self, use: str) -> Dice:
        return Dice(f"{self._seed} {use}")


class _Loans:
    """The loans of one copy of the form."""

    def __init__(
        self,
        sources: Sequence[str],
        cells_of: Callable[[Dice, str], dict[str, str | None]],
        dice: Dice,
        *,
        copy: int,
    ) -> None:
        self._sources = sources
        self._cells_of = cells_of
        self._dice = dice
        self._has_decoys = copy == 1
        self._first_number = dice.between(1, _NUMBERS - 1)

    def number(self, index: int) -> str:
        """The loan number of a row, independent of earlier rows."""
        return f"{(self._first_number + index * _STRIDE) % _NUMBERS:010}"

    def draw(self, index: int) -> list[str | None]:
        cells = self._cells_of(self._dice, self.number(index))
        if self._has_decoys:
            cells.update(decoy_cells(self._dice, cells))
        return [cells[source] for source in self._sources]
