"""Imported reports: forms, cycles and data sources."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from operator import itemgetter
from typing import Any

from longhaul.adapters.postgres.data_sources import data_sources, data_sources_of
from longhaul.adapters.postgres.reports import PostgresReports, store_report, store_source
from longhaul.api.cursors import cut, read_audit_cursor, read_form_cursor
from longhaul.api.object_audit import audit_page
from longhaul.api.report_schemas import (
    AddedSourceView,
    AttributePage,
    AttributeView,
    ImportedView,
    InCycleView,
    ReportList,
    ReportRequest,
    ReportView,
    SourceList,
    SourceRequest,
    SourceView,
)
from longhaul.api.schemas import ObjectHistory
from longhaul.core.errors import (
    AlreadyThere,
    Forbidden,
    InvalidInput,
    ItemFailed,
    NotFound,
)
from longhaul.core.forms import FormAttribute, what_differs
from longhaul.core.ports import Database, Row, Transaction
from longhaul.core.principals import Principal, Role, check_holds, is_visible
from longhaul.core.sources import DataSource, Sources, SourceTable, refusal_of

BRINGS_REPORTS = frozenset({Role.ADMIN, Role.TEST_EXECUTIVE})
ADDS_SOURCES = frozenset({Role.ADMIN, Role.DATA_EXECUTIVE})


class Reports:
    """Answers the routes of reports.

    Args:
        sources: Reads a data source before it is added.
    """

    def __init__(self, *, database: Database, store: PostgresReports, sources: Sources) -> None:
        self._database = database
        self._store = store
        self._sources = sources

    async def bring(self, principal: Principal, body: ReportRequest) -> ImportedView:
        """Store a report in a cycle, with its phases and its form; the same again changes nothing.

        Raises:
            Forbidden: The caller may not import reports, or not of this line of business.
            InvalidInput: The form cannot be read.
            AlreadyThere: The report has another form in this cycle, or is somebody else's.
        """
        check_holds(principal, BRINGS_REPORTS, "Reports are imported")
        form = await asyncio.to_thread(body.read_form)
        async with self._database.begin() as tx:
            known = await self._store.take(tx, body.name)
            lob = _line_of_business(principal, body, known)
            regulation = body.regulation or (known["regulation"] if known else "")
            if known:
                _check_same(known, lob, regulation)
            there = await self._in_cycle(tx, known, body.cycle)
            if there is not None:
                _check_same_form(body, await self._form(tx, there), form)
                ids = there
            else:
                ids = await self._store_new(tx, principal, body, form, lob, regulation)
        return {
            "report_id": ids["report_id"],
            "name": body.name,
            "regulation": regulation,
            "lob": lob,
            "cycle_id": ids["cycle_id"],
            "cycle": body.cycle,
            "phase_ids": _in_order(ids["phase_ids"]),
            "attributes": len(form),
            "created": there is None,
        }

    async def list(self, principal: Principal, *, limit: int, cursor: str | None) -> ReportList:
        """One page of the reports that the caller may see.

        Raises:
            MalformedRequest: The cursor cannot be read.
        """
        after = read_audit_cursor(cursor)
        async with self._database.begin() as tx:
            found = await self._store.page(tx, principal.listed_lob, limit=limit + 1, after=after)
            page, next_cursor = cut(found, limit, itemgetter("id"))
            ids = [row["id"] for row in page]
            in_cycles = await self._store.in_cycles(tx, ids)
            sources = await data_sources_of(tx, ids)
            reports = [
                _report_object(
                    row,
                    [one for one in in_cycles if one["report_id"] == row["id"]],
                    sources[row["id"]],
                )
                for row in page
            ]
        return {"reports": reports, "next_cursor": next_cursor}

    async def attributes(
        self,
        principal: Principal,
        report_id: int,
        cycle_id: int | None,
        *,
        limit: int,
        cursor: str | None,
    ) -> AttributePage:
        """One page of a report's form in a cycle, or in its latest one.

        Raises:
            NotFound: The caller has no such report, or not in this cycle.
            MalformedRequest: The cursor cannot be read.
        """
        after = read_form_cursor(cursor)
        async with self._database.begin() as tx:
            await self._find(tx, principal, report_id)
            cycles = [one["cycle_id"] for one in await self._store.in_cycles(tx, [report_id])]
            if not cycles or cycle_id not in (None, *cycles):
                raise NotFound("The report is not in this cycle.")
            chosen = cycle_id or cycles[-1]
            found = await self._store.form(tx, chosen, report_id, limit=limit + 1, after=after)
        page, next_cursor = cut(found, limit, itemgetter("line_no", "attribute_id"))
        return {
            "cycle_id": chosen,
            "attributes": [_attribute_object(row) for row in page],
            "next_cursor": next_cursor,
        }

    async def sources(self, principal: Principal, report_id: int) -> SourceList:
        """The data sources of a report.

        Raises:
            NotFound: The caller has no such report.
        """
        async with self._database.begin() as tx:
            await self._find(tx, principal, report_id)
            return {"sources": _source_objects(await data_sources(tx, report_id))}

    async def add_source(
        self, principal: Principal, report_id: int, body: SourceRequest
    ) -> AddedSourceView:
        """Check a data source and add it to a report; the same again changes nothing.

        Raises:
            NotFound: The caller has no such report.
            Forbidden: The caller may not add sources.
            InvalidInput: It cannot be read.
            Unavailable: It does not answer now.
            AlreadyThere: The report has another source of this name.
        """
        async with self._database.begin() as tx:
            await self._find(tx, principal, report_id)
        check_holds(principal, ADDS_SOURCES, "Data sources are added")
        source = body.as_source()
        tables = await self._look_into(source)
        async with self._database.begin() as tx:
            await self._store.lock(tx, report_id)
            known = await data_sources(tx, report_id)
            source_id = _same_of(source, known)
            is_new = source_id is None
            if source_id is None:
                source_id = await store_source(tx, report_id, source)
                added = _source_object(source_id, source)
                await self._store.note(tx, report_id, "source_added", principal.sub, added)
        return {
            **_source_object(source_id, source),
            "tables": len(tables),
            "columns": sum(len(table.columns) for table in tables),
            "created": is_new,
        }

    async def remove_source(self, principal: Principal, report_id: int, source_id: int) -> None:
        """Remove a data source that nothing has come from yet.

        Raises:
            NotFound: The caller has no such report, or it has no such source.
            Forbidden: The caller may not remove sources.
            WrongState: Something has come from it.
        """
        async with self._database.begin() as tx:
            await self._find(tx, principal, report_id)
            check_holds(principal, ADDS_SOURCES, "Data sources are removed")
            known = await data_sources(tx, report_id)
            if not await self._store.remove_source(tx, report_id, source_id):
                raise NotFound("The report has no such data source.")
            removed = _source_object(source_id, known[source_id])
            await self._store.note(tx, report_id, "source_removed", principal.sub, removed)

    async def history(
        self, principal: Principal, report_id: int, *, limit: int, cursor: str | None
    ) -> ObjectHistory:
        """One page of the audit of a report, oldest first.

        Raises:
            NotFound: The caller has no such report.
            MalformedRequest: The cursor cannot be read.
        """
        after = read_audit_cursor(cursor)
        async with self._database.begin() as tx:
            await self._find(tx, principal, report_id)
            found = await self._store.audit(tx, report_id, limit=limit + 1, after=after)
        return audit_page(found, limit)

    async def _find(self, tx: Transaction, principal: Principal, report_id: int) -> Row:
        row = await self._store.find(tx, report_id)
        if row is None or not is_visible(row["lob"], principal):
            raise NotFound("There is no such report.")
        return row

    async def _in_cycle(self, tx: Transaction, known: Row | None, cycle: str) -> Row | None:
        in_cycles = await self._store.in_cycles(tx, [known["id"]]) if known else ()
        found = [one for one in in_cycles if one["cycle"] == cycle and one["attributes"]]
        return found[0] if found else None

    async def _form(self, tx: Transaction, there: Row) -> Sequence[Mapping[str, Any]]:
        rows = await self._store.form(tx, there["cycle_id"], there["report_id"])
        return [{name: row[name] for name in FormAttribute.model_fields} for row in rows]

    async def _store_new(
        self,
        tx: Transaction,
        principal: Principal,
        body: ReportRequest,
        form: Sequence[FormAttribute],
        lob: str,
        regulation: str,
    ) -> Mapping[str, Any]:
        stored = await store_report(
            tx,
            name=body.name,
            regulation=regulation,
            lob=lob,
            cycle=body.cycle,
            attributes=form,
        )
        details = {"cycle": body.cycle, "attributes": len(form)}
        await self._store.note(tx, stored.report_id, "imported", principal.sub, details)
        return asdict(stored)

    async def _look_into(self, source: DataSource) -> Sequence[SourceTable]:
        try:
            tables = await self._sources.tables(source)
        except ItemFailed as exc:
            raise refusal_of(exc, "/location") from None
        if not any(table.columns for table in tables):
            raise InvalidInput(
                "No table can be read: check the location, and the permissions in the data source.",
                (("/location", "nothing to read"),),
            )
        return tables


def _line_of_business(principal: Principal, body: ReportRequest, known: Row | None) -> str:
    if known is not None and not is_visible(known["lob"], principal):
        # The caller has named it, and must not learn more than that it cannot be used.
        raise AlreadyThere("A report of this name cannot be made here: choose another name.")
    lob = body.lob or (known["lob"] if known else principal.lob)
    if lob is None:
        raise InvalidInput(
            "Give the report's line of business.", (("/lob", "required: your token names none"),)
        )
    if not is_visible(lob, principal):
        raise Forbidden("You can only import reports of your own line of business.")
    return lob


def _check_same(known: Row, lob: str, regulation: str) -> None:
    for what, stored, given in (
        ("line of business", known["lob"], lob),
        ("regulation", known["regulation"], regulation),
    ):
        if stored != given:
            raise AlreadyThere(
                f"The report already exists with another {what}, {stored!r}: leave it out, or "
                "choose another name."
            )


def _check_same_form(
    body: ReportRequest, before: Sequence[Mapping[str, Any]], form: Sequence[FormAttribute]
) -> None:
    difference = what_differs(before, form)
    if difference:
        raise AlreadyThere(
            f"The report already has another form in the cycle {body.cycle!r}: {difference}. "
            "Import the changed form into a new cycle; this cycle keeps its decisions."
        )


def _same_of(source: DataSource, known: Mapping[int, DataSource]) -> int | None:
    for source_id, one in known.items():
        if one.name != source.name:
            continue
        if (one.kind, one.location, one.secret_ref) != (
            source.kind,
            source.location,
            source.secret_ref,
        ):
            raise AlreadyThere(
                "The report has another data source of this name: choose another name."
            )
        return source_id
    return None


def _report_object(
    row: Row, in_cycles: Sequence[Row], sources: Mapping[int, DataSource]
) -> ReportView:
    return {
        "report_id": row["id"],
        "name": row["name"],
        "regulation": row["regulation"],
        "lob": row["lob"],
        "cycles": [_in_cycle_object(one) for one in in_cycles],
        "sources": _source_objects(sources),
    }


def _attribute_object(row: Row) -> AttributeView:
    return {
        "attribute_id": row["attribute_id"],
        "name": row["name"],
        "line_no": row["line_no"],
        "mdrm": row["mdrm"],
        "mandatory": row["mandatory"],
        "format": row["format"],
        "data_type": row["data_type"],
        "description": row["description"],
        "is_key": row["is_key"],
        "is_cde": row["is_cde"],
        "has_issues": row["has_issues"],
    }


def _in_cycle_object(row: Row) -> InCycleView:
    return {
        "cycle_id": row["cycle_id"],
        "cycle": row["cycle"],
        "phase_ids": _in_order(row["phase_ids"]),
        "attributes": row["attributes"],
    }


def _in_order(phase_ids: Mapping[str, int]) -> dict[str, int]:
    """Phases in their order, which JSON in the database does not keep."""
    return dict(sorted(phase_ids.items(), key=lambda phase: phase[1]))


def _source_objects(sources: Mapping[int, DataSource]) -> list[SourceView]:
    return [_source_object(source_id, one) for source_id, one in sources.items()]


def _source_object(source_id: int, source: DataSource) -> SourceView:
    return {
        "source_id": source_id,
        "name": source.name,
        "kind": source.kind,
        "location": source.location,
        "secret_ref": source.secret_ref,
    }
