"""PDE mapping: the physical column that feeds each attribute of a report."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from longhaul.activities.report_scope import (
    AttributeIds,
    RowId,
    attribute_items,
    check_attributes,
    resolved_report,
)
from longhaul.core.attributes import Attribute
from longhaul.core.errors import InvalidInput, ItemFailed
from longhaul.core.items import Done, Failed, Item, ItemOutcome, ItemResult, NewItem, Skipped
from longhaul.core.job_types import ItemContext, JobType, Prepared, Queue, for_provider
from longhaul.core.jobs import Counts, Job
from longhaul.core.mappings import (
    Candidate,
    ColumnFinder,
    ColumnIndex,
    MappedReport,
    Mapper,
    MappingProposal,
    MappingStore,
    NewMapping,
    PhysicalColumn,
    Standing,
)
from longhaul.core.ports import Transaction
from longhaul.core.principals import Principal, Role, is_visible
from longhaul.core.single_flight import SingleFlight
from longhaul.core.sources import Sources

_JOBS_REMEMBERED = 32

_ALTERNATIVES_SHOWN = 3


class PdeMappingParameters(BaseModel):
    """Which attributes are mapped."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    phase_id: RowId | None = Field(None, description="a phase of the report in its cycle")
    cycle_id: RowId | None = Field(None, description="goes with report_id")
    report_id: RowId | None = Field(None, description="goes with cycle_id")
    attribute_ids: AttributeIds | None = Field(
        None, description="all active attributes when absent"
    )
    regenerate: bool = Field(
        False, description="also propose for attributes whose mapping nobody has decided on"
    )

    @property
    def report(self) -> tuple[int, int]:
        """The cycle and the report, once `prepare` has found them."""
        return resolved_report(self.cycle_id, self.report_id)

    @model_validator(mode="after")
    def _names_a_report(self) -> Self:
        if (self.cycle_id is None) != (self.report_id is None):
            raise ValueError("cycle_id and report_id go together")
        if self.phase_id is None and self.cycle_id is None:
            raise ValueError("give phase_id, or cycle_id and report_id")
        return self


