"""Reports with their cycles, phases, attributes and sources; imported ones and the sample."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import asyncpg

from longhaul.core.errors import WrongState
from longhaul.core.forms import FormAttribute
from longhaul.core.ports import Row, Transaction
from longhaul.core.sources import DataSource

PHASES = ("Planning", "Data Profiling", "Scoping", "Sample Selection", "Test Execution")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredReport:
    """A report in a cycle, by its ids.

    Attributes:
        phase_ids: By the name of the phase.
        attribute_ids: By the name of the attribute, in the order of the form.
    """

    cycle_id: int
    report_id: int
    phase_ids: Mapping[str, int]
    attribute_ids: Mapping[str, int]


_UPSERT_REPORT = """
INSERT INTO report (name, regulation, lob) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET regulation = excluded.regulation, lob = excluded.lob
RETURNING id
"""

_UPSERT_CYCLE = """
INSERT INTO cycle (name, starts_on) VALUES ($1, coalesce($2, current_date))
ON CONFLICT (name) DO UPDATE SET starts_on = coalesce($2, cycle.starts_on)
RETURNING id
"""

_JOIN_CYCLE = """
INSERT INTO cycle_report (cycle_id, report_id) VALUES ($1, $2) ON CONFLICT DO NOTHING
"""

_UPSERT_PHASES = """
INSERT INTO phase (cycle_id, report_id, name)
SELECT $1, $2, name FROM unnest($3::text[]) WITH ORDINALITY AS p (name, position) ORDER BY position
ON CONFLICT (cycle_id, report_id, name) DO UPDATE SET name = excluded.name
RETURNING name, id
"""

_UPSERT_ATTRIBUTES = """
INSERT INTO attribute (phase_id, line_no, name, mdrm, data_type, mandatory, description, format,
                       is_key, is_cde, has_issues, sample_values)
SELECT $1, a.*
FROM jsonb_to_recordset($2) AS a (
    line_no integer, name text, mdrm text, data_type text, mandatory text, description text,
    format text, is_key boolean, is_cde boolean, has_issues boolean, sample_values jsonb)
ORDER BY a.line_no
ON CONFLICT (phase_id, name) DO UPDATE SET
    line_no = excluded.line_no, mdrm = excluded.mdrm, data_type = excluded.data_type,
    mandatory = excluded.mandatory, description = excluded.description, format = excluded.format,
    is_key = excluded.is_key, is_cde = excluded.is_cde, has_issues = excluded.has_issues,
    is_active = true, sample_values = excluded.sample_values
RETURNING name, id
"""

# An attribute of an older form may have rules and mappings, so it stays.
_RETIRE_ATTRIBUTES = """
UPDATE attribute SET is_active = false WHERE phase_id = $1 AND name <> ALL ($2)
"""

_UPSERT_SOURCE = """
INSERT INTO data_source (report_id, name, kind, location, secret_ref) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (report_id, name) DO UPDATE SET
    kind = excluded.kind, location = excluded.location, secret_ref = excluded.secret_ref
RETURNING id
"""


async def store_report(
    tx: Transaction,
    *,
    name: str,
    regulation: str,
    lob: str,
    cycle: str,
    attributes: Sequence[FormAttribute],
    starts_on: date | None = None,
    sample_values: Mapping[str, Sequence[str]] | None = None,
) -> StoredReport:
    """Create or update a report in a cycle with its phases and form.

    Rows are found by their natural keys, so that ids stay.

    Args:
        starts_on: The cycle's start; today for a new one when None.
        sample_values: By attribute.
    """
    (in_cycle,) = await tx.fetch(_UPSERT_CYCLE, cycle, starts_on)
    (report,) = await tx.fetch(_UPSERT_REPORT, name, regulation, lob)
    cycle_id, report_id = in_cycle["id"], report["id"]
    await tx.execute(_JOIN_CYCLE, cycle_id, report_id)
    rows = await tx.fetch(_UPSERT_PHASES, cycle_id, report_id, PHASES)
    phase_ids = {row["name"]: row["id"] for row in rows}
    seen = sample_values or {}
    return StoredReport(
        cycle_id=cycle_id,
        report_id=report_id,
        phase_ids=phase_ids,
        attribute_ids=await _store_attributes(tx, phase_ids[PHASES[0]], attributes, seen),
    )


async def _store_attributes(
    tx: Transaction,
    phase_id: int,
    attributes: Sequence[FormAttribute],
    seen: Mapping[str, Sequence[str]],
) -> Mapping[str, int]:
    new = [{**one.model_dump(), "sample_values": seen.get(one.name, [])} for one in attributes]
    names = [one.name for one in attributes]
    rows = await tx.fetch(_UPSERT_ATTRIBUTES, phase_id, new)
    await tx.execute(_RETIRE_ATTRIBUTES, phase_id, names)
    ids = {row["name"]: row["id"] for row in rows}
    return {name: ids[name] for name in names}


async def store_source(tx: Transaction, report_id: int, source: DataSource) -> int:
    """Add a data source to a report, or change the one of this name."""
    (row,) = await tx.fetch(
        _UPSERT_SOURCE, report_id, source.name, source.kind, source.location, source.secret_ref
    )
    return int(row["id"])


_PAGE = """
SELECT * FROM report WHERE ($1::text IS NULL OR lob = $1) AND id > $2 ORDER BY id LIMIT $3
"""

_IN_CYCLES = """
SELECT p.report_id, c.id AS cycle_id, c.name AS cycle, jsonb_object_agg(p.name, p.id) AS phase_ids,
       (SELECT count(*) FROM attribute AS a JOIN phase AS own ON own.id = a.phase_id
        WHERE (own.cycle_id, own.report_id) = (c.id, p.report_id) AND a.is_active) AS attributes
