"""Decides how a job ends, once, from the ledger."""

from collections.abc import Mapping
from typing import Any

from longhaul.core.catalog import Catalog
from longhaul.core.controls import SYSTEM
from longhaul.core.errors import Unavailable, UnknownJobType
from longhaul.core.jobs import (
    CANCELLED,
    CallTotals,
    Counts,
    Ending,
    Job,
    JobFault,
    RunMode,
    ending,
    failed,
    path,
)
from longhaul.core.ports import ErrorReporter, Stores, Transaction
from longhaul.services.parents import Parents


class JobFinisher:
    """Writes terminal states: for the workflow, and for the reconciler when there is none."""

    def __init__(self, *, stores: Stores, catalog: Catalog, errors: ErrorReporter) -> None:
        self._stores = stores
        self._catalog = catalog
        self._errors = errors
        self._parents = Parents(jobs=stores.jobs, ledger=stores.ledger)

    async def finish(
        self,
        tx: Transaction,
        job: Job,
        *,
        cancelled: bool = False,
        fault: JobFault | None = None,
        by: str = SYSTEM,
    ) -> Job | None:
        """End a job that is locked in this transaction; None while items must still be done.

        The counters of the row are set from the ledger in both cases.

        Args:
            cancelled: Open items stay open, and the job becomes cancelled.
            fault: Open items stay open, and the job failed for this reason.
            by: Who ends it.
        """
        counts, calls = await self._stores.ledger.count(tx, job.id)
        decided = _decide(counts, cancelled=cancelled, fault=fault)
        if decided is None and not counts.open:
            decided = await self._ending(tx, job, counts)
        if decided is None:
            if counts != job.counts:
                await self._stores.jobs.update(tx, job, counts=counts)
            return None
        result = await self._summary(tx, job, counts)
        job = await self._write(tx, job, decided, counts, calls, result)
        details = {
            "status": job.status,
            "outcome": job.outcome,
            "total": counts.total,
            "done": counts.done,
            "failed": counts.failed,
            "skipped": counts.skipped,
        }
        await self._stores.jobs.audit(tx, job, "finished", by, details)
        await self._parents.told(tx, job)
        return job

    async def _ending(self, tx: Transaction, job: Job, counts: Counts) -> Ending:
        if not counts.total or job.job_type not in self._catalog:
            return ending(counts)
        try:
            async with tx.nested():
                return await self._catalog.get(job.job_type).ending(tx, job, counts)
        except Unavailable:
            raise
        except Exception as exc:  # noqa: BLE001 - a job whose items have ended must not hang
            self._errors.file(exc, job_id=job.id, step="ending")
            return ending(counts)

    async def _write(
        self,
        tx: Transaction,
        job: Job,
        decided: Ending,
        counts: Counts,
        calls: CallTotals,
        result: Mapping[str, Any] | None,
    ) -> Job:
        return await self._stores.jobs.update(
            tx,
            job,
            status=path(job.status, decided.status)[-1],
            outcome=decided.outcome,
            fault=decided.fault,
            result=result,
            counts=counts,
            calls=calls,
            epoch=job.epoch + 1,
            mode=RunMode.RUN,
            pause=None,
            requested=None,
        )

    async def _summary(self, tx: Transaction, job: Job, counts: Counts) -> Mapping[str, Any] | None:
        if job.planned_at is None:
            return None
        try:
            async with tx.nested():
                return await self._catalog.get(job.job_type).summarise(tx, job, counts)
        except UnknownJobType:
            return None  # its package was uninstalled; the results are in the ledger
        except Unavailable:
            raise
        except Exception as exc:  # noqa: BLE001 - a job whose items have ended must not hang
            return {"summary_error": self._errors.file(exc, job_id=job.id, step="summarise")}


def _decide(counts: Counts, *, cancelled: bool, fault: JobFault | None) -> Ending | None:
    """The ending that does not depend on the job's type; None if there is none."""
    if fault is not None and (counts.open or not counts.total):
        return failed(fault)
    if cancelled and (counts.open or not counts.total):
        return CANCELLED
    # A cancel together with the last item changes nothing.
    return None
