"""Test cases as people see them."""

from collections.abc import Collection, Sequence

from longhaul.adapters.postgres.cases import COUNTS_FIRST
from longhaul.adapters.postgres.data_sources import data_sources
from longhaul.core.cases import ExecutionOutcome, NewDocument, NewQuery
from longhaul.core.casework import CaseFilter, CasePlace, HeldCase, LatestExecution, Verdict
from longhaul.core.ports import Row, Transaction
from longhaul.core.sources import DataSource

_CASES = f"""
SELECT c.id, c.cycle_id, c.report_id, c.phase_id, c.attribute_id, c.sample_id, c.expected_value,
       c.is_active, c.created_at, r.name AS report_name, r.lob, a.name AS attribute, a.data_type,
       a.line_no, coalesce(s.ordinal, 0) + 1 AS sample, s.key_values,
       e.kind AS evidence_kind, x.number AS executions, x.outcome, x.executed_at,
       coalesce(x.test_result, 'not_executed') AS status
FROM test_case AS c
    JOIN report AS r ON r.id = c.report_id
    JOIN attribute AS a ON a.id = c.attribute_id
    JOIN sample AS s ON s.id = c.sample_id
    LEFT JOIN test_execution AS x ON x.test_case_id = c.id AND x.is_latest
    LEFT JOIN LATERAL (
        SELECT e.kind FROM evidence AS e WHERE e.test_case_id = c.id
        ORDER BY {COUNTS_FIRST} LIMIT 1
    ) AS e ON true
"""

_PAGE = f"""
{_CASES}
WHERE c.is_active
    AND ($1::integer IS NULL OR c.cycle_id = $1) AND ($2::integer IS NULL OR c.report_id = $2)
    AND ($3::integer[] IS NULL OR c.attribute_id = ANY ($3))
    AND ($4::text[] IS NULL OR c.sample_id = ANY ($4::text[]::uuid[]))
    AND ($5::text[] IS NULL OR coalesce(x.test_result, 'not_executed') = ANY ($5))
    AND ($6::text[] IS NULL OR x.outcome = ANY ($6))
    AND ($7::text[] IS NULL OR e.kind = ANY ($7))
    AND ($8::text IS NULL OR r.lob = $8)
    AND (c.cycle_id, c.report_id, a.line_no, coalesce(s.ordinal, 0) + 1, c.id)
        > ($9, $10, $11, $12, $13)
ORDER BY c.cycle_id, c.report_id, a.line_no, coalesce(s.ordinal, 0) + 1, c.id LIMIT $14
"""

_FIND = f"{_CASES} WHERE c.id = $1"

_EVIDENCE = f"""
SELECT e.id, e.kind, e.content_hash, e.content_type, e.file_name, e.size, d.name AS data_source,
       e.query, e.parameters, e.table_name, e.column_name, e.source_key, e.created_by, e.created_at
FROM evidence AS e LEFT JOIN data_source AS d ON d.id = e.data_source_id
WHERE e.test_case_id = $1
ORDER BY {COUNTS_FIRST} LIMIT $2
"""

_EXECUTIONS = """
SELECT x.number, x.is_latest, x.evidence_id, x.reason, x.outcome, x.test_result, x.extracted_value,
       x.found_keys, x.location, x.comparison, x.confidence, x.rationale, x.provider, x.model,
       x.prompt_version, x.duration_ms, x.executed_by, x.executed_at, said.reviews
FROM test_execution AS x
    LEFT JOIN LATERAL (
        SELECT jsonb_agg(jsonb_build_object('time', l.time, 'by', l.by) || l.details
                         ORDER BY l.id) AS reviews
        FROM test_execution_audit AS l WHERE l.execution_id = x.id AND l.action = 'reviewed'
    ) AS said ON true
WHERE x.test_case_id = $1
ORDER BY x.number DESC LIMIT $2
"""

# In the order in which executions lock them.
_HOLD = """
SELECT c.id, c.report_id, r.lob, c.is_active, s.key_values
FROM test_case AS c JOIN report AS r ON r.id = c.report_id JOIN sample AS s ON s.id = c.sample_id
WHERE c.id = ANY ($1) ORDER BY c.id FOR NO KEY UPDATE OF c
"""

_DOCUMENT = """
SELECT e.content_hash, e.content_type, e.file_name, e.size
FROM evidence AS e JOIN test_case AS c ON c.id = e.test_case_id
    JOIN report AS r ON r.id = c.report_id
WHERE e.content_hash = $1 AND ($2::text IS NULL OR r.lob = $2)
ORDER BY e.id DESC LIMIT 1
"""

_DOCUMENT_OF = """
SELECT content_hash, content_type, file_name, size FROM evidence
WHERE test_case_id = $1 AND content_hash = $2 ORDER BY id DESC LIMIT 1
"""

_COUNTS = f"""
SELECT wanted.id FROM unnest($1::integer[]) AS wanted (id)
    CROSS JOIN LATERAL (
        SELECT * FROM evidence AS e WHERE e.test_case_id = wanted.id
        ORDER BY {COUNTS_FIRST} LIMIT 1
    ) AS e
"""