class PdeMappingType(JobType[PdeMappingParameters]):
    """Finds the column of each attribute among those that the report's sources really have.

    Args:
        finder: Brings up the few columns that may be meant.
        offline: Decides for jobs that were planned with the provider `offline`.
        model: Decides for all others.
        frozen: Provider, model and prompt version for jobs that are planned from now on.
    """

    name = "pde_auto_mapping"
    title = "PDE mapping"
    task_name = "app.tasks.planning.auto_map_pdes"
    aliases = ("pde_regeneration", "pde_mapping")
    parameters = PdeMappingParameters
    queue = Queue.LLM
    item_timeout = timedelta(minutes=5)
    roles = frozenset({Role.TESTER, Role.TEST_EXECUTIVE, Role.ADMIN})

    def __init__(
        self,
        *,
        store: MappingStore,
        sources: Sources,
        finder: ColumnFinder,
        offline: Mapper,
        model: Mapper,
        frozen: Mapping[str, Any],
    ) -> None:
        self._store = store
        self._sources = sources
        self._finder = finder
        self._offline = offline
        self._model = model
        self._frozen = frozen
        self._indexes = SingleFlight[tuple[str, int], ColumnIndex](_JOBS_REMEMBERED)

    async def prepare(
        self, tx: Transaction, parameters: PdeMappingParameters, principal: Principal
    ) -> Prepared[PdeMappingParameters]:
        """Find the report, and check that the attributes belong to it.

        Raises:
            InvalidInput: They name something that does not exist or cannot be used.
        """
        report = await self._report(tx, parameters, principal)
        await check_attributes(
            self._store, tx, report.cycle_id, report.report_id, parameters.attribute_ids
        )
        resolved = parameters.model_copy(
            update={
                "phase_id": report.phase_id,
                "cycle_id": report.cycle_id,
                "report_id": report.report_id,
            }
        )
        return Prepared(
            parameters=resolved,
            cycle_id=report.cycle_id,
            report_id=report.report_id,
            phase_id=report.phase_id,
            singleton=True,
            report_name=report.report_name,
        )

    def freeze(self) -> Mapping[str, Any]:
        """Provider, model and prompt version."""
        return self._frozen

    def items(self, tx: Transaction, parameters: PdeMappingParameters) -> AsyncIterator[NewItem]:
        """List the attributes in the order of the form."""
        return attribute_items(
            self._store, tx, *parameters.report, parameters.attribute_ids, verb="Column of"
        )

    async def do(self, item: Item, context: ItemContext[PdeMappingParameters]) -> ItemResult:
        """Propose a column for one attribute, or leave it to a person.

        Raises:
            ItemFailed: The attribute is gone, a source cannot be read, or the model gives no
                usable answer.
        """
        attribute_id = int(item.payload["attribute_id"])
        async with context.database.begin() as tx:
            attribute = await self._store.attribute(tx, attribute_id)
            standing = await self._store.standing(tx, attribute_id)
        if attribute is None:
            raise ItemFailed("attribute_missing", "The attribute is no longer active.")
        if standing is Standing.DECIDED:
            return Skipped("A person has decided on the mapping of the attribute.")
        if standing is Standing.PROPOSED and not context.parameters.regenerate:
            return Skipped("The attribute is already mapped.")
        columns = await self._indexes.get(
            (context.job.id, context.job.attempt), lambda: self._index(context)
        )
        shortlist = await asyncio.to_thread(columns.shortlist, attribute)
        proposal = await self._propose(attribute, shortlist, columns, context)
        return Done(_output(proposal), rows=proposal)

    async def refuse(
        self, tx: Transaction, job: Job, ended: Sequence[ItemOutcome]
    ) -> Mapping[int, Failed]:
        """Refuse the results of attributes that people have decided on meanwhile."""
        ids = {one.item.ordinal: int(one.item.payload["attribute_id"]) for one in ended}
        decided = await self._store.hold(tx, sorted(ids.values()))
        failed = Failed(
            "decided_meanwhile", "A person decided on the mapping while the job was running."
        )
        return {ordinal: failed for ordinal, id_ in ids.items() if id_ in decided}

    async def save(self, tx: Transaction, job: Job, ended: Sequence[ItemOutcome]) -> None:
        """Store the mappings, replacing those that nobody has decided on."""
        mappings = [
            NewMapping(
                attribute_id=int(one.item.payload["attribute_id"]),
                ordinal=one.item.ordinal,
                proposal=one.result.rows,
            )
            for one in ended
            if isinstance(one.result, Done) and isinstance(one.result.rows, MappingProposal)
        ]
        await self._store.replace(tx, job.id, mappings)

    async def summarise(self, tx: Transaction, job: Job, counts: Counts) -> Mapping[str, Any]:
        """Count what was mapped, and what a person must map."""
        totals = await self._store.totals(tx, job.id)
        have_mapping = totals.mapped + counts.skipped
        return {
            "total_mapped": totals.mapped,
            "total_failed": counts.failed,
            "needs_manual_mapping": totals.manual,
            "already_mapped": counts.skipped,
            "total_attributes": counts.total,
            "success_rate": round(100 * have_mapping / counts.total, 2) if counts.total else 0.0,
            "mapped_count": totals.mapped,
            "total_count": counts.total,
        }

    async def _report(
        self, tx: Transaction, parameters: PdeMappingParameters, principal: Principal
    ) -> MappedReport:
        cycle_id, report_id = parameters.cycle_id, parameters.report_id
        if parameters.phase_id is not None:
            report = await self._store.report_of_phase(tx, parameters.phase_id)
            unknown = InvalidInput(
                f"There is no phase {parameters.phase_id} of a report with attributes.",
                (("/parameters/phase_id", "unknown"),),
            )
        else:
            report = await self._store.report(tx, *parameters.report)
            unknown = InvalidInput(
                f"Cycle {cycle_id} holds no report {report_id} with attributes.",
                (("/parameters/report_id", "unknown in this cycle"),),
            )
        if report is None or not is_visible(report.lob, principal):
            raise unknown
        if cycle_id is not None and (cycle_id, report_id) != (report.cycle_id, report.report_id):
            raise InvalidInput(
                f"Phase {parameters.phase_id} belongs to another cycle or report.",
                (("/parameters/phase_id", "of another cycle or report"),),
            )
        return report

    async def _index(self, context: ItemContext[PdeMappingParameters]) -> ColumnIndex:
        cycle_id, report_id = context.parameters.report
        async with context.database.begin() as tx:
            sources = await self._store.sources(tx, report_id)
            names = await self._store.names(tx, cycle_id, report_id)
        if not sources:
            raise ItemFailed("no_source", "The report has no data source to map to.")
        columns = [
            PhysicalColumn(
                source_id=source_id,
                source=source.name,
                table=table.name,
                name=column.name,
                type=column.type,
            )
            for source_id, source in sources.items()
            for table in await self._sources.tables(source)
            for column in table.columns
        ]
        if not columns:
            raise ItemFailed("no_columns", "The report's data sources have no table to map to.")
        context.log("columns_found", columns=len(columns), sources=len(sources))
        return await asyncio.to_thread(self._finder.index, columns, names)

    async def _propose(
        self,
        attribute: Attribute,
        shortlist: Sequence[Candidate],
        columns: ColumnIndex,
        context: ItemContext[PdeMappingParameters],
    ) -> MappingProposal:
        frozen = context.job.frozen
        mapper = for_provider(frozen, offline=self._offline, model=self._model)
        return await mapper.propose(attribute, shortlist, columns, frozen, context.calls)


def _output(proposal: MappingProposal) -> Mapping[str, Any]:
    column = proposal.column if proposal.is_stored else None
    return {
        "needs_manual_mapping": column is None,
        "data_source": column and column.source,
        "table": column and column.table,
        "column": column and column.name,
        "confidence": proposal.confidence,
        "auto_approved": proposal.is_auto_approved,
        "alternatives": [
            f"{one.column.table}.{one.column.name}"
            for one in proposal.alternatives[:_ALTERNATIVES_SHOWN]
        ],
        "provider": proposal.provider,
    }
