"""The job table: one row is the truth about a job."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Unpack

import asyncpg

from longhaul.adapters.postgres.outbox import announcement, announcing
from longhaul.core.approvers import Approvers
from longhaul.core.controls import Action, read_time
from longhaul.core.errors import SingletonBusy
from longhaul.core.jobs import (
    CallTotals,
    Counts,
    Job,
    JobFault,
    JobOptions,
    JobStatus,
    Outcome,
    Pause,
    Requested,
    RunMode,
)
from longhaul.core.notices import Event, event_of
from longhaul.core.ports import CountChanges, JobChanges, NewJob, Row, Transaction

LIVE = "status NOT IN ('completed', 'failed', 'cancelled')"

_INSERT = f"""
WITH new AS (
    INSERT INTO job (id, job_type, status, owner, priority, description, parameters, concurrency,
                     stop_after_failure_ratio, deadline_seconds, metadata, cycle_id, report_id,
                     singleton_key, start_at, parent_id, step, owner_roles, owner_lob, approvers,
                     approver_roles, lob, created_at, updated_at, dispatch_after)
    SELECT $1, $2, 'pending', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14::timestamptz,
           $15, $16, $17, $18, $19, $20,
           coalesce((SELECT report.lob FROM report WHERE report.id = $12), $18), t, t,
           coalesce($14, t)
    FROM (SELECT clock_timestamp() AS t) AS now
    ON CONFLICT (singleton_key) WHERE {LIVE} DO NOTHING
    RETURNING *
), noted AS (
    INSERT INTO job_audit (job_id, attempt, version, action, by, time)
    SELECT id, attempt, version, 'created', owner, created_at FROM new
)
SELECT * FROM new
"""

_COUNT = f"""
UPDATE job SET done = done + $3, failed = failed + $4, skipped = skipped + $5,
    calls_made = calls_made + $6, calls_repeated = calls_repeated + $7,
    calls_retried = calls_retried + $8, input_tokens = input_tokens + $9,
    output_tokens = output_tokens + $10,
    cost_usd = CASE WHEN $11::numeric IS NULL THEN cost_usd ELSE coalesce(cost_usd, 0) + $11 END,
    current_step = coalesce($12, current_step),
    version = version + 1, updated_at = clock_timestamp()
WHERE id = $1 AND epoch = $2 AND {LIVE}
RETURNING *
"""

_AUDIT = """
INSERT INTO job_audit (job_id, attempt, version, action, by, details, time)
VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp())
"""

# A job, its steps, their steps, and so on.
FAMILY = """
WITH RECURSIVE family AS (
    SELECT $1::uuid AS id
    UNION SELECT job.id FROM job JOIN family ON job.parent_id = family.id
)
"""

_CONTROLS_NOTED = """
SELECT count(*) AS noted FROM job_audit
WHERE job_id = $1 AND attempt = $2 AND action = ANY($3::text[])
  AND (details ->> 'generation')::integer >= $4
