"""Test cases, their evidence and their executions."""

from collections.abc import Mapping, Sequence

from longhaul.adapters.postgres.attributes import read_attribute
from longhaul.core.cases import (
    Case,
    CaseReport,
    Evidence,
    EvidenceKind,
    Execution,
    ExecutionOutcome,
    ListedCase,
    NewDocument,
    NewQuery,
)
from longhaul.core.errors import InvalidInput
from longhaul.core.extraction import identifying
from longhaul.core.jobs import Job
from longhaul.core.ports import Row, Transaction
from longhaul.core.sources import DataSource, SourceKind
from longhaul.core.versions import VersionStatus

PHASE = "Test Execution"
PAGE = 1_000

_SET = """
SELECT id, cycle_id, report_id, status FROM sample_set WHERE id = $1 FOR SHARE
"""

_APPROVED_SET = """
SELECT id FROM sample_set WHERE cycle_id = $1 AND report_id = $2 AND status = 'approved'
ORDER BY number DESC LIMIT 1
"""

_ENSURE_PHASE = """
INSERT INTO phase (cycle_id, report_id, name) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
"""

# The column that the sample was drawn from; where it was not recorded that of
# the mapping as it is now, else the attribute's own name.
_MAKE_CASES = """
WITH made AS (
    INSERT INTO test_case (cycle_id, report_id, phase_id, sample_id, attribute_id, expected_value,
                           created_at)
    SELECT s.cycle_id, s.report_id, p.id, one.id, a.id, cell.value, clock_timestamp()
    FROM sample_set AS s
        JOIN phase AS p ON p.cycle_id = s.cycle_id AND p.report_id = s.report_id AND p.name = $2
        JOIN sample AS one ON one.set_id = s.id
        CROSS JOIN jsonb_each_text(one.row_data) AS cell (name, value)
        JOIN attribute AS target ON target.id = one.attribute_id
        JOIN attribute AS a ON a.phase_id = target.phase_id AND a.name = cell.name AND a.is_active
    WHERE s.id = $1 AND one.status = 'approved'
    ORDER BY one.ordinal, one.id, a.line_no, a.id
    ON CONFLICT (sample_id, attribute_id) DO NOTHING
    RETURNING id, sample_id, attribute_id
), given AS (
    INSERT INTO evidence (test_case_id, kind, data_source_id, table_name, column_name, source_key,
                          created_by, created_at)
    SELECT made.id, 'source', one.data_source_id, one.table_name,
           coalesce(f.frame -> 'columns' ->> a.name, m.column_name, a.name), one.source_key,
           'system', clock_timestamp()
    FROM made JOIN sample AS one ON one.id = made.sample_id
        JOIN attribute AS a ON a.id = made.attribute_id
        LEFT JOIN sample_frame AS f ON f.job_id = one.job_id
        LEFT JOIN pde_mapping AS m ON m.phase_id = a.phase_id AND m.attribute_id = a.id
            AND m.status <> 'rejected'
    WHERE one.data_source_id IS NOT NULL
)
SELECT count(*) AS made FROM made
"""

_REPORT = """
SELECT cr.cycle_id, cr.report_id, p.id AS phase_id, r.name AS report_name, r.lob
FROM cycle_report AS cr JOIN report AS r ON r.id = cr.report_id
    JOIN phase AS p ON p.cycle_id = cr.cycle_id AND p.report_id = cr.report_id AND p.name = $3
WHERE cr.cycle_id = $1 AND cr.report_id = $2
"""

_KNOWN = "SELECT 1 FROM cycle_report WHERE cycle_id = $1 AND report_id = $2"

_REPORTS_OF = """
SELECT c.id AS case_id, c.cycle_id, c.report_id, c.phase_id, r.name AS report_name, r.lob
FROM test_case AS c JOIN report AS r ON r.id = c.report_id
WHERE c.id = ANY ($1) AND c.is_active
"""

