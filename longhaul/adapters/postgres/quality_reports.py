"""The stored facts about a run of rules, and its reports."""

from collections.abc import Sequence

from longhaul.adapters.postgres.jobs import job_of
from longhaul.core.items import ItemState
from longhaul.core.jobs import Job
from longhaul.core.ports import Row, Transaction
from longhaul.core.quality_report import (
    Facts,
    FailingRow,
    Finding,
    Listed,
    QualityReport,
    RuleOutcome,
    RunFacts,
    Undecided,
)

RUN_TYPE = "data_profiling_rule_execution"

# A run may be a step of a step. Two are enough to know that there is not exactly one.
_RUNS_BELOW = """
WITH RECURSIVE below AS (
    SELECT id FROM job WHERE parent_id = $1
    UNION SELECT j.id FROM job AS j JOIN below AS b ON j.parent_id = b.id
)
SELECT j.* FROM job AS j JOIN below AS b ON b.id = j.id
WHERE j.job_type = $2 ORDER BY j.created_at DESC LIMIT 2
"""

_RUN = """
SELECT v.id AS version_id, v.number, v.status, v.report_id, v.cycle_id, r.name AS report_name,
       r.regulation, c.name AS cycle_name, clock_timestamp() AS now,
       (SELECT array_agg(DISTINCT p.provider || ' / ' || p.model)
        FROM rule AS p WHERE p.version_id = v.id) AS proposed_by
FROM rule_version AS v JOIN report AS r ON r.id = v.report_id JOIN cycle AS c ON c.id = v.cycle_id
WHERE v.id = $1::uuid
"""

_OUTCOMES = """
SELECT r.id AS rule_id, r.name, r.description, a.name AS attribute, r.expectation, r.rule_type,
       r.severity, i.state, i.error_code, i.error_message, x.table_name, x.execution_status,
       x.considered, x.passed, x.failed, x.examples, x.duration_ms
FROM job_item AS i
    JOIN rule AS r ON r.id = (i.payload ->> 'rule_id')::uuid
    JOIN attribute AS a ON a.id = r.attribute_id
    LEFT JOIN rule_result AS x ON x.job_id = i.job_id AND x.rule_id = r.id
WHERE i.job_id = $1 ORDER BY i.ordinal
"""

# The rules of the version that the run did not begin with, also if approved meanwhile.
_UNDECIDED = """
SELECT r.name, a.name AS attribute, r.tester_decision, r.report_owner_decision
FROM rule AS r JOIN attribute AS a ON a.id = r.attribute_id
    LEFT JOIN job_item AS i ON i.job_id = $2 AND (i.payload ->> 'rule_id')::uuid = r.id
WHERE r.version_id = $1::uuid AND i.job_id IS NULL
ORDER BY a.line_no, r.execution_order, r.id
"""

_ATTRIBUTES = """
SELECT a.name, a.line_no, a.mdrm, a.data_type, a.mandatory, a.is_key, a.is_cde,
       m.table_name, m.column_name
FROM attribute AS a JOIN phase AS p ON p.id = a.phase_id
    LEFT JOIN pde_mapping AS m ON m.phase_id = a.phase_id AND m.attribute_id = a.id
        AND m.status <> 'rejected'
WHERE p.cycle_id = $1 AND p.report_id = $2 AND a.is_active ORDER BY a.line_no, a.id
"""

_KEPT = "SELECT document FROM quality_report WHERE job_id = $1 AND attempt = $2"

_KEEP = """
INSERT INTO quality_report (job_id, attempt, document, created_at)
VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING
"""


class PostgresQualityReports:
    """Reads runs and stores their reports; every method works in the caller's transaction."""

    async def runs_of(self, tx: Transaction, job: Job) -> Sequence[Job]:
        """The run that the job is, or the newest two of those below it."""
        if job.job_type == RUN_TYPE:
            return [job]
        return [job_of(row) for row in await tx.fetch(_RUNS_BELOW, job.id, RUN_TYPE)]

    async def facts(self, tx: Transaction, run: Job) -> Facts:
        """The stored facts about a run."""
        (about,) = await tx.fetch(_RUN, run.parameters["version_id"])
        return Facts(
            run=_run(run, about),
            rules=tuple(_outcome(row) for row in await tx.fetch(_OUTCOMES, run.id)),
            undecided=tuple(
                Undecided(
                    name=row["name"],
                    attribute=row["attribute"],
                    tester=row["tester_decision"],
                    report_owner=row["report_owner_decision"],
                )
                for row in await tx.fetch(_UNDECIDED, about["version_id"], run.id)
            ),
            attributes=tuple(
                Listed(**{**row, "table": row["table_name"], "column": row["column_name"]})
                for row in await tx.fetch(_ATTRIBUTES, about["cycle_id"], about["report_id"])
            ),
        )

    async def read(self, tx: Transaction, run: Job) -> QualityReport | None:
        """The stored report of this attempt."""
        rows = await tx.fetch(_KEPT, run.id, run.attempt)
        return QualityReport.model_validate(rows[0]["document"]) if rows else None

    async def keep(self, tx: Transaction, run: Job, report: QualityReport) -> None:
        """Store a report; the first one of an attempt stays."""
        document = report.model_dump(mode="json")
        await tx.execute(_KEEP, run.id, run.attempt, document, report.run.generated_at)


def _run(run: Job, about: Row) -> RunFacts:
    result = run.result or {}
    return RunFacts(
        job_id=run.id,
        job_type=run.job_type,
        attempt=run.attempt,
        status=run.status,
        outcome=run.outcome,
        owner=run.owner,
        parent_id=run.parent_id,
        run_id=run.run_id,
        version_id=str(about["version_id"]),
        version_number=about["number"],
        version_status=about["status"],
        report_id=about["report_id"],
        report_name=about["report_name"],
        regulation=about["regulation"],
        cycle_id=about["cycle_id"],
        cycle_name=about["cycle_name"],
        proposed_by=tuple(about["proposed_by"] or ()),
        sampled=_sampled(run),
        records=result.get("summary", {}).get("total_records_processed"),
        created_at=run.created_at,
        started_at=run.started_at,
        completed_at=run.completed_at,
        generated_at=about["now"],
    )


def _sampled(run: Job) -> str:
    size, share = (run.parameters.get(name) for name in ("sample_size", "sample_percentage"))
    if size is not None:
        return f"at most {size:,} rows of each table"
    return f"about {share:g} % of the rows of each table" if share is not None else ""


def _outcome(row: Row) -> RuleOutcome:
    return RuleOutcome(
        rule_id=str(row["rule_id"]),
        name=row["name"],
        description=row["description"],
        attribute=row["attribute"],
        expectation=row["expectation"],
        rule_type=row["rule_type"],
        severity=row["severity"],
        finding=_finding(row),
        source=row["table_name"] or "",
        checked=row["considered"] or 0,
        passed=row["passed"] or 0,
        failed=row["failed"] or 0,
        failing=tuple(FailingRow(**one) for one in row["examples"] or ()),
        reason_code=row["error_code"] or "",
        reason=row["error_message"] or "",
        duration_ms=row["duration_ms"],
    )


def _finding(row: Row) -> Finding:
    match ItemState(row["state"]):
        case ItemState.OPEN:
            return Finding.NOT_REACHED
        case ItemState.DONE if row["execution_status"] is not None:
            return Finding.HELD if row["execution_status"] == "passed" else Finding.VIOLATED
        case _:
            return Finding.NOT_RUN
