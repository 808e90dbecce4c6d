"""Ends an attempt: decides once, under the row lock, from what the ledger says."""

from collections.abc import Mapping
from typing import Any

from temporalio import activity

from longhaul.activities.heartbeat import beating
from longhaul.core.catalog import Catalog
from longhaul.core.controls import SYSTEM
from longhaul.core.errors import JobError
from longhaul.core.jobs import (
    CANCELLED,
    CallTotals,
    Counts,
    Ending,
    Job,
    JobFault,
    JobStatus,
    RunMode,
    ending,
    failed,
    move,
)
from longhaul.core.messages import Finish, FinishRequest
from longhaul.core.ports import Reports, Stores, Transaction

# A job whose items have ended must not hang because its summary is broken.
SUMMARY_TRIES = 5


class FinishActivities:
    """Writes the terminal state and the result of an attempt."""

    def __init__(self, *, stores: Stores, catalog: Catalog, reports: Reports) -> None:
        self._database = stores.database
        self._jobs = stores.jobs
        self._ledger = stores.ledger
        self._board = stores.board
        self._catalog = catalog
        self._reports = reports

    @activity.defn(name="finish")
    async def finish(self, request: FinishRequest) -> Finish:
        """End the attempt, or answer how many items are still open.

        Asked again after it has decided, it answers what was decided.
        """
        async with beating(), self._database.begin() as tx:
            job = await self._jobs.lock(tx, request.job_id)
            if job is None or job.status.is_terminal or not _is_of(job, request):
                return _answer(job)
            counts, calls = await self._ledger.count(tx, job.id)
            decided = _decide(request, counts)
            if decided is None:
                if counts != job.counts:
                    job = await self._jobs.update(tx, job, counts=counts)
                return Finish(status=job.status, counts=counts, open=counts.open)
            job = await self._end(tx, job, decided, counts, calls)
        await self._board.post(job)
        return _answer(job)

    async def _end(
        self, tx: Transaction, job: Job, decided: Ending, counts: Counts, calls: CallTotals
    ) -> Job:
        # A pause that found nothing left to do ends as a completion (design.md 4).
        status = move(job.status, decided.status)
        job = await self._jobs.update(
            tx,
            job,
            status=status,
            outcome=decided.outcome,
            fault=decided.fault,
            result=await self._summary(tx, job, counts),
            counts=counts,
            calls=calls,
            epoch=job.epoch + 1,
            mode=RunMode.RUN,
            pause=None,
            requested=None,
        )
        details = {
            "status": job.status,
            "outcome": job.outcome,
            "done": counts.done,
            "failed": counts.failed,
            "skipped": counts.skipped,
            "total": counts.total,
        }
        await self._jobs.audit(tx, job, "finished", SYSTEM, details)
        return job

    async def _summary(self, tx: Transaction, job: Job, counts: Counts) -> Mapping[str, Any] | None:
        if job.planned_at is None:
            return None
        job_type = self._catalog.get(job.job_type)
        try:
            return await job_type.summarise(tx, job, counts)
        except JobError:
            raise
        except Exception as exc:
            if activity.info().attempt < SUMMARY_TRIES:
                raise
            error_id = self._reports.file(exc, job_id=job.id, step="summarise")
            return {"summary_error": error_id}


def _is_of(job: Job, request: FinishRequest) -> bool:
    if request.epoch is None:
        return job.attempt == request.attempt and job.status is JobStatus.PENDING
    return job.epoch == request.epoch


def _decide(request: FinishRequest, counts: Counts) -> Ending | None:
    if request.fault_code and (counts.open or not counts.total):
        return failed(JobFault(code=request.fault_code, sentence=request.fault_sentence))
    if not counts.open:
        # A cancel in the very moment of the last item changes nothing any more; a job
        # without items was cancelled before they were listed.
        return CANCELLED if request.cancelled and not counts.total else ending(counts)
    return CANCELLED if request.cancelled else None


def _answer(job: Job | None) -> Finish:
    if job is None:
        return Finish(status=JobStatus.CANCELLED, stale=True)
    return Finish(
        status=job.status,
        stale=not job.status.is_terminal,
        outcome=job.outcome,
        counts=job.counts,
        code=job.fault.code if job.fault else "",
        sentence=job.fault.sentence if job.fault else "",
    )