_HAVING_DOCUMENT = f"""
{_COUNTS} WHERE e.kind = 'document' AND e.content_hash = $2 AND e.content_type = $3
"""

_HAVING_QUERY = f"""
{_COUNTS} WHERE e.kind = 'query' AND e.data_source_id = $2 AND e.query = $3 AND e.parameters = $4
"""

_LATEST = """
SELECT id::text AS id, number, outcome, test_result
FROM test_execution WHERE test_case_id = $1 AND is_latest
"""

_REVIEW = """
WITH changed AS (
    UPDATE test_execution SET test_result = $2 WHERE id = $1::text::uuid RETURNING id
)
INSERT INTO test_execution_audit (execution_id, time, action, by, details)
SELECT id, clock_timestamp(), 'reviewed', $3,
       jsonb_build_object('test_result', $2::text, 'before', $4::text, 'reason', $5::text)
FROM changed
"""

_FIRST: CasePlace = (-1, -1, -1, -1, -1)


class PostgresCasework:
    """Reads and changes test cases for people; every method works in the caller's transaction."""

    async def page(
        self, tx: Transaction, wanted: CaseFilter, *, limit: int, after: CasePlace | None
    ) -> Sequence[Row]:
        """One page of active test cases, by report and in the order of its form."""
        return await tx.fetch(
            _PAGE,
            wanted.cycle_id,
            wanted.report_id,
            list(wanted.attribute_ids) or None,
            list(wanted.sample_ids) or None,
            list(wanted.statuses) or None,
            list(wanted.outcomes) or None,
            list(wanted.evidence) or None,
            wanted.lob,
            *(after or _FIRST),
            limit,
        )

    async def find(self, tx: Transaction, case_id: int) -> Row | None:
        """A test case as it is listed, active or not."""
        rows = await tx.fetch(_FIND, case_id)
        return rows[0] if rows else None

    async def evidence(self, tx: Transaction, case_id: int, limit: int) -> Sequence[Row]:
        """The evidence of a test case, the current one first."""
        return await tx.fetch(_EVIDENCE, case_id, limit)

    async def executions(self, tx: Transaction, case_id: int, limit: int) -> Sequence[Row]:
        """The executions of a test case, newest first, each with its reviews."""
        return await tx.fetch(_EXECUTIONS, case_id, limit)

    async def hold(self, tx: Transaction, case_ids: Collection[int]) -> Sequence[HeldCase]:
        """Lock test cases; ids of no test case are left out."""
        return [
            HeldCase(
                id=row["id"],
                report_id=row["report_id"],
                lob=row["lob"],
                is_active=row["is_active"],
                keys=frozenset(row["key_values"]),
            )
            for row in await tx.fetch(_HOLD, list(case_ids))
        ]

    async def document(
        self, tx: Transaction, content_hash: str, lob: str | None
    ) -> NewDocument | None:
        """A document that is evidence in a line of business; in any if that is None."""
        rows = await tx.fetch(_DOCUMENT, content_hash, lob)
        return NewDocument(**rows[0]) if rows else None

    async def document_of(
        self, tx: Transaction, case_id: int, content_hash: str
    ) -> NewDocument | None:
        """A document that is evidence of a test case."""
        rows = await tx.fetch(_DOCUMENT_OF, case_id, content_hash)
        return NewDocument(**rows[0]) if rows else None

    async def having_document(
        self, tx: Transaction, case_ids: Collection[int], document: NewDocument
    ) -> Collection[int]:
        """The test cases whose current evidence is this document."""
        rows = await tx.fetch(
            _HAVING_DOCUMENT, list(case_ids), document.content_hash, document.content_type
        )
        return {row["id"] for row in rows}

    async def sources(self, tx: Transaction, report_id: int) -> Collection[DataSource]:
        """The data sources of a report."""
        return (await data_sources(tx, report_id)).values()

    async def having_query(
        self, tx: Transaction, case_ids: Collection[int], query: NewQuery
    ) -> Collection[int]:
        """The test cases whose current evidence is this query."""
        rows = await tx.fetch(
            _HAVING_QUERY, list(case_ids), query.data_source_id, query.query, query.parameters
        )
        return {row["id"] for row in rows}

    async def latest(self, tx: Transaction, case_id: int) -> LatestExecution | None:
        """The latest execution of a held test case."""
        rows = await tx.fetch(_LATEST, case_id)
        if not rows:
            return None
        return LatestExecution(**{**rows[0], "outcome": ExecutionOutcome(rows[0]["outcome"])})

    async def review(
        self,
        tx: Transaction,
        execution: LatestExecution,
        verdict: Verdict,
        *,
        by: str,
        reason: str,
    ) -> None:
        """Store a verdict on an execution, with its audit."""
        await tx.execute(_REVIEW, execution.id, verdict, by, execution.test_result, reason)
