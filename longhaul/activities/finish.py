"""Ends an attempt under the row lock."""

from temporalio import activity

from longhaul.activities.heartbeat import beating
from longhaul.core.jobs import Job, JobFault, JobStatus
from longhaul.core.messages import Finish, FinishRequest
from longhaul.core.ports import Stores
from longhaul.services.job_finisher import JobFinisher


class FinishActivities:
    """Writes the terminal state and the result of an attempt."""

    def __init__(self, *, stores: Stores, finisher: JobFinisher) -> None:
        self._stores = stores
        self._finisher = finisher

    @activity.defn(name="finish")
    async def finish(self, request: FinishRequest) -> Finish:
        """End the attempt, or return how many items are still open.

        Called again after the end, it returns the same.
        """
        async with beating(), self._stores.database.begin() as tx:
            job = await self._stores.jobs.lock(tx, request.job_id)
            if job is None or job.status.is_terminal or not _is_of(job, request):
                return _answer(job)
            ended = await self._finisher.finish(
                tx,
                job,
                cancelled=request.cancelled,
                fault=_fault(request),
            )
            if ended is None:
                counts, _ = await self._stores.ledger.count(tx, job.id)
                return Finish(status=job.status, counts=counts, open=counts.open)
        await self._stores.board.post(ended)
        return _answer(ended)


def _is_of(job: Job, request: FinishRequest) -> bool:
    if request.epoch is None:
        return job.attempt == request.attempt and job.status is JobStatus.PENDING
    return job.epoch == request.epoch


def _fault(request: FinishRequest) -> JobFault | None:
    if not request.fault_code:
        return None
    return JobFault(code=request.fault_code, sentence=request.fault_sentence)


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