_PAGE = """
SELECT c.id, a.name AS attribute, coalesce(s.ordinal, 0) + 1 AS sample
FROM test_case AS c JOIN attribute AS a ON a.id = c.attribute_id
    JOIN sample AS s ON s.id = c.sample_id
WHERE c.cycle_id = $1 AND c.report_id = $2 AND c.is_active
    AND ($3::integer[] IS NULL OR c.id = ANY ($3)) AND c.id > $4
ORDER BY c.id LIMIT $5
"""

_CASE = """
SELECT a.id, a.name, a.line_no, a.mdrm, a.data_type, a.mandatory, a.description, a.format,
       a.is_key, a.is_cde, a.has_issues, a.sample_values, m.column_name,
       r.name AS report_name, r.regulation,
       c.id AS case_id, c.expected_value, s.key_values,
       x.number AS executions, x.evidence_id AS last_evidence_id
FROM test_case AS c
    JOIN attribute AS a ON a.id = c.attribute_id
    JOIN report AS r ON r.id = c.report_id
    JOIN sample AS s ON s.id = c.sample_id
    LEFT JOIN pde_mapping AS m ON m.phase_id = a.phase_id AND m.attribute_id = a.id
        AND m.status <> 'rejected'
    LEFT JOIN test_execution AS x ON x.test_case_id = c.id AND x.is_latest
WHERE c.id = $1 AND c.is_active
"""

# Evidence of people counts more than the row of the sample, and the latest most.
COUNTS_FIRST = "e.kind = 'source', e.id DESC"

_EVIDENCE = f"""
SELECT e.*, d.name AS source_name, d.kind AS source_kind, d.location, d.secret_ref
FROM evidence AS e LEFT JOIN data_source AS d ON d.id = e.data_source_id
WHERE e.test_case_id = $1
ORDER BY {COUNTS_FIRST} LIMIT 1
"""

# For the samples that were drawn together. Days and months are many, and still tell no record
# from another.
_DIFFERENT_KEYS = """
SELECT k.key AS name, count(DISTINCT k.value) AS different
FROM test_case AS c JOIN sample AS mine ON mine.id = c.sample_id
    JOIN attribute AS target ON target.id = c.attribute_id
    JOIN sample AS s ON s.set_id = mine.set_id
    CROSS JOIN jsonb_each_text(s.key_values) AS k
WHERE c.id = $1 AND NOT EXISTS (
    SELECT FROM attribute AS a WHERE a.phase_id = target.phase_id AND a.name = k.key
        AND a.data_type IN ('Date', 'DateTime', 'Boolean'))
GROUP BY k.key
"""

# In one order, so that two jobs wait for each other at most once.
_HOLD = "SELECT id FROM test_case WHERE id = ANY ($1) ORDER BY id FOR UPDATE"

_NO_LONGER_LATEST = """
UPDATE test_execution SET is_latest = false WHERE test_case_id = ANY ($1) AND is_latest
"""

_RECORD = """
WITH new AS (
    SELECT * FROM jsonb_to_recordset($3) AS n (
        case_id integer, ordinal integer, evidence_id integer, reason text, outcome text,
        extracted_value text, found_keys jsonb, location jsonb, comparison jsonb,
        confidence double precision, rationale text, provider text, model text,
        prompt_version text, duration_ms integer)
), stored AS (
    INSERT INTO test_execution (
        test_case_id, number, is_latest, evidence_id, reason, status, outcome, extracted_value,
        found_keys, location, comparison, confidence, rationale, provider, model, prompt_version,
        duration_ms, job_id, ordinal, executed_by, executed_at)
    SELECT new.case_id,
           1 + coalesce((SELECT max(number) FROM test_execution AS x
                         WHERE x.test_case_id = new.case_id), 0),
           true, new.evidence_id, new.reason, 'completed', new.outcome, new.extracted_value,
           new.found_keys, new.location, new.comparison, new.confidence, new.rationale,
           new.provider, new.model, new.prompt_version, new.duration_ms, $1, new.ordinal, $2,
           clock_timestamp()
    FROM new
    RETURNING id, number, reason, outcome, test_result
)
INSERT INTO test_execution_audit (execution_id, time, action, by, details)
SELECT id, clock_timestamp(), 'executed', $2,
       jsonb_build_object('job_id', $1, 'number', number, 'reason', reason, 'outcome', outcome,
                          'test_result', test_result)
FROM stored
"""

