"""Finds jobs whose row and workflow do not agree, and continues them from the ledger."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import structlog

from longhaul.adapters.postgres.reconciliation import PostgresReconciliation
from longhaul.adapters.telemetry.metrics import ApiMetrics
from longhaul.core.controls import SYSTEM
from longhaul.core.errors import Unavailable
from longhaul.core.jobs import Job, JobFault, JobStatus, Pause, Requested, RunMode
from longhaul.core.ports import (
    Database,
    ErrorReporter,
    JobBoard,
    Jobs,
    RunStatus,
    Transaction,
    WorkflowRun,
    Workflows,
)
from longhaul.services.job_finisher import JobFinisher

EVERY = timedelta(seconds=30)

# How many jobs Temporal is asked about at the same time.
AT_ONCE = 16

# A row that has just changed is being worked on.
QUIET_FOR = timedelta(seconds=10)

LOST = "lost"

_FOUND = {
    RunStatus.TERMINATED: "terminated",
    RunStatus.FAILED: "failed",
    RunStatus.TIMED_OUT: "failed",
    RunStatus.CANCELLED: "cancelled",
    RunStatus.COMPLETED: "closed",
}

_TERMINATED = JobFault(
    code="terminated", sentence="The workflow was terminated by hand.", retryable=True
)
_FAILED = JobFault(
    code="workflow_failed",
    sentence="The workflow failed because of an internal fault.",
    retryable=True,
)
# For a pause that was lost together with its workflow.
_LOST_PAUSE = Pause(mode=RunMode.NOW, by=SYSTEM, reason="asked for before the workflow was lost")


class Reconciler:
    """Checks every job that is not terminal, one process at a time."""

    def __init__(
        self,
        *,
        database: Database,
        jobs: Jobs,
        candidates: PostgresReconciliation,
        workflows: Workflows,
        finisher: JobFinisher,
        board: JobBoard,
        metrics: ApiMetrics,
        errors: ErrorReporter,
        every: timedelta = EVERY,
        quiet_for: timedelta = QUIET_FOR,
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._candidates = candidates
        self._workflows = workflows
        self._finisher = finisher
        self._board = board
        self._metrics = metrics
        self._errors = errors
        self._every = every
        self._quiet_for = quiet_for
        self._wanted = asyncio.Event()
        self._log = structlog.get_logger("longhaul.reconciler")

    def check(self) -> None:
        """Check now, also rows that have just changed: a workflow seems to be missing."""
        self._wanted.set()

    async def run(self) -> None:
        """Check repeatedly until cancelled."""
        while True:
            quiet_for = timedelta(0) if self._wanted.is_set() else self._quiet_for
            self._wanted.clear()
            try:
                await self.look(quiet_for)
            except Unavailable:
                self._log.info("reconciliation_put_off")
            except Exception as exc:  # noqa: BLE001 - the next look may succeed
                self._errors.file(exc, step="reconcile")
            try:
                async with asyncio.timeout(self._every.total_seconds()):
                    await self._wanted.wait()
            except TimeoutError:
                continue

    async def look(self, quiet_for: timedelta) -> int:
        """Compare jobs that have not changed lately with their workflows; returns the repairs."""
        repaired = 0
        async with self._candidates.alone() as alone:
            if not alone:
                return 0
            async for page in self._candidates.quiet(quiet_for):
                for start in range(0, len(page), AT_ONCE):
                    repaired += await self._compare(page[start : start + AT_ONCE])
        return repaired

    async def _compare(self, jobs: Sequence[Job]) -> int:
        """Compare some jobs with their workflows; returns how many were repaired.

        Raises:
            Unavailable: None of them could be compared.
        """
        asked = (self._workflows.describe(job.id) for job in jobs)
        runs = await asyncio.gather(*asked, return_exceptions=True)
        repaired, away = 0, []
        for job, run in zip(jobs, runs, strict=True):
            try:
                if isinstance(run, BaseException):
                    raise run
                repaired += await self._repair_found(job, _find(job, run))
            except Unavailable as exc:
                away.append(exc)
            except Exception as exc:  # noqa: BLE001 - one bad job must not stop all repairs
                self._errors.file(exc, step="reconcile", job_id=job.id)
        if len(away) == len(jobs):
            raise away[0]
        return repaired

    async def _repair_found(self, job: Job, found: str | None) -> bool:
        if found is None:
            return False
        async with self._database.begin() as tx:
            now = await self._jobs.lock(tx, job.id)
            if now is None or now.version != job.version:
                return False
            repaired = await self._repair(tx, now, found)
        if repaired is not None:
            self._log.warning("job_repaired", job_id=job.id, found=found, status=repaired.status)
            self._metrics.repaired.labels(found).inc()
            await self._board.post(repaired)
        return repaired is not None

    async def _repair(self, tx: Transaction, job: Job, found: str) -> Job | None:
        match found:
            case "terminated":
                return await self._finisher.finish(tx, job, fault=_TERMINATED)
            case "failed":
                return await self._finisher.finish(tx, job, fault=_FAILED)
            case "cancelled":
                return await self._finisher.finish(tx, job, cancelled=True)
            case "closed":
                ended = await self._finisher.finish(tx, job)
                return ended or await self._restart(tx, job)
            case _:
                return await self._restart(tx, job)

    async def _restart(self, tx: Transaction, job: Job) -> Job:
        """Let the same attempt begin again; workers that still work on it are fenced off."""
        wanted = _wanted(job)
        job = await self._jobs.update(
            tx,
            job,
            status=JobStatus.PENDING,
            epoch=job.epoch + 1,
            mode=RunMode.RUN,
            requested=wanted,
            pause=(job.pause or _LOST_PAUSE) if wanted is Requested.PAUSE else None,
        )
        await self._jobs.audit(tx, job, "restarted", SYSTEM, {})
        return job


def _wanted(job: Job) -> Requested | None:
    """The request that a restarted attempt must still apply: the last, else the pause."""
    if job.requested is None:
        return Requested.PAUSE if job.pause is not None else None
    return None if job.requested is Requested.RESUME else job.requested


def _find(job: Job, run: WorkflowRun | None) -> str | None:
    """What is wrong between a row and the newest run of its workflow; None if nothing is."""
    if job.status is JobStatus.PENDING:
        # The dispatcher starts it; only a deliberate end is handled here.
        if run is None or run.status is not RunStatus.TERMINATED:
            return None
        if job.planned_at is not None and not job.counts.open:
            return None  # only summing up is left, which the next run does
        return "terminated" if run.started_at >= job.updated_at else None
    if run is not None and run.status is RunStatus.RUNNING:
        return None
    if run is None or run.run_id != job.run_id:
        return LOST
    return _FOUND[run.status]