"""

# The times that follow from a status; within one statement they are all the same.
_STAMPS: Mapping[JobStatus, Sequence[str]] = {
    JobStatus.PENDING: (
        "dispatch_after = statement_timestamp()",
        "dispatched_at = NULL",
        "paused_at = NULL",
        "completed_at = NULL",
        "waiting_for = NULL",
    ),
    JobStatus.RUNNING: (
        "started_at = coalesce(started_at, statement_timestamp())",
        "paused_at = NULL",
    ),
    JobStatus.PAUSED: ("paused_at = statement_timestamp()",),
    JobStatus.COMPLETED: ("completed_at = statement_timestamp()", "waiting_for = NULL"),
    JobStatus.FAILED: ("completed_at = statement_timestamp()", "waiting_for = NULL"),
    JobStatus.CANCELLED: ("completed_at = statement_timestamp()", "waiting_for = NULL"),
}


class PostgresJobs:
    """Reads and writes job rows; every change raises `version` by one."""

    async def insert(self, tx: Transaction, job: NewJob) -> Job | None:
        """Store a job and the audit of its creation; None when its singleton key is taken."""
        rows = await tx.fetch(
            _INSERT,
            job.id,
            job.job_type,
            job.owner,
            job.priority,
            job.description,
            job.parameters,
            job.options.concurrency,
            job.options.stop_after_failure_ratio,
            job.options.deadline_seconds,
            job.metadata,
            job.cycle_id,
            job.report_id,
            job.singleton_key,
            job.start_at,
            job.parent_id,
            job.step,
            list(job.owner_roles),
            job.owner_lob,
            list(job.approvers.users),
            list(job.approvers.roles),
        )
        return job_of(rows[0]) if rows else None

    async def lock(self, tx: Transaction, job_id: str) -> Job | None:
        """Read a job and hold its row until the transaction ends."""
        rows = await tx.fetch("SELECT * FROM job WHERE id = $1 FOR UPDATE", job_id)
        return job_of(rows[0]) if rows else None

    async def read(self, tx: Transaction, job_id: str) -> Job | None:
        """Read a job."""
        rows = await tx.fetch("SELECT * FROM job WHERE id = $1", job_id)
        return job_of(rows[0]) if rows else None

    async def read_singleton(self, tx: Transaction, key: str) -> Job | None:
        """Read the live job that holds a singleton key."""
        sql = f"SELECT * FROM job WHERE singleton_key = $1 AND {LIVE}"
        rows = await tx.fetch(sql, key)
        return job_of(rows[0]) if rows else None

    async def has_live_steps(self, tx: Transaction, job_id: str) -> bool:
        """Whether a job below this one has not ended."""
        sql = f"{FAMILY} SELECT 1 FROM job JOIN family USING (id) WHERE {LIVE} AND id <> $1"
        return bool(await tx.fetch(sql, job_id))

    async def update(self, tx: Transaction, job: Job, **changes: Unpack[JobChanges]) -> Job:
        """Change a job that was locked in this transaction, and queue events for webhooks."""
        columns = _columns(changes)
        sets = [f"{name} = ${position}" for position, name in enumerate(columns, start=2)]
        if changes.get("planned"):
            sets.append("planned_at = statement_timestamp()")
        if "status" in changes:
            sets.extend(_STAMPS.get(changes["status"], ()))
        if "attempt" in changes:
            sets.append("started_at = NULL")  # a restart keeps it, and with it the deadline
        sets.extend(["version = version + 1", "updated_at = statement_timestamp()"])
        # Names come from JobChanges, never from outside.
        sql = f"UPDATE job SET {', '.join(sets)} WHERE id = $1 RETURNING *"
        event = event_of(job.status, changes.get("status"))
        if event is not None:
            sql = announcing(sql, event)
        try:
            rows = await tx.fetch(sql, job.id, *columns.values())
        except asyncpg.UniqueViolationError as exc:
            raise SingletonBusy("Another job of this kind is already running.") from exc
        return job_of(rows[0])

    async def announce(
        self,
        tx: Transaction,
        job: Job,
        event: Event,
        details: Mapping[str, Any],
        asked: Approvers = Approvers(),
    ) -> None:
        """Queue an event for the webhooks of the owner and the approvers."""
        await tx.execute(announcement(event), job.id, details, list(asked.users), list(asked.roles))

    async def count(
        self, tx: Transaction, job_id: str, epoch: int, changes: CountChanges
    ) -> Job | None:
        """Add to the counters; None when the epoch has moved on or the job has ended."""
        rows = await tx.fetch(
            _COUNT,
            job_id,
            epoch,
            changes.done,
            changes.failed,
            changes.skipped,
            changes.calls_made,
            changes.calls_repeated,
            changes.calls_retried,
            changes.input_tokens,
            changes.output_tokens,
            changes.cost_usd,
            changes.current_step,
        )
        return job_of(rows[0]) if rows else None

    async def audit(
        self, tx: Transaction, job: Job, action: str, by: str, details: Mapping[str, Any]
    ) -> None:
        """Write the audit, in the same transaction as the change."""
        await tx.execute(_AUDIT, job.id, job.attempt, job.version, action, by, details)

    async def controls_noted(self, tx: Transaction, job: Job, generation: int) -> int:
        """How many requests to pause or resume were noted under a generation and later ones."""
        (row,) = await tx.fetch(_CONTROLS_NOTED, job.id, job.attempt, list(Action), generation)
        return int(row["noted"])


def _columns(changes: JobChanges) -> dict[str, object]:
    columns: dict[str, object] = {}
    for name, value in changes.items():
        match name, value:
            case "planned", _:
                continue
            case "counts", Counts():
                columns |= asdict(value)
            case "calls", CallTotals():
                columns |= {
                    "calls_made": value.made,
                    "calls_repeated": value.repeated,
                    "calls_retried": value.retried,
                    "input_tokens": value.input_tokens,
                    "output_tokens": value.output_tokens,
                    "cost_usd": value.cost_usd,
                }
            case "pause", Pause():
                columns[name] = _pause_json(value)
            case "fault", JobFault():
                columns[name] = asdict(value)
            case _:
                columns[name] = value
    return columns


def _pause_json(pause: Pause) -> dict[str, object]:
    return asdict(pause) | {"until": pause.until.isoformat() if pause.until else None}


def _pause_of(value: Mapping[str, Any] | None) -> Pause | None:
    if value is None:
        return None
    until: datetime | None = read_time(value["until"])
    return Pause(mode=RunMode(value["mode"]), by=value["by"], reason=value["reason"], until=until)


def job_of(row: Row) -> Job:
    """Read a job row."""
    return Job(
        id=str(row["id"]),
        job_type=row["job_type"],
        status=JobStatus(row["status"]),
        outcome=Outcome(row["outcome"]) if row["outcome"] else None,
        owner=row["owner"],
        attempt=row["attempt"],
        epoch=row["epoch"],
        version=row["version"],
        generation=row["generation"],
        mode=RunMode(row["mode"]),
        pause=_pause_of(row["pause"]),
        requested=Requested(row["requested"]) if row["requested"] else None,
        priority=row["priority"],
        description=row["description"],
        parameters=row["parameters"],
        frozen=row["frozen"],
        options=JobOptions(
            concurrency=row["concurrency"],
            stop_after_failure_ratio=row["stop_after_failure_ratio"],
            deadline_seconds=row["deadline_seconds"],
        ),
        metadata=row["metadata"],
        cycle_id=row["cycle_id"],
        report_id=row["report_id"],
        counts=Counts(
            total=row["total"], done=row["done"], failed=row["failed"], skipped=row["skipped"]
        ),
        calls=CallTotals(
            made=row["calls_made"],
            repeated=row["calls_repeated"],
            retried=row["calls_retried"],
            input_tokens=row["input_tokens"],
            output_tokens=row["output_tokens"],
            cost_usd=row["cost_usd"],
        ),
        current_step=row["current_step"],
        result=row["result"],
        fault=JobFault(**row["fault"]) if row["fault"] else None,
        run_id=row["run_id"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        start_at=row["start_at"],
        started_at=row["started_at"],
        planned_at=row["planned_at"],
        paused_at=row["paused_at"],
        completed_at=row["completed_at"],
        dispatched_at=row["dispatched_at"],
        parent_id=str(row["parent_id"]) if row["parent_id"] else None,
        step=row["step"],
        waiting_for=row["waiting_for"],
        owner_roles=tuple(row["owner_roles"]),
        owner_lob=row["owner_lob"],
        approvers=Approvers(users=tuple(row["approvers"]), roles=tuple(row["approver_roles"])),
        lob=row["lob"],
    )
