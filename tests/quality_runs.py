"""Stored runs of rules, as rule execution leaves them."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.jobs import PostgresJobs
from longhaul.core.expectations import NOT_NULL
from longhaul.core.jobs import Job, JobOptions
from longhaul.core.ports import Transaction
from longhaul.core.quality_report import Finding
from tests.factories import make_new_job
from tests.rule_samples import Seeded, make_attribute, seed_report

RULE_EXECUTION = "data_profiling_rule_execution"


@dataclass(frozen=True, kw_only=True)
class Stored:
    """One rule and its outcome, to be stored."""

    attribute: int = 0
    rule_type: str = "completeness"
    severity: str = "high"
    checked: int = 100
    failed: int = 0
    finding: Finding | None = None
    examples: Sequence[dict[str, Any]] = field(default_factory=list)

    @property
    def outcome(self) -> Finding:
        return self.finding or (Finding.VIOLATED if self.failed else Finding.HELD)


@dataclass(frozen=True)
class StoredRun:
    """A run that was stored."""

    job: Job
    seeded: Seeded
    version_id: str


async def store_run(
    database: PostgresDatabase,
    rules: Sequence[Stored],
    *,
    owner: str = "u-1",
    status: str = "completed",
    attributes: int = 3,
    parent: str | None = None,
    **parameters: Any,
) -> StoredRun:
    """Store a report, its rules and a run of them that has ended."""
    seeded = await seed_report(
        database,
        [make_attribute(f"Attribute {number}") for number in range(attributes)],
        name=f"Report {uuid.uuid4().hex[:8]}",
    )
    version_id = str(uuid.uuid4())
    async with database.begin() as tx:
        await tx.execute(
            "INSERT INTO rule_version (id, cycle_id, report_id, phase_id, number, status,"
            " created_by, created_at)"
            " SELECT $1::uuid, cycle_id, report_id, id, 3, 'approved', 'u-1', now() FROM phase"
            " WHERE cycle_id = $2 AND report_id = $3",
            version_id,
            seeded.cycle_id,
            seeded.report_id,
        )
        job = await insert_job(
            tx, RULE_EXECUTION, owner, {"version_id": version_id, **parameters}, parent=parent
        )
        for ordinal, one in enumerate(rules):
            rule_id = await store_rule(
                tx, version_id, seeded.attribute_ids[one.attribute], ordinal, one
            )
            await _store_outcome(tx, job.id, rule_id, ordinal, one)
        await end_job(tx, job.id, status)
        ended = await PostgresJobs().read(tx, job.id)
    assert ended is not None
    return StoredRun(ended, seeded, version_id)


async def insert_job(
    tx: Transaction,
    job_type: str,
    owner: str,
    parameters: dict[str, Any],
    *,
    parent: str | None = None,
) -> Job:
    job = await PostgresJobs().insert(
        tx,
        make_new_job(
            job_type=job_type,
            owner=owner,
            parameters=parameters,
            options=JobOptions(concurrency=1),
            parent_id=parent,
            step=f"step {uuid.uuid4()}" if parent else None,
        ),
    )
    assert job is not None
    return job


async def end_job(tx: Transaction, job_id: str, status: str = "completed") -> None:
    await tx.execute(
        "UPDATE job SET status = $2, started_at = now(), completed_at = now() WHERE id = $1",
        job_id,
        status,
    )


async def store_rule(
    tx: Transaction,
    version_id: str,
    attribute_id: int,
    order: int,
    rule: Stored,
    *,
    tester: str | None = "approved",
    report_owner: str | None = "approved",
) -> str:
    (row,) = await tx.fetch(
        "INSERT INTO rule (version_id, attribute_id, expectation, kwargs, kwargs_hash, name,"
        " rule_type, severity, execution_order, rationale, confidence, provider, model,"
        " prompt_version, tester_decision, report_owner_decision, created_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '', 1, 'offline', 'analyst', '1', $10, $11,"
        " now()) RETURNING id",
        version_id,
        attribute_id,
        NOT_NULL,
        {"column": f"Attribute {attribute_id}"},
        str(uuid.uuid4()),
        f"Rule {order}",
        rule.rule_type,
        rule.severity,
        order,
        tester,
        report_owner,
    )
    return str(row["id"])


async def _store_outcome(
    tx: Transaction, job_id: str, rule_id: str, ordinal: int, rule: Stored
) -> None:
    state = {Finding.NOT_RUN: "failed", Finding.NOT_REACHED: "open"}.get(rule.outcome, "done")
    lost = state == "failed"
    await tx.execute(
        "INSERT INTO job_item (job_id, ordinal, item_key, payload, state, error_code,"
        " error_message) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        job_id,
        ordinal,
        f"rule-{rule_id}",
        {"rule_id": rule_id},
        state,
        "column_missing" if lost else None,
        "The table has no such column." if lost else None,
    )
    if state == "done":
        await tx.execute(
            "INSERT INTO rule_result (job_id, rule_id, ordinal, version_id, table_name, table_rows,"
            " execution_status, total, considered, passed, failed, pass_rate, has_anomaly,"
            " examples, duration_ms, created_at)"
            " SELECT $1, id, $3, version_id, 'sample.loans', $4, $5, $4, $4, $4::bigint - $6, $6,"
            " $7, $6 > 0, $8, 3, now() FROM rule WHERE id = $2",
            job_id,
            rule_id,
            ordinal,
            rule.checked,
            "passed" if rule.outcome is Finding.HELD else "failed",
            rule.failed,
            100 - 100 * rule.failed / rule.checked,
            list(rule.examples),
        )
