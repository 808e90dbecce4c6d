"""The rows of flows: their steps, the jobs of these, and approvals."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from longhaul.adapters.postgres.jobs import LIVE, job_of
from longhaul.core.flows import ApprovalState
from longhaul.core.items import ItemState
from longhaul.core.jobs import Job
from longhaul.core.ports import Approval, Row, StepRow, Transaction

_STEPS = """
SELECT ordinal, item_key, label, state, error_code, error_message, output FROM job_item
WHERE job_id = $1 ORDER BY ordinal
"""

_ASK = """
INSERT INTO job_approval (job_id, step, attempt, asked_at, deadline, remind_at)
SELECT $1, $2, $3, t, t + $4::interval, t + $5::interval
FROM (SELECT clock_timestamp() AS t) AS now
RETURNING *
"""

_DECIDE = """
UPDATE job_approval SET state = $4, decided_by = $5, reason = $6, decided_at = clock_timestamp()
WHERE job_id = $1 AND step = $2 AND attempt = $3 AND state = 'waiting'
"""

_REMIND = """
UPDATE job_approval SET remind_at = $4 WHERE job_id = $1 AND step = $2 AND attempt = $3
"""


# A flow that waits for somebody, with this text in its parameters or the result of a step.
_THAT_ASK_ABOUT = f"""
SELECT f.id FROM job AS f
WHERE f.{LIVE} AND EXISTS (
        SELECT FROM job_approval AS a
        WHERE (a.job_id, a.attempt, a.state) = (f.id, f.attempt, 'waiting'))
    AND (strpos(f.parameters::text, $1) > 0 OR EXISTS (
        SELECT FROM job_item AS i WHERE i.job_id = f.id AND strpos(i.output::text, $1) > 0))
ORDER BY f.id
"""


class PostgresFlows:
    """Reads and writes what flows need beyond their job row and ledger."""

    async def steps(self, tx: Transaction, job_id: str) -> Sequence[StepRow]:
        """The ledger of a flow, in order."""
        return [_step(row) for row in await tx.fetch(_STEPS, job_id)]

    async def children(self, tx: Transaction, job_id: str) -> Mapping[str, Job]:
        """The jobs of a flow by step."""
        rows = await tx.fetch("SELECT * FROM job WHERE parent_id = $1 ORDER BY created_at", job_id)
        jobs = [job_of(row) for row in rows]
        return {job.step: job for job in jobs if job.step is not None}

    async def now(self, tx: Transaction) -> datetime:
        """The database's time."""
        (row,) = await tx.fetch("SELECT clock_timestamp() AS now")
        now: datetime = row["now"]
        return now

    async def approvals(self, tx: Transaction, job_id: str, attempt: int) -> Mapping[str, Approval]:
        """The approvals of an attempt, by step."""
        sql = "SELECT * FROM job_approval WHERE job_id = $1 AND attempt = $2"
        return {row["step"]: _approval(row) for row in await tx.fetch(sql, job_id, attempt)}

    async def every_approval(self, tx: Transaction, job_id: str) -> Sequence[Approval]:
        """The approvals of all attempts, oldest first."""
        sql = "SELECT * FROM job_approval WHERE job_id = $1 ORDER BY asked_at, step"
        return [_approval(row) for row in await tx.fetch(sql, job_id)]

    async def that_ask_about(self, tx: Transaction, text: str) -> Sequence[str]:
        """The flows whose waiting steps may be about this; the caller checks."""
        return [str(row["id"]) for row in await tx.fetch(_THAT_ASK_ABOUT, text)]

    async def ask(
        self, tx: Transaction, job: Job, step: str, *, wait: timedelta, remind: timedelta | None
    ) -> Approval:
        """Begin to wait for a person."""
        (row,) = await tx.fetch(_ASK, job.id, step, job.attempt, wait, remind)
        return _approval(row)

    async def remind(self, tx: Transaction, job: Job, step: str, again_at: datetime | None) -> None:
        """Note that a reminder went out, and when the next is due."""
        await tx.execute(_REMIND, job.id, step, job.attempt, again_at)

    async def decide(
        self,
        tx: Transaction,
        job: Job,
        step: str,
        state: ApprovalState,
        *,
        by: str | None = None,
        reason: str = "",
    ) -> None:
        """End an approval that was waiting."""
        await tx.execute(_DECIDE, job.id, step, job.attempt, state, by, reason)


def _step(row: Row) -> StepRow:
    return StepRow(
        ordinal=row["ordinal"],
        key=row["item_key"],
        label=row["label"],
        state=ItemState(row["state"]),
        code=row["error_code"],
        sentence=row["error_message"],
        output=row["output"],
    )


def _approval(row: Row) -> Approval:
    return Approval(
        step=row["step"],
        attempt=row["attempt"],
        state=ApprovalState(row["state"]),
        asked_at=row["asked_at"],
        deadline=row["deadline"],
        remind_at=row["remind_at"],
        decided_at=row["decided_at"],
        decided_by=row["decided_by"],
        reason=row["reason"],
    )