_TOTALS = """
SELECT outcome, count(*) AS executions FROM test_execution WHERE job_id = $1 GROUP BY outcome
"""

_ADD_DOCUMENT = """
INSERT INTO evidence (test_case_id, kind, content_hash, content_type, file_name, size, created_by,
                      created_at)
SELECT id, 'document', $2, $3, $4, $5, $6, clock_timestamp()
FROM test_case WHERE id = ANY ($1) AND is_active ORDER BY id
RETURNING id
"""

_ADD_QUERY = """
INSERT INTO evidence (test_case_id, kind, data_source_id, query, parameters, created_by,
                      created_at)
SELECT c.id, 'query', d.id, $3, $4, $5, clock_timestamp()
FROM test_case AS c JOIN data_source AS d ON d.report_id = c.report_id AND d.id = $2
WHERE c.id = ANY ($1) AND c.is_active ORDER BY c.id
RETURNING id
"""


class PostgresCases:
    """Keeps test cases; every method works in the caller's transaction."""

    async def make_cases(self, tx: Transaction, sample_set_id: str) -> int:
        """Make the test cases of an approved sample set, and say how many are new."""
        rows = await tx.fetch(_SET, sample_set_id)
        if not rows:
            raise InvalidInput(f"There is no sample set {sample_set_id}.")
        (found,) = rows
        if found["status"] != VersionStatus.APPROVED:
            raise InvalidInput(
                f"Sample set {sample_set_id} is {found['status']}; test cases are made from "
                "approved ones."
            )
        await tx.execute(_ENSURE_PHASE, found["cycle_id"], found["report_id"], PHASE)
        (row,) = await tx.fetch(_MAKE_CASES, sample_set_id, PHASE)
        return int(row["made"])

    async def report(self, tx: Transaction, cycle_id: int, report_id: int) -> CaseReport | None:
        """A report in a cycle; None when it is not in the cycle."""
        if not await tx.fetch(_KNOWN, cycle_id, report_id):
            return None
        await tx.execute(_ENSURE_PHASE, cycle_id, report_id, PHASE)
        (row,) = await tx.fetch(_REPORT, cycle_id, report_id, PHASE)
        return _report(row)

    async def make_cases_of_report(self, tx: Transaction, cycle_id: int, report_id: int) -> None:
        """Make the missing test cases of the report's approved sample set."""
        for row in await tx.fetch(_APPROVED_SET, cycle_id, report_id):
            await self.make_cases(tx, str(row["id"]))

    async def reports_of(
        self, tx: Transaction, case_ids: Sequence[int]
    ) -> Mapping[int, CaseReport]:
        """The reports that test cases belong to; ids of no test case are left out."""
        rows = await tx.fetch(_REPORTS_OF, case_ids)
        return {row["case_id"]: _report(row) for row in rows}

    async def page(
        self,
        tx: Transaction,
        cycle_id: int,
        report_id: int,
        case_ids: Sequence[int] | None,
        after: int,
    ) -> Sequence[ListedCase]:
        """The next active test cases after an id, of all or of the named ones; empty at the end."""
        rows = await tx.fetch(_PAGE, cycle_id, report_id, case_ids, after, PAGE)
        return [ListedCase(**row) for row in rows]

    async def case(self, tx: Transaction, case_id: int) -> Case | None:
        """Read an active test case with its evidence."""
        rows = await tx.fetch(_CASE, case_id)
        if not rows:
            return None
        (row,) = rows
        found = await tx.fetch(_EVIDENCE, case_id)
        evidence = _evidence(found[0]) if found else None
        different: Mapping[str, int] = {}
        if evidence and evidence.kind is EvidenceKind.DOCUMENT:
            counted = await tx.fetch(_DIFFERENT_KEYS, case_id)
            different = {one["name"]: one["different"] for one in counted}
        return Case(
            id=row["case_id"],
            attribute=read_attribute(row),
            expected=row["expected_value"],
            keys=row["key_values"],
            evidence=evidence,
            identifying=identifying(row["key_values"], different),
            executions=row["executions"] or 0,
            last_evidence_id=row["last_evidence_id"],
        )

    async def hold(self, tx: Transaction, case_ids: Sequence[int]) -> None:
        """Keep others from executing these cases until the transaction ends."""
        await tx.fetch(_HOLD, case_ids)

    async def record(self, tx: Transaction, job: Job, executions: Sequence[Execution]) -> None:
        """Store executions of held cases as their latest, numbered, each with its audit."""
        await tx.execute(_NO_LONGER_LATEST, [one.case_id for one in executions])
        await tx.execute(_RECORD, job.id, job.owner, [_record(one) for one in executions])

    async def totals(self, tx: Transaction, job_id: str) -> Mapping[ExecutionOutcome, int]:
        """Count what a job has stored by outcome."""
        rows = await tx.fetch(_TOTALS, job_id)
        return {ExecutionOutcome(row["outcome"]): row["executions"] for row in rows}

    async def add_document(
        self, tx: Transaction, case_ids: Sequence[int], document: NewDocument, by: str
    ) -> Sequence[int]:
        """Make a document evidence of some cases, and return the ids of the evidence."""
        rows = await tx.fetch(
            _ADD_DOCUMENT,
            case_ids,
            document.content_hash,
            document.content_type,
            document.file_name,
            document.size,
            by,
        )
        return [row["id"] for row in rows]

    async def add_query(
        self, tx: Transaction, case_ids: Sequence[int], query: NewQuery, by: str
    ) -> Sequence[int]:
        """Make a query evidence of some cases, and return the ids of the evidence."""
        rows = await tx.fetch(
            _ADD_QUERY, case_ids, query.data_source_id, query.query, query.parameters, by
        )
        if not rows:
            raise InvalidInput(
                f"Data source {query.data_source_id} does not belong to the test cases' report."
            )
        return [row["id"] for row in rows]


