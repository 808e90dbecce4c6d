"""Passes the end of a job on to its step in a flow."""

from datetime import UTC, datetime

from longhaul.core.items import Done, Failed, ItemOutcome, ItemResult, ItemState
from longhaul.core.jobs import Job, JobStatus, Requested
from longhaul.core.ports import CountChanges, Jobs, Ledger, Transaction

STEP_CANCELLED = "step_cancelled"


class Parents:
    """Ends steps in the transaction that ends their job."""

    def __init__(self, *, jobs: Jobs, ledger: Ledger) -> None:
        self._jobs = jobs
        self._ledger = ledger

    async def told(self, tx: Transaction, child: Job) -> None:
        """End the step of a job that has just ended.

        A flow that has ended is not changed: a retry of it reads the job. The step of a job that
        the flow has cancelled stays open.
        """
        if child.parent_id is None:
            return
        parent = await self._jobs.lock(tx, child.parent_id)
        if parent is None or parent.status.is_terminal:
            return
        if child.status is JobStatus.CANCELLED and _is_winding_down(parent):
            return
        await self.end_step(tx, parent, child)

    async def end_step(self, tx: Transaction, parent: Job, child: Job) -> Job:
        """Write the end of a job to the open step of its flow, which is locked."""
        item = await self._ledger.find(tx, parent.id, child.step or "")
        if item is None:
            return parent
        ended = ItemOutcome(item, result_of(child), _duration_ms(child))
        return await end_steps(tx, self._jobs, self._ledger, parent, [ended])


async def end_steps(
    tx: Transaction, jobs: Jobs, ledger: Ledger, flow: Job, ended: list[ItemOutcome]
) -> Job:
    """End steps of a flow that is locked in this transaction; the row with its new counters."""
    fresh = await ledger.end(tx, flow.id, ended)
    states = [one.state for one in ended if one.item.ordinal in fresh]
    if not states:
        return flow
    changes = CountChanges(
        done=states.count(ItemState.DONE),
        failed=states.count(ItemState.FAILED),
        skipped=states.count(ItemState.SKIPPED),
    )
    return await jobs.count(tx, flow.id, flow.epoch, changes) or flow


def result_of(child: Job) -> ItemResult:
    """The step's result for the end of its job; a partial outcome counts as done."""
    if child.status is JobStatus.COMPLETED:
        return Done({"job_id": child.id, "outcome": child.outcome, "result": child.result})
    if child.status is JobStatus.CANCELLED:
        return Failed(STEP_CANCELLED, "The job of this step was cancelled.")
    code = child.fault.code if child.fault else "failed"
    sentence = child.fault.sentence if child.fault else "The job of this step failed."
    return Failed(code, sentence)


def _is_winding_down(flow: Job) -> bool:
    if flow.requested is Requested.CANCEL:
        return True
    return flow.deadline is not None and datetime.now(UTC) >= flow.deadline


def _duration_ms(child: Job) -> int:
    if child.started_at is None or child.completed_at is None:
        return 0
    return round((child.completed_at - child.started_at).total_seconds() * 1000)
