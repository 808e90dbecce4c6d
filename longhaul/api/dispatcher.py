"""The one starter: starts the workflow of every pending attempt that is due."""

import asyncio
from datetime import timedelta

import structlog

from longhaul.adapters.postgres.dispatch import PostgresDispatchQueue
from longhaul.adapters.telemetry.metrics import ApiMetrics
from longhaul.core.catalog import Catalog
from longhaul.core.errors import TemporalUnavailable, Unavailable
from longhaul.core.jobs import Job
from longhaul.core.ports import ErrorReporter, Workflows

AT_ONCE = 32
MOST_REFUSALS = 10_000
LONGEST_SUMMARY = 200
LOOK_EVERY = timedelta(seconds=1)

# If a started attempt is still pending then, there was no worker, or its start was lost.
STARTED_AGAIN_AFTER = timedelta(seconds=60)

_ANSWER_TAKES = timedelta(milliseconds=3)
_FIRST_WAIT = timedelta(milliseconds=50)
_LONGEST_WAIT = timedelta(seconds=60)
_AWAY_WAIT = timedelta(seconds=2)


class Dispatcher:
    """Runs in every API process; leases keep them out of each other's way."""

    def __init__(
        self,
        *,
        queue: PostgresDispatchQueue,
        workflows: Workflows,
        catalog: Catalog,
        metrics: ApiMetrics,
        errors: ErrorReporter,
    ) -> None:
        self._queue = queue
        self._workflows = workflows
        self._catalog = catalog
        self._metrics = metrics
        self._errors = errors
        self._due = asyncio.Event()
        self._refusals: dict[str, int] = {}
        self._log = structlog.get_logger("longhaul.dispatcher")

    def wake(self) -> None:
        """Look for due jobs as soon as the answer to the submitter was sent."""
        asyncio.get_running_loop().call_later(_ANSWER_TAKES.total_seconds(), self._due.set)

    async def run(self) -> None:
        """Start what is due until cancelled."""
        while True:
            self._due.clear()
            try:
                wait = await self._start_due()
            except Unavailable:
                wait = LOOK_EVERY
            except Exception as exc:  # noqa: BLE001 - one job must not stop the only starter
                self._errors.file(exc, step="dispatch")
                wait = LOOK_EVERY
            try:
                async with asyncio.timeout(wait.total_seconds()):
                    await self._due.wait()
            except TimeoutError:
                continue

    async def _start_due(self) -> timedelta:
        """Start one round of jobs; returns how long to wait for the next."""
        jobs = await self._queue.lease(AT_ONCE)
        await asyncio.gather(*(self._start(job) for job in jobs))
        if len(jobs) == AT_ONCE:
            return timedelta(0)
        due = await self._queue.next_due()
        return min(due, LOOK_EVERY) if due is not None else LOOK_EVERY

    async def _start(self, job: Job) -> None:
        await self._queue.defer(job, await self._try_to_start(job))

    async def _try_to_start(self, job: Job) -> timedelta:
        """Start a job's workflow; returns when to try again if it stays pending."""
        if job.job_type not in self._catalog:
            self._log.warning("unknown_job_type", job_id=job.id, job_type=job.job_type)
            return STARTED_AGAIN_AFTER
        job_type = self._catalog.get(job.job_type)
        try:
            started = await self._workflows.start(
                job, job_type.workflow, job_type.queue, _summary(job, job_type.title)
            )
        except TemporalUnavailable:
            return _AWAY_WAIT
        except Exception as exc:  # noqa: BLE001 - a job that cannot be started must not block others
            self._errors.file(exc, job_id=job.id, step="dispatch")
            return STARTED_AGAIN_AFTER
        if started:
            self._metrics.dispatched.inc()
            self._refusals.pop(job.id, None)
            return STARTED_AGAIN_AFTER
        return self._wait_for_old_run(job)

    def _wait_for_old_run(self, job: Job) -> timedelta:
        if len(self._refusals) > MOST_REFUSALS:
            self._refusals.clear()  # of jobs that others have started since, or that are deleted
        refusals = self._refusals[job.id] = self._refusals.get(job.id, 0) + 1
        doublings: int = 2 ** min(refusals - 1, 12)
        wait = min(_FIRST_WAIT * doublings, _LONGEST_WAIT)
        if wait == _LONGEST_WAIT:
            del self._refusals[job.id]
        return wait


def _summary(job: Job, title: str) -> str:
    report = job.metadata.get("report_name")
    return f"{title}: {report}"[:LONGEST_SUMMARY] if report else title
