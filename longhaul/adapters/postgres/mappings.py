"""Data sources and the mappings of attributes to their columns."""

from collections.abc import Mapping, Sequence

from longhaul.adapters.postgres.attributes import PostgresAttributes
from longhaul.adapters.postgres.data_sources import data_sources
from longhaul.core.mappings import Candidate, MappedReport, MappingTotals, NewMapping, Standing
from longhaul.core.ports import Transaction
from longhaul.core.sources import DataSource

# The phase with the attributes, whichever phase of the report was named.
_REPORT = """
SELECT p.cycle_id, p.report_id, p.id AS phase_id, r.name AS report_name, r.lob
FROM phase AS p JOIN report AS r ON r.id = p.report_id
WHERE p.cycle_id = $1 AND p.report_id = $2
    AND EXISTS (SELECT FROM attribute AS a WHERE a.phase_id = p.id)
ORDER BY p.id LIMIT 1
"""

_PHASE = "SELECT cycle_id, report_id FROM phase WHERE id = $1"

# A column without a job was chosen by hand.
_UNDECIDED = """
((m.job_id IS NOT NULL OR m.column_name IS NULL) AND m.status <> 'rejected'
 AND m.tester_decision IS NULL AND m.report_owner_decision IS NULL)
"""

_STANDING = f"""
SELECT {_UNDECIDED} AS undecided FROM pde_mapping AS m
WHERE m.attribute_id = $1 AND (m.column_name IS NOT NULL OR NOT {_UNDECIDED})
"""

# Locked in the order in which people's decisions lock them.
_HOLD = f"""
SELECT m.attribute_id, {_UNDECIDED} AS undecided FROM pde_mapping AS m
WHERE m.attribute_id = ANY ($1) ORDER BY m.id FOR UPDATE
"""

# Also without a replacement: the proposal of an earlier job is obsolete.
_DELETE_UNDECIDED = f"DELETE FROM pde_mapping AS m WHERE m.attribute_id = ANY ($1) AND {_UNDECIDED}"

_INSERT = """
INSERT INTO pde_mapping (
    phase_id, job_id, attribute_id, ordinal, data_source_id, table_name, column_name, mapping_type,
    confidence, alternatives, business_process, information_security_classification, criticality,
    risk, regulatory_flag, pii_flag, regulatory_references, rationale, provider, model,
    prompt_version, auto_approved, status, created_at)
SELECT a.phase_id, $1, new.*, CASE WHEN new.auto_approved THEN 'approved' ELSE 'pending' END,
       clock_timestamp()
FROM jsonb_to_recordset($2) AS new (
    attribute_id integer, ordinal integer, data_source_id integer, table_name text,
    column_name text, mapping_type text, confidence double precision, alternatives jsonb,
    business_process text, security text, criticality text, risk text, regulatory_flag boolean,
    pii_flag boolean, regulatory_references jsonb, rationale text, provider text, model text,
    prompt_version text, auto_approved boolean)
    JOIN attribute AS a ON a.id = new.attribute_id
ON CONFLICT (phase_id, attribute_id) DO NOTHING
"""

_TOTALS = """
SELECT (SELECT count(*) FROM pde_mapping WHERE job_id = $1) AS mapped,
       (SELECT count(*) FROM job_item
        WHERE job_id = $1 AND (output ->> 'needs_manual_mapping')::boolean) AS manual
"""


class PostgresMappings(PostgresAttributes):
    """Keeps mappings; every method works in the caller's transaction."""

    async def report_of_phase(self, tx: Transaction, phase_id: int) -> MappedReport | None:
        """The report that a phase belongs to."""
        rows = await tx.fetch(_PHASE, phase_id)
        return await self.report(tx, rows[0]["cycle_id"], rows[0]["report_id"]) if rows else None

    async def report(self, tx: Transaction, cycle_id: int, report_id: int) -> MappedReport | None:
        """A report in a cycle; None when it is not in the cycle or has no attributes."""
        rows = await tx.fetch(_REPORT, cycle_id, report_id)
        return MappedReport(**rows[0]) if rows else None

    async def sources(self, tx: Transaction, report_id: int) -> Mapping[int, DataSource]:
        """The data sources of a report by their ids."""
        return await data_sources(tx, report_id)

    async def standing(self, tx: Transaction, attribute_id: int) -> Standing:
        """The mapping that an attribute has already."""
        rows = await tx.fetch(_STANDING, attribute_id)
        if not rows:
            return Standing.NONE
        return Standing.PROPOSED if rows[0]["undecided"] else Standing.DECIDED

    async def hold(self, tx: Transaction, attribute_ids: Sequence[int]) -> set[int]:
        """Keep mappings as they are until the transaction ends; names the decided ones."""
        rows = await tx.fetch(_HOLD, attribute_ids)
        return {row["attribute_id"] for row in rows if not row["undecided"]}

    async def replace(self, tx: Transaction, job_id: str, mappings: Sequence[NewMapping]) -> None:
        """Replace the mappings that nobody has decided on."""
        await tx.execute(_DELETE_UNDECIDED, [new.attribute_id for new in mappings])
        records = [_record(new) for new in mappings if new.proposal.is_stored]
        if records:
            await tx.execute(_INSERT, job_id, records)

    async def totals(self, tx: Transaction, job_id: str) -> MappingTotals:
        """What a job has stored so far."""
        (row,) = await tx.fetch(_TOTALS, job_id)
        return MappingTotals(**row)


def _record(new: NewMapping) -> Mapping[str, object]:
    proposal = new.proposal
    column, means = proposal.column, proposal.classification
    assert column is not None
    return {
        "attribute_id": new.attribute_id,
        "ordinal": new.ordinal,
        "data_source_id": column.source_id,
        "table_name": column.table,
        "column_name": column.name,
        "mapping_type": proposal.mapping_type,
        "confidence": proposal.confidence,
        "alternatives": [_alternative(one) for one in proposal.alternatives],
        "business_process": means.business_process,
        "security": means.security,
        "criticality": means.criticality,
        "risk": means.risk,
        "regulatory_flag": means.regulatory,
        "pii_flag": means.pii,
        "regulatory_references": list(means.references),
        "rationale": proposal.rationale,
        "provider": proposal.provider,
        "model": proposal.model,
        "prompt_version": proposal.prompt_version,
        "auto_approved": proposal.is_auto_approved,
    }


def _alternative(candidate: Candidate) -> Mapping[str, object]:
    column = candidate.column
    return {
        "data_source_id": column.source_id,
        "table": column.table,
        "column": column.name,
        "score": candidate.score,
    }
