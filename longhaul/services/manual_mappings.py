"""Maps an attribute for a tester; this approves the mapping as tester."""

from collections.abc import Mapping, Sequence
from typing import Any

from longhaul.core.decisions import (
    AuditLine,
    DecisionStore,
    Reviewer,
    Version,
    reviewer_of,
)
from longhaul.core.errors import InvalidInput, ItemFailed, NotFound
from longhaul.core.manual_mappings import ManualMapping, MappingShelf, find_column
from longhaul.core.mappings import PhysicalColumn
from longhaul.core.ports import Transaction
from longhaul.core.principals import Principal
from longhaul.core.sources import DataSource, Sources, find_source, refusal_of


class ManualMappings:
    """Maps attributes to columns that people choose.

    Args:
        sources: Reads the columns, as for jobs.
    """

    def __init__(self, *, shelf: MappingShelf, decisions: DecisionStore, sources: Sources) -> None:
        self._shelf = shelf
        self._decisions = decisions
        self._sources = sources

    async def unmapped(
        self, tx: Transaction, version: Version, *, limit: int, after: tuple[int, int] | None
    ) -> Sequence[Mapping[str, Any]]:
        """One page of the attributes without a column."""
        return await self._shelf.unmapped(tx, version.phase_id, limit=limit, after=after)

    async def source(
        self, tx: Transaction, principal: Principal, version: Version, attribute_id: int, name: str
    ) -> DataSource:
        """The data source of a name, for a caller who may map the attribute.

        Raises:
            Forbidden: The caller is not a tester.
            NotFound: The phase has no such attribute.
            InvalidInput: The report has no such data source.
        """
        await self._check(tx, principal, version, attribute_id)
        return find_source((await self._shelf.sources(tx, version.report_id)).values(), name)

    async def column(self, source: DataSource, table: str, column: str) -> PhysicalColumn:
        """A column as the source has it; looked up outside of a transaction.

        Raises:
            InvalidInput: There is none, or the source cannot be read.
            Unavailable: The source does not answer now.
        """
        try:
            tables = await self._sources.tables(source)
        except ItemFailed as exc:
            raise refusal_of(exc, "/data_source") from None
        return find_column(source, tables, table, column)

    async def put(
        self,
        tx: Transaction,
        principal: Principal,
        version: Version,
        attribute_id: int,
        column: PhysicalColumn,
        mapping: ManualMapping,
    ) -> str:
        """Replace the mapping of an attribute; returns the id of the entry.

        Raises:
            As `source`.
        """
        await self._check(tx, principal, version, attribute_id)
        if not await self._shelf.hold_source(tx, column.source_id):
            raise InvalidInput(
                "The data source was removed meanwhile: choose a column of another one.",
                (("/data_source", "unknown"),),
            )
        before = await self._shelf.mapping(tx, version.phase_id, attribute_id)
        entry_id = await self._shelf.put(tx, version.phase_id, attribute_id, column, mapping)
        after = await self._shelf.mapping(tx, version.phase_id, attribute_id)
        assert after is not None
        details: Mapping[str, Any] = {"before": before, "after": after}
        line = AuditLine(
            action="mapped",
            by=principal.sub,
            entry_id=entry_id,
            reviewer=Reviewer.TESTER,
            reason=mapping.reason,
            details=details,
        )
        await self._decisions.note(tx, version, [line])
        return entry_id

    async def _check(
        self, tx: Transaction, principal: Principal, version: Version, attribute_id: int
    ) -> None:
        reviewer_of(principal, Reviewer.TESTER)
        if not await self._shelf.hold_attribute(tx, version.phase_id, attribute_id):
            raise NotFound("The phase has no such attribute.")
