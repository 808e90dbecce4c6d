"""Mappings that people make, to any column of a report's sources."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Protocol

from longhaul.core.errors import InvalidInput
from longhaul.core.mappings import Level, MappingType, PhysicalColumn, SecurityClass
from longhaul.core.ports import Transaction
from longhaul.core.sources import DataSource, SourceTable

PROVIDER = "person"

_MOST_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualMapping:
    """A mapping by a person; fields that are None stay as they were.

    Attributes:
        reason: Why this column.
    """

    mapping_type: MappingType
    reason: str = ""
    business_process: str | None = None
    security: SecurityClass | None = None
    criticality: Level | None = None
    risk: Level | None = None
    regulatory: bool | None = None
    pii: bool | None = None
    references: Sequence[str] | None = None


class MappingShelf(Protocol):
    """Mappings one by one, as people make them; every method works in the caller's transaction."""

    async def hold_attribute(self, tx: Transaction, phase_id: int, attribute_id: int) -> bool:
        """Lock an active attribute of a phase for mapping; False when there is none."""

    async def sources(self, tx: Transaction, report_id: int) -> Mapping[int, DataSource]:
        """The data sources of a report by their ids."""

    async def hold_source(self, tx: Transaction, source_id: int) -> bool:
        """Keep others from removing a data source; False when it is gone."""

    async def mapping(
        self, tx: Transaction, phase_id: int, attribute_id: int
    ) -> Mapping[str, Any] | None:
        """An attribute's mapping, with the decisions on it."""

    async def unmapped(
        self, tx: Transaction, phase_id: int, *, limit: int, after: tuple[int, int] | None
    ) -> Sequence[Mapping[str, Any]]:
        """One page of the active attributes without a column, in the order of the form.

        Those have no mapping, or one that was rejected.
        """

    async def put(
        self,
        tx: Transaction,
        phase_id: int,
        attribute_id: int,
        column: PhysicalColumn,
        mapping: ManualMapping,
    ) -> str:
        """Replace an attribute's mapping by hand; returns the id of the entry.

        It counts as approved by the tester, and waits for the report owner.
        """


def find_column(
    source: DataSource, tables: Sequence[SourceTable], table: str, column: str
) -> PhysicalColumn:
    """The column of these names, as the source itself writes them.

    Raises:
        InvalidInput: There is none; the message has similar names.
    """
    found = next((one for one in tables if one.name == table), None)
    if found is None:
        raise _missing("table", "The data source has no such table", table, tables)
    for one in found.columns:
        if one.name == column:
            assert source.id is not None
            return PhysicalColumn(
                source_id=source.id, source=source.name, table=table, name=column, type=one.type
            )
    raise _missing("column", "The table has no such column", column, found.columns)


def _missing(field: str, sentence: str, wanted: str, known: Sequence[Any]) -> InvalidInput:
    names = {one.name.lower(): one.name for one in known}
    alike = get_close_matches(wanted.lower(), names, n=_MOST_NAMED, cutoff=0.5)
    hint = f"; named alike: {', '.join(names[one] for one in alike)}" if alike else ""
    return InvalidInput(f"{sentence}{hint}.", ((f"/{field}", "unknown"),))