FROM phase AS p JOIN cycle AS c ON c.id = p.cycle_id
WHERE p.report_id = ANY ($1) GROUP BY p.report_id, c.id ORDER BY c.id
"""

_FORM = """
SELECT a.id AS attribute_id, a.name, a.line_no, a.mdrm, a.mandatory, a.format, a.data_type,
       a.description, a.is_key, a.is_cde, a.has_issues
FROM attribute AS a JOIN phase AS p ON p.id = a.phase_id
WHERE p.cycle_id = $1 AND p.report_id = $2 AND a.is_active AND (a.line_no, a.id) > ($3, $4)
ORDER BY a.line_no, a.id LIMIT $5
"""

_NOTE = """
INSERT INTO report_audit (report_id, action, by, details, time)
VALUES ($1, $2, $3, $4, clock_timestamp())
"""


class PostgresReports:
    """Reads reports, and locks those that are written."""

    async def take(self, tx: Transaction, name: str) -> Row | None:
        """A report by its name, locked until the transaction ends."""
        # There may be no row to lock yet.
        key = f"report {name}"
        await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", key)
        rows = await tx.fetch("SELECT * FROM report WHERE name = $1 FOR NO KEY UPDATE", name)
        return rows[0] if rows else None

    async def lock(self, tx: Transaction, report_id: int) -> None:
        """Lock a report."""
        await tx.execute("SELECT FROM report WHERE id = $1 FOR NO KEY UPDATE", report_id)

    async def find(self, tx: Transaction, report_id: int) -> Row | None:
        """A report by its id."""
        rows = await tx.fetch("SELECT * FROM report WHERE id = $1", report_id)
        return rows[0] if rows else None

    async def page(
        self, tx: Transaction, lob: str | None, *, limit: int, after: int | None
    ) -> Sequence[Row]:
        """Reports, of one line of business or of all, oldest first."""
        return await tx.fetch(_PAGE, lob, after or 0, limit)

    async def in_cycles(self, tx: Transaction, report_ids: Sequence[int]) -> Sequence[Row]:
        """The cycles of reports, oldest first, with phases and how many attributes there are."""
        return await tx.fetch(_IN_CYCLES, report_ids)

    async def form(
        self,
        tx: Transaction,
        cycle_id: int,
        report_id: int,
        *,
        limit: int | None = None,
        after: tuple[int, int] | None = None,
    ) -> Sequence[Row]:
        """The active attributes of a report in a cycle, in the order of the form."""
        line_no, attribute_id = after or (-1, -1)
        return await tx.fetch(_FORM, cycle_id, report_id, line_no, attribute_id, limit)

    async def remove_source(self, tx: Transaction, report_id: int, source_id: int) -> bool:
        """Delete a data source; False when the report has none of this id.

        Raises:
            WrongState: Results of a job refer to it.
        """
        sql = "DELETE FROM data_source WHERE id = $1 AND report_id = $2"
        try:
            async with tx.nested():
                return await tx.execute(sql, source_id, report_id) > 0
        except asyncpg.ForeignKeyViolationError:
            raise WrongState(
                "Mappings, results, samples or evidence come from this data source; it cannot be "
                "removed."
            ) from None

    async def note(
        self, tx: Transaction, report_id: int, action: str, by: str, details: Mapping[str, Any]
    ) -> None:
        """Write who did what to a report."""
        await tx.execute(_NOTE, report_id, action, by, details)

    async def audit(
        self, tx: Transaction, report_id: int, *, limit: int, after: int | None
    ) -> Sequence[Row]:
        """Who did what to a report, oldest first."""
        sql = "SELECT * FROM report_audit WHERE report_id = $1 AND id > $2 ORDER BY id LIMIT $3"
        return await tx.fetch(sql, report_id, after or 0, limit)
