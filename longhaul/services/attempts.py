"""Begins another attempt of a job that has ended."""

from collections.abc import Sequence

from longhaul.core.errors import ItemNotRetryable, WrongState
from longhaul.core.jobs import Job, JobOptions, JobStatus, Outcome, move
from longhaul.core.ports import Jobs, Ledger, Transaction


class Attempts:
    """Opens failed items again; done ones stay done."""

    def __init__(self, *, jobs: Jobs, ledger: Ledger) -> None:
        self._jobs = jobs
        self._ledger = ledger

    async def begin(
        self,
        tx: Transaction,
        job: Job,
        *,
        by: str,
        keys: Sequence[str] | None = None,
        options: JobOptions | None = None,
    ) -> Job:
        """Set a job that is locked in this transaction to pending, one attempt further.

        Args:
            keys: The failed items to open again; None for all of them.
            options: Options of the attempt; None for those of the one before.

        Raises:
            WrongState: It has not ended, or there is nothing to retry.
            ItemNotRetryable: A named item does not exist or has not failed.
            SingletonBusy: Another job of its kind is running.
        """
        if not job.status.is_terminal:
            raise WrongState(f"The job is {job.status}: only a job that has ended can be retried.")
        if job.outcome is Outcome.SUCCEEDED:
            raise WrongState("The job is completed: every item succeeded, nothing to retry.")
        options = options or job.options
        reopened = await self._reopen(tx, job, keys)
        counts = await self._ledger.count_items(tx, job.id)
        if job.planned_at is not None and not counts.open:
            raise WrongState(f"The job is {job.status}: there is nothing to retry.")
        job = await self._jobs.update(
            tx,
            job,
            status=move(job.status, JobStatus.PENDING, outcome=job.outcome),
            attempt=job.attempt + 1,
            outcome=None,
            fault=None,
            result=None,
            counts=counts,
            concurrency=options.concurrency,
            stop_after_failure_ratio=options.stop_after_failure_ratio,
            deadline_seconds=options.deadline_seconds,
        )
        details = {"items": keys or "failed", "reopened": reopened}
        await self._jobs.audit(tx, job, "retried", by, details)
        await self._reopen_step(tx, job)
        return job

    async def _reopen(self, tx: Transaction, job: Job, keys: Sequence[str] | None) -> int:
        if keys is None:
            return await self._ledger.reopen_failed(tx, job.id)
        reopened = await self._ledger.reopen(tx, job.id, keys)
        if others := set(keys) - set(reopened):
            raise ItemNotRetryable(
                f"These items are done or do not exist: {', '.join(sorted(others)[:10])}."
            )
        return len(reopened)

    async def _reopen_step(self, tx: Transaction, job: Job) -> None:
        """Open this step again in a flow that still runs."""
        if job.parent_id is None or job.step is None:
            return
        parent = await self._jobs.lock(tx, job.parent_id)
        if parent is None or parent.status.is_terminal:
            return
        if await self._ledger.reopen(tx, parent.id, [job.step]):
            counts = await self._ledger.count_items(tx, parent.id)
            await self._jobs.update(tx, parent, counts=counts)
