"""Scoping versions and their recommendations."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from longhaul.adapters.postgres.attributes import PostgresAttributes
from longhaul.adapters.postgres.versions import PostgresVersions
from longhaul.core.expectations import VOCABULARY
from longhaul.core.ports import Transaction
from longhaul.core.scoping import (
    Measures,
    NewRecommendation,
    RecommendationStanding,
    ScopingTotals,
)

PHASE = "Scoping"

_UNDECIDED = """
(s.status = 'pending' AND s.tester_decision IS NULL AND s.report_owner_decision IS NULL)
"""

_STANDING = f"""
SELECT {_UNDECIDED} AS undecided FROM scoping_recommendation AS s
WHERE s.version_id = $1 AND s.attribute_id = $2
"""

# Locked in the order in which people's decisions lock them.
_HOLD_DECIDED = f"""
SELECT s.attribute_id, {_UNDECIDED} AS undecided FROM scoping_recommendation AS s
WHERE s.version_id = $1 AND s.attribute_id = ANY ($2) ORDER BY s.attribute_id FOR UPDATE
"""

_DELETE_UNDECIDED = f"""
DELETE FROM scoping_recommendation AS s
WHERE s.version_id = $1 AND s.attribute_id = ANY ($2) AND {_UNDECIDED}
"""

_INSERT = """
INSERT INTO scoping_recommendation (
    version_id, job_id, attribute_id, ordinal, recommendation, risk_score, regulatory_impact,
    data_complexity, common_errors, downstream_dependencies, cde_points, historical_issue_points,
    priority, confidence, rationale, expected_source_documents, keywords, validation_hints,
    measured, provider, model, prompt_version, created_at)
SELECT $1, $2, new.*, clock_timestamp()
FROM jsonb_to_recordset($3) AS new (
    attribute_id integer, ordinal integer, recommendation text, risk_score smallint,
    regulatory_impact smallint, data_complexity smallint, common_errors smallint,
    downstream_dependencies smallint, cde_points smallint, historical_issue_points smallint,
    priority text, confidence double precision, rationale jsonb, expected_source_documents jsonb,
    keywords jsonb, validation_hints jsonb, measured jsonb, provider text, model text,
    prompt_version text)
ON CONFLICT (version_id, attribute_id) DO NOTHING
"""

# From the last job that ran rules of the attribute; a rule that could not run has no results.
_MEASURES = """
WITH measured AS (
    SELECT x.*, x.execution_status = 'failed' AS has_failed,
           r.expectation = ANY ($2) AS is_by_row
    FROM rule AS r JOIN rule_result AS x ON x.rule_id = r.id WHERE r.attribute_id = $1
), latest AS (
    SELECT * FROM measured
    WHERE job_id = (SELECT job_id FROM measured ORDER BY created_at DESC LIMIT 1)
), worst AS (
    SELECT failed, pass_rate FROM latest WHERE has_failed AND is_by_row
    ORDER BY failed DESC, pass_rate LIMIT 1
)
SELECT count(*) AS rules,
       count(*) FILTER (WHERE has_failed) AS failed_rules,
       coalesce(max(total), 0) AS most_rows,
       coalesce((SELECT failed FROM worst), 0) AS most_failed_rows,
       coalesce((SELECT pass_rate FROM worst), 100) AS worst_pass_rate
FROM latest
"""

_BY_ROW = [name for name, one in VOCABULARY.items() if one.by_row]

_TOTALS = """
SELECT count(*) FILTER (WHERE recommendation = 'test') AS test,
       count(*) FILTER (WHERE recommendation = 'skip') AS skip
FROM scoping_recommendation WHERE version_id = $1 AND job_id = $2
"""


class PostgresScoping(PostgresVersions, PostgresAttributes):
    """Keeps recommendations; every method works in the caller's transaction."""

    def __init__(self) -> None:
        super().__init__("scoping_version", PHASE)

    async def standing(
        self, tx: Transaction, version_id: str, attribute_id: int
    ) -> RecommendationStanding:
        """What a version already recommends for an attribute."""
        rows = await tx.fetch(_STANDING, version_id, attribute_id)
        if not rows:
            return RecommendationStanding.NONE
        if rows[0]["undecided"]:
            return RecommendationStanding.PROPOSED
        return RecommendationStanding.DECIDED

    async def measures(self, tx: Transaction, attribute_id: int) -> Measures | None:
        """What the rules of an attribute measured when they last ran; None if none has run."""
        (row,) = await tx.fetch(_MEASURES, attribute_id, _BY_ROW)
        return Measures(**row) if row["rules"] else None

    async def hold_decided(
        self, tx: Transaction, version_id: str, attribute_ids: Sequence[int]
    ) -> set[int]:
        """Keep recommendations as they are until the transaction ends; names the decided."""
        rows = await tx.fetch(_HOLD_DECIDED, version_id, attribute_ids)
        return {row["attribute_id"] for row in rows if not row["undecided"]}

    async def replace(
        self,
        tx: Transaction,
        version_id: str,
        job_id: str,
        recommendations: Sequence[NewRecommendation],
    ) -> None:
        """Replace the recommendations that nobody has decided on."""
        ids = [new.attribute_id for new in recommendations]
        await tx.execute(_DELETE_UNDECIDED, version_id, ids)
        if recommendations:
            records = [_record(new) for new in recommendations]
            await tx.execute(_INSERT, version_id, job_id, records)

    async def totals(self, tx: Transaction, version_id: str, job_id: str) -> ScopingTotals:
        """Count what a job has stored."""
        (row,) = await tx.fetch(_TOTALS, version_id, job_id)
        return ScopingTotals(**row)


def _record(new: NewRecommendation) -> Mapping[str, object]:
    proposal, score = new.proposal, new.proposal.score
    return {
        "attribute_id": new.attribute_id,
        "ordinal": new.ordinal,
        "recommendation": proposal.recommendation,
        "risk_score": score.total,
        "regulatory_impact": score.regulatory_impact,
        "data_complexity": score.data_complexity,
        "common_errors": score.common_errors,
        "downstream_dependencies": score.downstream_dependencies,
        "cde_points": score.cde_points,
        "historical_issue_points": score.historical_issue_points,
        "priority": score.priority,
        "confidence": proposal.confidence,
        "rationale": asdict(proposal.rationale),
        "expected_source_documents": list(proposal.expected_source_documents),
        "keywords": list(proposal.keywords),
        "validation_hints": list(proposal.validation_hints),
        "measured": asdict(proposal.measures) if proposal.measures else None,
        "provider": proposal.provider,
        "model": proposal.model,
        "prompt_version": proposal.prompt_version,
    }