def _report(row: Row) -> CaseReport:
    return CaseReport(
        cycle_id=row["cycle_id"],
        report_id=row["report_id"],
        phase_id=row["phase_id"],
        report_name=row["report_name"],
        lob=row["lob"],
    )


def _record(one: Execution) -> Mapping[str, object]:
    found = one.extraction
    return {
        "case_id": one.case_id,
        "ordinal": one.ordinal,
        "evidence_id": one.evidence_id,
        "reason": one.reason,
        "outcome": one.outcome,
        "extracted_value": found.value,
        "found_keys": found.keys,
        "location": found.location,
        "comparison": one.comparison.to_json(),
        "confidence": found.confidence,
        "rationale": found.rationale,
        "provider": found.provider,
        "model": found.model,
        "prompt_version": found.prompt_version,
        "duration_ms": one.duration_ms,
    }


def _evidence(row: Row) -> Evidence:
    source = None
    if row["data_source_id"] is not None:
        source = DataSource(
            id=row["data_source_id"],
            name=row["source_name"],
            kind=SourceKind(row["source_kind"]),
            location=row["location"],
            secret_ref=row["secret_ref"],
        )
    return Evidence(
        id=row["id"],
        kind=EvidenceKind(row["kind"]),
        content_hash=row["content_hash"] or "",
        content_type=row["content_type"] or "",
        source=source,
        query=row["query"] or "",
        parameters=row["parameters"] or {},
        table=row["table_name"] or "",
        column=row["column_name"] or "",
        keys=row["source_key"] or {},
    )
