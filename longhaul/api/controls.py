"""Pause, resume, cancel, retry and change: durable requests, answered with the row."""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from longhaul.adapters.postgres.retention import PostgresRetention
from longhaul.api.schemas import PatchRequest, PauseRequest, RetryRequest
from longhaul.core.controls import Action, Control
from longhaul.core.errors import Forbidden, WrongState
from longhaul.core.jobs import Job, JobStatus, Requested, RunMode
from longhaul.core.ports import Database, JobBoard, Jobs, Ledger, Stores, Workflows
from longhaul.core.principals import Principal, existing, may_control, visible_to
from longhaul.core.upkeep import Traces
from longhaul.services.attempts import Attempts
from longhaul.services.job_finisher import JobFinisher
from longhaul.services.steering import Steering

PATIENCE = timedelta(seconds=1)
LOOK_EVERY = timedelta(milliseconds=20)

# The most transactions in which a purge deletes items and calls before it answers.
REMAINS = 10

_PAUSED = frozenset({JobStatus.PAUSING, JobStatus.PAUSED})


@dataclass(frozen=True, slots=True)
class Answer:
    """The row after a request, and whether the request changes anything."""

    job: Job
    accepted: bool = True


class Controls:
    """Controls jobs for people.

    Args:
        wake: Tells the dispatcher that a job is due.
        check: Tells the reconciler that a workflow seems to be missing.
    """

    def __init__(
        self,
        *,
        database: Database,
        jobs: Jobs,
        ledger: Ledger,
        retention: PostgresRetention,
        board: JobBoard,
        traces: Traces,
        workflows: Workflows,
        finisher: JobFinisher,
        wake: Callable[[], None],
        check: Callable[[], None],
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._retention = retention
        self._board = board
        self._traces = traces
        self._wake = wake
        self._attempts = Attempts(jobs=jobs, ledger=ledger)
        self._steering = Steering(
            stores=Stores(database=database, jobs=jobs, ledger=ledger, board=board),
            workflows=workflows,
            finisher=finisher,
            check=check,
        )

    async def pause(self, principal: Principal, job_id: str, body: PauseRequest) -> Answer:
        """Pause a job; a paused one takes a new time or reason.

        Raises:
            NotFound: The caller has no such job.
            WrongState: It has ended.
            TemporalUnavailable: The request cannot be delivered now.
        """
        job = await self._read(principal, job_id)
        _refuse_if_ended(job, "paused")
        if _is_paused_so(job, body):
            return Answer(job, accepted=False)
        control = Control(
            action=Action.PAUSE,
            mode=RunMode(body.mode),
            until=body.until,
            by=principal.sub,
            reason=body.reason,
            request_id=str(uuid.uuid4()),
        )
        return await self._steer(job, control)

    async def resume(self, principal: Principal, job_id: str) -> Answer:
        """Resume a paused job; no-op if it is running.

        Raises:
            As `pause`.
        """
        job = await self._read(principal, job_id)
        _refuse_if_ended(job, "resumed")
        if job.status not in _PAUSED and job.requested is not Requested.PAUSE:
            if job.status is JobStatus.PENDING:
                raise WrongState("The job is pending: it has not been paused.")
            return Answer(job, accepted=False)
        control = Control(action=Action.RESUME, by=principal.sub, request_id=str(uuid.uuid4()))
        return await self._steer(job, control)

    async def cancel(self, principal: Principal, job_id: str) -> Answer:
        """Stop a job for good; no-op if it is cancelled.

        Raises:
            As `pause`.
        """
        job = await self._read(principal, job_id)
        if job.status is JobStatus.CANCELLED:
            return Answer(job, accepted=False)
        _refuse_if_ended(job, "cancelled")
        row, is_on_its_way = await self._steering.cancel(job, principal.sub)
        if not is_on_its_way:
            return Answer(row)
        return Answer(await self._settled(row, lambda row: row.status.is_terminal))

    async def retry(self, principal: Principal, job_id: str, body: RetryRequest) -> Answer:
        """Begin another attempt over open and failed items.

        Raises:
            NotFound: The caller has no such job.
            WrongState: It has not ended, or there is nothing to retry.
            ItemNotRetryable: A named item does not exist or has not failed.
            SingletonBusy: Another job of its kind is running.
        """
        await self._read(principal, job_id)
        async with self._database.begin() as tx:
            job = existing(await self._jobs.lock(tx, job_id))
            options = body.options.over(job.options)
            job = await self._attempts.begin(
                tx, job, by=principal.sub, keys=body.keys, options=options
            )
        await self._board.post(job)
        self._wake()
        return Answer(job)

    async def change(self, principal: Principal, job_id: str, body: PatchRequest) -> Job:
        """Change the options of a running job.

        Raises:
            NotFound: The caller has no such job.
            WrongState: It has ended.
        """
        await self._read(principal, job_id)
        changes = body.model_dump(exclude_none=True)
        async with self._database.begin() as tx:
            job = existing(await self._jobs.lock(tx, job_id))
            _refuse_if_ended(job, "changed")
            if changes:
                job = await self._jobs.update(tx, job, **changes)
                await self._jobs.audit(tx, job, "changed", principal.sub, changes)
        await self._board.post(job)
        return job

    async def purge(self, principal: Principal, job_id: str) -> None:
        """Delete a job that has ended, and the jobs of its steps; only the audit stays.

        Raises:
            NotFound: The caller has no such job.
            WrongState: It has not ended.
        """
        await self._read(principal, job_id)
        async with self._database.begin() as tx:
            job = existing(await self._jobs.lock(tx, job_id))
            if not job.status.is_terminal:
                raise WrongState(f"The job is {job.status}: cancel it before you purge it.")
            if await self._jobs.has_live_steps(tx, job_id):
                raise WrongState(f"The job is {job.status}, but a step of it still runs.")
            flow = await self._jobs.read(tx, job.parent_id) if job.parent_id else None
            if flow is not None and not flow.status.is_terminal:
                raise WrongState(f"The job is {job.status}, but a step of a flow that still runs.")
            purged = await self._retention.purge_family(tx, job, principal.sub)
        await self._traces.forget(purged)
        # They can no longer be reached. For a large job, retention deletes the rest.
        for _ in range(REMAINS):
            if not await self._retention.purge_remains(purged):
                return

    async def _read(self, principal: Principal, job_id: str) -> Job:
        async with self._database.begin() as tx:
            job = visible_to(principal, await self._jobs.read(tx, job_id))
        if not may_control(principal, job):
            raise Forbidden("You may see this job and decide on its approvals, but not control it.")
        return job

    async def _steer(self, job: Job, control: Control) -> Answer:
        row, is_on_its_way = await self._steering.control(job, control)
        if not is_on_its_way:
            return Answer(row)
        return Answer(await self._settled(row, lambda row: row.generation > job.generation))

    async def _settled(self, job: Job, is_settled: Callable[[Job], bool]) -> Job:
        """The row once the workflow has changed it, or after a second."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE.total_seconds()
        while not (job.status.is_terminal or is_settled(job)) and loop.time() < deadline:
            await asyncio.sleep(LOOK_EVERY.total_seconds())
            shown = (await self._board.read(job.id)).job
            if shown is None:
                async with self._database.begin() as tx:
                    shown = await self._jobs.read(tx, job.id)
            if shown is not None and shown.version > job.version:
                job = shown
        return job


def _is_paused_so(job: Job, body: PauseRequest) -> bool:
    """Whether a job is already paused, until the same time and for the same reason."""
    if job.status is not JobStatus.PAUSED or job.requested is Requested.RESUME:
        return False
    until, reason = (job.pause.until, job.pause.reason) if job.pause else (None, "")
    return body.until in (None, until) and body.reason in ("", reason)


def _refuse_if_ended(job: Job, done: str) -> None:
    if job.status.is_terminal:
        raise WrongState(f"The job is {job.status}: it cannot be {done} any more.")
