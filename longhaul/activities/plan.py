"""Begins an attempt: writes the items to the ledger and returns what is open."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio import activity

from longhaul.activities.heartbeat import beating
from longhaul.core.catalog import Catalog
from longhaul.core.controls import SYSTEM
from longhaul.core.errors import JobError, Overtaken, PlanFailed
from longhaul.core.jobs import Counts, Job, JobStatus, Requested, move
from longhaul.core.messages import OpenSpans, Plan, PlanRequest, SpansRequest
from longhaul.core.ports import ErrorReporter, Stores, Transaction

# How many jobs of a process list their items at once. Each holds a connection meanwhile, perhaps
# for an hour, and chunks need some as well.
LISTING = 10


class PlanActivities:
    """Plans attempts and pages through their open items."""

    def __init__(self, *, stores: Stores, catalog: Catalog, errors: ErrorReporter) -> None:
        self._database = stores.database
        self._jobs = stores.jobs
        self._ledger = stores.ledger
        self._board = stores.board
        self._catalog = catalog
        self._errors = errors
        self._listing = asyncio.Semaphore(LISTING)

    @activity.defn(name="plan")
    async def plan(self, request: PlanRequest) -> Plan:
        """Move an attempt from pending to running, or answer that another run has it.

        Called again by the same run, it answers the same and changes nothing.

        Raises:
            InvalidInput: The job's items cannot be listed with these parameters.
            PlanFailed: The job type broke while it listed the items.
        """
        async with beating(), self._turn(request.job_id), self._database.begin() as tx:
            await self._ledger.hold_plan(tx, request.job_id)
            job = await self._jobs.read(tx, request.job_id)
            if job is None or not _is_for(job, request):
                return Plan(stale=True)
            total = job.counts.total
            if job.planned_at is None:
                total = await self._list_items(tx, job)
            job = await self._jobs.lock(tx, request.job_id)
            if job is None or not _is_for(job, request):
                raise Overtaken
            if job.status is JobStatus.PENDING:
                job = await self._begin(tx, job, request.run_id, total)
            page = await self._ledger.open_page(tx, job.id, 0)
        await self._board.post(job)
        return Plan(
            epoch=job.epoch,
            generation=job.generation,
            counts=job.counts,
            page=page,
            concurrency=job.options.concurrency,
            stop_ratio=job.options.stop_after_failure_ratio,
            deadline=job.deadline,
            pause=job.pause if job.requested is Requested.PAUSE else None,
            cancel_requested=job.requested is Requested.CANCEL,
            priority=job.priority,
        )

    @activity.defn(name="open_spans")
    async def open_spans(self, request: SpansRequest) -> OpenSpans:
        """Return a page of open spans."""
        async with beating(), self._database.begin() as tx:
            job = await self._jobs.read(tx, request.job_id)
            if job is None or job.epoch != request.epoch or job.status.is_terminal:
                return OpenSpans(stale=True)
            page = await self._ledger.open_page(tx, job.id, request.after)
        return OpenSpans(
            page=page,
            concurrency=job.options.concurrency,
            counts=job.counts,
            priority=job.priority,
        )

    @asynccontextmanager
    async def _turn(self, job_id: str) -> AsyncIterator[None]:
        """Wait for a place among the jobs that list their items, if this one must list them."""
        if self._listing.locked() and not await self._is_to_be_listed(job_id):
            yield
            return
        async with self._listing:
            yield

    async def _is_to_be_listed(self, job_id: str) -> bool:
        async with self._database.begin() as tx:
            job = await self._jobs.read(tx, job_id)
        return job is not None and job.planned_at is None

    async def _list_items(self, tx: Transaction, job: Job) -> int:
        job_type = self._catalog.get(job.job_type)
        try:
            parameters = job_type.parameters.model_validate(job.parameters)
            return await self._ledger.add(tx, job.id, job_type.items(tx, parameters))
        except JobError:
            raise
        except Exception as exc:
            error_id = self._errors.file(exc, job_id=job.id, step="items")
            raise PlanFailed(error_id) from exc

    async def _begin(self, tx: Transaction, job: Job, run_id: str, total: int) -> Job:
        first = job.planned_at is None
        counts = Counts(total=total) if first else job.counts
        frozen = self._catalog.get(job.job_type).freeze() if first else job.frozen
        job = await self._jobs.update(
            tx,
            job,
            status=move(job.status, JobStatus.RUNNING),
            epoch=job.epoch + 1,
            run_id=run_id,
            counts=counts,
            frozen=frozen,
            planned=first and total > 0,
        )
        await self._jobs.audit(tx, job, "started", SYSTEM, {"total": total, "open": counts.open})
        return job


def _is_for(job: Job, request: PlanRequest) -> bool:
    if job.attempt != request.attempt or job.status.is_terminal:
        return False
    return job.status is JobStatus.PENDING or job.run_id == request.run_id
