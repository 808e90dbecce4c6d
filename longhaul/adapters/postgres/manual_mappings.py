"""Mappings one by one, as people make them."""

from collections.abc import Mapping, Sequence
from typing import Any

from longhaul.adapters.postgres.data_sources import data_sources
from longhaul.core.manual_mappings import PROVIDER, ManualMapping
from longhaul.core.mappings import PhysicalColumn
from longhaul.core.ports import Transaction
from longhaul.core.sources import DataSource

_HOLD_ATTRIBUTE = """
SELECT FROM attribute WHERE phase_id = $1 AND id = $2 AND is_active FOR NO KEY UPDATE
"""

_HOLD_SOURCE = "SELECT FROM data_source WHERE id = $1 FOR KEY SHARE"

_MAPPING = """
SELECT d.name AS data_source, m.table_name, m.column_name, m.mapping_type, m.business_process,
       m.information_security_classification, m.criticality, m.risk, m.regulatory_flag, m.pii_flag,
       m.regulatory_references, m.provider, m.confidence, m.status, m.tester_decision,
       m.report_owner_decision, m.auto_approved
FROM pde_mapping AS m LEFT JOIN data_source AS d ON d.id = m.data_source_id
WHERE m.phase_id = $1 AND m.attribute_id = $2 FOR UPDATE OF m
"""

_UNMAPPED = """
SELECT a.id AS attribute_id, a.name, a.line_no, a.data_type, a.format, a.description,
       EXISTS (SELECT FROM pde_mapping AS m WHERE m.attribute_id = a.id AND m.phase_id = a.phase_id
               AND m.status = 'rejected') AS is_rejected
FROM attribute AS a
WHERE a.phase_id = $1 AND a.is_active AND (a.line_no, a.id) > ($2, $3)
    AND NOT EXISTS (SELECT FROM pde_mapping AS m
                    WHERE m.attribute_id = a.id AND m.phase_id = a.phase_id
                        AND m.column_name IS NOT NULL AND m.status <> 'rejected')
ORDER BY a.line_no, a.id LIMIT $4
"""

# A column without a job was chosen by hand: jobs leave it alone.
_PUT = f"""
INSERT INTO pde_mapping AS m (
    phase_id, attribute_id, data_source_id, table_name, column_name, mapping_type, rationale,
    business_process, information_security_classification, criticality, risk, regulatory_flag,
    pii_flag, regulatory_references, provider, model, prompt_version, status, tester_decision,
    created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, coalesce($8, ''), $9, $10, $11, coalesce($12, false),
        coalesce($13, false), coalesce($14::jsonb, '[]'), '{PROVIDER}', '', '', 'pending',
        'approved', clock_timestamp())
ON CONFLICT (phase_id, attribute_id) DO UPDATE SET
    job_id = NULL, ordinal = NULL, data_source_id = $3, table_name = $4, column_name = $5,
    mapping_type = $6, rationale = $7, confidence = NULL, alternatives = '[]',
    business_process = coalesce($8, m.business_process),
    information_security_classification = coalesce($9, m.information_security_classification),
    criticality = coalesce($10, m.criticality), risk = coalesce($11, m.risk),
    regulatory_flag = coalesce($12, m.regulatory_flag), pii_flag = coalesce($13, m.pii_flag),
    regulatory_references = coalesce($14::jsonb, m.regulatory_references),
    provider = '{PROVIDER}', model = '', prompt_version = '', auto_approved = false,
    status = 'pending', tester_decision = 'approved', report_owner_decision = NULL,
    created_at = clock_timestamp()
RETURNING id::text AS id
"""


class PostgresMappingShelf:
    """Keeps mappings that people make; every method works in the caller's transaction."""

    async def hold_attribute(self, tx: Transaction, phase_id: int, attribute_id: int) -> bool:
        """Lock an active attribute of a phase for mapping; False when there is none."""
        return bool(await tx.fetch(_HOLD_ATTRIBUTE, phase_id, attribute_id))

    async def sources(self, tx: Transaction, report_id: int) -> Mapping[int, DataSource]:
        """The data sources of a report by their ids."""
        return await data_sources(tx, report_id)

    async def hold_source(self, tx: Transaction, source_id: int) -> bool:
        """Keep others from removing a data source; False when it is gone."""
        return bool(await tx.fetch(_HOLD_SOURCE, source_id))

    async def mapping(
        self, tx: Transaction, phase_id: int, attribute_id: int
    ) -> Mapping[str, Any] | None:
        """An attribute's mapping, with the decisions on it."""
        rows = await tx.fetch(_MAPPING, phase_id, attribute_id)
        return dict(rows[0]) if rows else None

    async def unmapped(
        self, tx: Transaction, phase_id: int, *, limit: int, after: tuple[int, int] | None
    ) -> Sequence[Mapping[str, Any]]:
        """One page of the active attributes without a column, in the order of the form."""
        return await tx.fetch(_UNMAPPED, phase_id, *(after or (-1, -1)), limit)

    async def put(
        self,
        tx: Transaction,
        phase_id: int,
        attribute_id: int,
        column: PhysicalColumn,
        mapping: ManualMapping,
    ) -> str:
        """Replace an attribute's mapping by hand; returns the id of the entry."""
        (row,) = await tx.fetch(
            _PUT,
            phase_id,
            attribute_id,
            column.source_id,
            column.table,
            column.name,
            mapping.mapping_type,
            mapping.reason,
            mapping.business_process,
            mapping.security,
            mapping.criticality,
            mapping.risk,
            mapping.regulatory,
            mapping.pii,
            mapping.references,
        )
        return str(row["id"])
