"""Versions and decisions over HTTP: one transaction a request, and rows as clients see them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from operator import attrgetter, itemgetter
from typing import Any
from uuid import UUID

from longhaul.api.approving import Approving
from longhaul.api.cursors import (
    cut,
    read_audit_cursor,
    read_entry_cursor,
    read_form_cursor,
    read_job_cursor,
)
from longhaul.api.decision_schemas import (
    CountsView,
    DecidedView,
    DecisionAuditLine,
    DecisionHistory,
    DecisionRequest,
    MappingRequest,
    UnmappedPage,
    UnmappedView,
)
from longhaul.core.approvers import Decision
from longhaul.core.decisions import (
    Choice,
    DecisionCounts,
    DecisionStore,
    EntryFilter,
    Kind,
    Version,
    VersionAction,
    VersionFilter,
)
from longhaul.core.errors import NotFound
from longhaul.core.jobs import Job
from longhaul.core.ports import Database, Row, Transaction
from longhaul.core.principals import Principal
from longhaul.core.rule_edits import RuleChange
from longhaul.core.times import rfc3339
from longhaul.services.decisions import Decisions
from longhaul.services.manual_mappings import ManualMappings
from longhaul.services.rule_editing import RuleEditing

# Columns that only the database needs, and the job, which only its owner may know.
_HIDDEN = frozenset({"entry_id", "kwargs_hash", "line_no", "place", "job_id", "ordinal"})

# The answer to waiting flows for a step of a version.
_ANSWERS: Mapping[VersionAction, Decision] = {
    VersionAction.APPROVE: Decision.APPROVED,
    VersionAction.REJECT: Decision.REJECTED,
}

# Finds the version of a path, for a caller who may see it.
Find = Callable[[Transaction], Awaitable[Version]]


class Deciding:
    """Answers the routes of versions and phases."""

    def __init__(
        self,
        *,
        database: Database,
        store: DecisionStore,
        decisions: Decisions,
        editing: RuleEditing,
        manual_mappings: ManualMappings,
        approving: Approving,
    ) -> None:
        self._database = database
        self._store = store
        self._decisions = decisions
        self._editing = editing
        self._manual_mappings = manual_mappings
        self._approving = approving

    def version(self, principal: Principal, version_id: str, kind: Kind | None = None) -> Find:
        """How to find a version, of any kind or of one."""

        async def find(tx: Transaction) -> Version:
            found = await self._decisions.version(tx, principal, version_id)
            if kind not in (None, found.kind):
                raise NotFound(f"The version has {found.kind}, not {kind}.")
            return found

        return find

    def mappings(self, principal: Principal, phase_id: int) -> Find:
        """How to find the mappings of a phase."""

        async def find(tx: Transaction) -> Version:
            return await self._decisions.mappings(tx, principal, phase_id)

        return find

    async def list(
        self, principal: Principal, wanted: VersionFilter, *, limit: int, cursor: str | None
    ) -> dict[str, Any]:
        """One page of the versions that the caller may see.

        Raises:
            MalformedRequest: The cursor cannot be read.
        """
        after = read_job_cursor(cursor)
        async with self._database.begin() as tx:
            found = await self._decisions.versions(
                tx, principal, wanted, limit=limit + 1, after=after
            )
        page, next_cursor = cut(found, limit, attrgetter("created_at", "id"))
        return {"versions": [_version_object(one) for one in page], "next_cursor": next_cursor}

    async def show(self, find: Find) -> dict[str, Any]:
        """One version.

        Raises:
            NotFound: The caller has none.
        """
        async with self._database.begin() as tx:
            version = await find(tx)
            counts = await self._store.counts(tx, version)
        return {**_version_object(version), "counts": _counts_object(counts)}

    async def read(self, find: Find) -> Version:
        """One version as core has it.

        Raises:
            NotFound: The caller has none.
        """
        async with self._database.begin() as tx:
            return await find(tx)

    async def entries(
        self, find: Find, wanted: EntryFilter, *, limit: int, cursor: str | None
    ) -> dict[str, Any]:
        """One page of the entries of a version.

        Raises:
            NotFound: The caller has no such version.
            MalformedRequest: The cursor cannot be read.
        """
        after = read_entry_cursor(cursor)
        async with self._database.begin() as tx:
            version = await find(tx)
            rows = await self._store.entries(tx, version, wanted, limit=limit + 1, after=after)
            counts = await self._store.counts(tx, version)
        page, next_cursor = cut(rows, limit, itemgetter("line_no", "place", "entry_id"))
        return {
            "kind": version.kind,
            "entries": [_entry_object(row) for row in page],
            "counts": _counts_object(counts),
            "next_cursor": next_cursor,
        }

    async def decide(self, principal: Principal, find: Find, body: DecisionRequest) -> DecidedView:
        """Decide on entries of a version.

        Raises:
            As `Decisions.decide`.
        """
        choice = Choice(
            ids=None if body.ids is None else {canonical_id(one) for one in body.ids},
            attribute_ids=body.attribute_ids,
        )
        async with self._database.begin() as tx:
            done = await self._decisions.decide(
                tx,
                principal,
                await find(tx),
                choice,
                body.decision,
                reviewer=body.reviewer,
                reason=body.reason,
            )
        return {
            "as": done.reviewer,
            "decided": done.decided,
            "unchanged": done.unchanged,
            "counts": _counts_object(done.counts),
        }

    async def edit_rule(
        self, principal: Principal, find: Find, rule_id: str, change: RuleChange
    ) -> dict[str, Any]:
        """Change a rule of a draft.

        Raises:
            As `RuleEditing.edit`.
        """
        await self.read(find)
        await self._editing.check_pattern(change)
        async with self._database.begin() as tx:
            version = await find(tx)
            await self._editing.edit(tx, principal, version, rule_id, change)
            (row,) = await self._store.entries(
                tx, version, EntryFilter(ids=[rule_id]), limit=1, after=None
            )
        return _entry_object(row)

    async def unmapped(self, find: Find, *, limit: int, cursor: str | None) -> UnmappedPage:
        """One page of the attributes of a phase without a column.

        Raises:
            NotFound: The caller has no such phase.
            MalformedRequest: The cursor cannot be read.
        """
        after = read_form_cursor(cursor)
        async with self._database.begin() as tx:
            found = await self._manual_mappings.unmapped(
                tx, await find(tx), limit=limit + 1, after=after
            )
        page, next_cursor = cut(found, limit, itemgetter("line_no", "attribute_id"))
        return {"attributes": [_unmapped_object(row) for row in page], "next_cursor": next_cursor}

    async def map_manually(
        self, principal: Principal, find: Find, attribute_id: int, body: MappingRequest
    ) -> dict[str, Any]:
        """Map an attribute to a column of its report's sources.

        Raises:
            As `ManualMappings.column` and `ManualMappings.put`.
        """
        async with self._database.begin() as tx:
            version = await find(tx)
            source = await self._manual_mappings.source(
                tx, principal, version, attribute_id, body.data_source
            )
        column = await self._manual_mappings.column(source, body.table, body.column)
        async with self._database.begin() as tx:
            version = await find(tx)
            entry_id = await self._manual_mappings.put(
                tx, principal, version, attribute_id, column, body.as_mapping()
            )
            (row,) = await self._store.entries(
                tx, version, EntryFilter(ids=[entry_id]), limit=1, after=None
            )
        return _entry_object(row)

    async def take(
        self, principal: Principal, find: Find, action: VersionAction, reason: str
    ) -> dict[str, Any]:
        """Submit, approve or reject a version, and answer the flows that wait for it.

        Raises:
            As `Decisions.take`.
        """
        decision = _ANSWERS.get(action)
        flows: Sequence[Job] = ()
        async with self._database.begin() as tx:
            version = await find(tx)
            if decision is not None:
                flows = await self._approving.lock_flows_about(tx, version.id)
            moved = await self._decisions.take(tx, principal, version, action, reason)
            if decision is not None:
                flows = await self._approving.answer_about(
                    tx, principal, flows, version.id, decision, reason
                )
            counts = await self._store.counts(tx, moved)
        await self._approving.tell(flows)
        return {**_version_object(moved), "counts": _counts_object(counts)}

    async def history(
        self, find: Find, *, entry_id: str | None, limit: int, cursor: str | None
    ) -> DecisionHistory:
        """One page of the audit of a version and its entries.

        Raises:
            NotFound: The caller has no such version.
            MalformedRequest: The cursor cannot be read.
        """
        after = read_audit_cursor(cursor)
        wanted = None if entry_id is None else canonical_id(entry_id)
        async with self._database.begin() as tx:
            rows = await self._store.audit(
                tx, await find(tx), entry_id=wanted, limit=limit + 1, after=after
            )
        page, next_cursor = cut(rows, limit, itemgetter("id"))
        return {
            "audit": [_audit_object(row) for row in page],
            "next_cursor": next_cursor,
        }


def _version_object(version: Version) -> dict[str, Any]:
    return {
        "version_id": version.id,
        "kind": version.kind,
        "cycle_id": version.cycle_id,
        "report_id": version.report_id,
        "report_name": version.report_name,
        "phase_id": version.phase_id,
        "number": version.number,
        "status": version.status,
        "created_by": version.created_by,
        "created_at": version.created_at,
    }


def _counts_object(counts: DecisionCounts) -> CountsView:
    return {
        "total": counts.total,
        "pending": counts.pending,
        "approved": counts.approved,
        "rejected": counts.rejected,
        "waiting_for_tester": counts.waiting_for_tester,
        "waiting_for_report_owner": counts.waiting_for_report_owner,
    }


def _audit_object(row: Row) -> DecisionAuditLine:
    return {
        "time": row["time"],
        "action": row["action"],
        "by": row["by"],
        "entry_id": row["entry_id"],
        "reviewer": row["reviewer"],
        "reason": row["reason"],
        "details": row["details"],
    }


def _unmapped_object(row: Row) -> UnmappedView:
    return {
        "attribute_id": row["attribute_id"],
        "name": row["name"],
        "line_no": row["line_no"],
        "data_type": row["data_type"],
        "format": row["format"],
        "description": row["description"],
        "is_rejected": row["is_rejected"],
    }


def _entry_object(row: Row) -> dict[str, Any]:
    shown = {name: _shown(value) for name, value in row.items() if name not in _HIDDEN}
    return {**shown, "id": row["entry_id"]}


def _shown(value: object) -> object:
    match value:
        case datetime():
            return rfc3339(value)
        case UUID():
            return str(value)
        case Decimal():
            return float(value)
        case _:
            return value


def canonical_id(entry_id: str) -> str:
    """An id as the database writes it; unchanged if it is not a UUID."""
    try:
        return str(UUID(entry_id))
    except ValueError:
        return entry_id
