"""Pause, resume, cancel, retry and change: durable requests, answered with the row.

A request goes to the workflow first and is noted on the row afterwards, unless the
workflow has moved the row by then. A job whose workflow is not there (not started yet, or
lost) keeps the request on its row, where the next plan finds it.
"""

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from longhaul.activities.ending import Endings
from longhaul.adapters.postgres.jobs import PostgresJobs
from longhaul.api.schemas import PatchRequest, PauseRequest, RetryRequest
from longhaul.core.controls import Action, Control, Requested
from longhaul.core.errors import ItemNotRetryable, NotFound, WrongState
from longhaul.core.jobs import Job, JobStatus, Outcome, Pause, RunMode, move
from longhaul.core.ports import Database, JobBoard, JobChanges, Ledger, Transaction, Workflows
from longhaul.core.principals import Principal, may_see

PATIENCE = timedelta(seconds=1)
LOOK_EVERY = timedelta(milliseconds=20)

_PAUSED = frozenset({JobStatus.PAUSING, JobStatus.PAUSED})


@dataclass(frozen=True, slots=True)
class Answer:
    """The row after a request, and whether the request changed or will change anything."""

    job: Job
    accepted: bool = True


class Controls:
    """Steers jobs on behalf of people.

    Args:
        wake: Tells the dispatcher that something is due.
        check: Tells the reconciler that a workflow seems to be missing.
    """

    def __init__(
        self,
        *,
        database: Database,
        jobs: PostgresJobs,
        ledger: Ledger,
        board: JobBoard,
        workflows: Workflows,
        endings: Endings,
        wake: Callable[[], None],
        check: Callable[[], None],
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._ledger = ledger
        self._board = board
        self._workflows = workflows
        self._endings = endings
        self._wake = wake
        self._check = check

    async def pause(self, principal: Principal, job_id: str, body: PauseRequest) -> Answer:
        """Pause a job; of a paused one, nothing happens.

        Raises:
            NotFound: There is no such job for the caller.
            WrongState: It has ended.
            TemporalUnavailable: The request cannot be delivered now.
        """
        job = await self._read(principal, job_id)
        _refuse_if_ended(job, "paused")
        if job.status is JobStatus.PAUSED and job.requested != Requested.RESUME:
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
        """Let a paused job go on; of a running one, nothing happens.

        Raises:
            As `pause`.
        """
        job = await self._read(principal, job_id)
        _refuse_if_ended(job, "resumed")
        if job.status not in _PAUSED and job.requested != Requested.PAUSE:
            if job.status is JobStatus.PENDING:
                raise WrongState("The job is pending: it has not been paused.")
            return Answer(job, accepted=False)
        control = Control(action=Action.RESUME, by=principal.sub, request_id=str(uuid.uuid4()))
        return await self._steer(job, control)

    async def cancel(self, principal: Principal, job_id: str) -> Answer:
        """Stop a job for good; of a cancelled one, nothing happens.

        Raises:
            As `pause`.
        """
        job = await self._read(principal, job_id)
        if job.status is JobStatus.CANCELLED:
            return Answer(job, accepted=False)
        _refuse_if_ended(job, "cancelled")
        if job.status is JobStatus.PENDING:
            row = await self._cancel_pending(job_id, principal.sub)
            if row is not None:
                return Answer(row)
        delivered = await self._workflows.cancel(job_id)
        noted = await self._note(job, Requested.CANCEL, principal.sub, {}, delivered=delivered)
        return Answer(await self._settled(noted, lambda row: row.status.is_terminal))

    async def retry(self, principal: Principal, job_id: str, body: RetryRequest) -> Answer:
        """Begin another attempt over what is open and what failed.

        Raises:
            NotFound: There is no such job for the caller.
            WrongState: It has not ended, or there is nothing to retry.
            ItemNotRetryable: A named item does not exist or has not failed.
            SingletonBusy: Another job of its kind is running.
        """
        await self._read(principal, job_id)
        async with self._database.begin() as tx:
            job = await self._jobs.lock(tx, job_id)
            if job is None:
                raise NotFound("There is no such job.")
            if not job.status.is_terminal:
                raise WrongState(f"The job is {job.status}: only a job that has ended is retried.")
            if job.outcome is Outcome.SUCCEEDED:
                raise WrongState("The job is completed: every item succeeded, nothing to retry.")
            reopened = await self._reopen(tx, job, body.keys)
            job = await self._begin_again(tx, job, body)
            details = {"items": body.keys or "failed", "reopened": len(reopened)}
            await self._jobs.audit(tx, job, "retried", principal.sub, details)
        await self._board.post(job)
        self._wake()
        return Answer(job)

    async def change(self, principal: Principal, job_id: str, body: PatchRequest) -> Job:
        """Change how a job is run while it runs.

        Raises:
            NotFound: There is no such job for the caller.
            WrongState: It has ended.
        """
        await self._read(principal, job_id)
        changes = body.model_dump(exclude_none=True)
        async with self._database.begin() as tx:
            job = await self._jobs.lock(tx, job_id)
            if job is None:
                raise NotFound("There is no such job.")
            _refuse_if_ended(job, "changed")
            if changes:
                job = await self._jobs.update(tx, job, **changes)
                await self._jobs.audit(tx, job, "changed", principal.sub, changes)
        await self._board.post(job)
        return job

    async def purge(self, principal: Principal, job_id: str) -> None:
        """Forget a job that has ended; only its audit stays.

        Raises:
            NotFound: There is no such job for the caller.
            WrongState: It has not ended.
        """
        await self._read(principal, job_id)
        async with self._database.begin() as tx:
            job = await self._jobs.lock(tx, job_id)
            if job is None:
                raise NotFound("There is no such job.")
            if not job.status.is_terminal:
                raise WrongState(f"The job is {job.status}: cancel it before you purge it.")
            await self._jobs.audit(tx, job, "purged", principal.sub, {"job_type": job.job_type})
            await self._jobs.purge(tx, job_id)
        await self._board.forget(job_id)

    async def _read(self, principal: Principal, job_id: str) -> Job:
        async with self._database.begin() as tx:
            job = await self._jobs.read(tx, job_id)
        if job is None or not may_see(principal, job):
            raise NotFound("There is no such job.")
        return job

    async def _steer(self, job: Job, control: Control) -> Answer:
        if job.status is JobStatus.PENDING:
            row = await self._control_pending(job.id, control)
            if row is not None:
                return Answer(row)
        delivered = await self._workflows.control(job.id, control)
        details = {"mode": control.mode, "reason": control.reason}
        pause = control.as_pause() if control.action is Action.PAUSE else None
        noted = await self._note(
            job,
            Requested(control.action),
            control.by,
            details,
            delivered=delivered,
            pause=pause,
        )
        return Answer(await self._settled(noted, lambda row: row.generation > job.generation))

    async def _note(
        self,
        seen: Job,
        requested: Requested,
        by: str,
        details: Mapping[str, object],
        *,
        delivered: bool,
        pause: Pause | None = None,
    ) -> Job:
        """Note on the row what is on its way, unless the workflow has been there since."""
        async with self._database.begin() as tx:
            job = await self._jobs.lock(tx, seen.id)
            if job is None:
                raise NotFound("There is no such job.")
            await self._jobs.audit(tx, job, f"{requested}_requested", by, details)
            if job.status.is_terminal or job.generation > seen.generation:
                return job
            changes: JobChanges = {"requested": requested}
            if not delivered and requested is not Requested.CANCEL:
                changes["pause"] = pause
            job = await self._jobs.update(tx, job, **changes)
        await self._board.post(job)
        if not delivered:
            self._check()
        return job

    async def _control_pending(self, job_id: str, control: Control) -> Job | None:
        """Keep a request on the row of a job that is not planned yet; None if it is by now."""
        wants_pause = control.action is Action.PAUSE
        async with self._database.begin() as tx:
            job = await self._jobs.lock(tx, job_id)
            if job is None or job.status is not JobStatus.PENDING:
                return None
            job = await self._jobs.update(
                tx,
                job,
                requested=Requested.PAUSE if wants_pause else None,
                pause=control.as_pause() if wants_pause else None,
            )
            details = {"mode": control.mode, "reason": control.reason}
            await self._jobs.audit(tx, job, f"{control.action}_requested", control.by, details)
        await self._board.post(job)
        return job

    async def _cancel_pending(self, job_id: str, by: str) -> Job | None:
        """Cancel a job that is not planned yet in its row; None if it is by now."""
        async with self._database.begin() as tx:
            job = await self._jobs.lock(tx, job_id)
            if job is None or job.status is not JobStatus.PENDING:
                return None
            ended = await self._endings.end(tx, job, cancelled=True, by=by)
        if ended is not None:
            await self._board.post(ended)
        return ended

    async def _reopen(self, tx: Transaction, job: Job, keys: list[str] | None) -> Sequence[str]:
        reopened = await self._ledger.reopen(tx, job.id, keys)
        if keys is not None and (others := set(keys) - set(reopened)):
            raise ItemNotRetryable(
                f"These items have not failed or do not exist: {', '.join(sorted(others)[:10])}."
            )
        return reopened

    async def _begin_again(self, tx: Transaction, job: Job, body: RetryRequest) -> Job:
        counts, _ = await self._ledger.count(tx, job.id)
        if job.planned_at is not None and not counts.open:
            raise WrongState(f"The job is {job.status}: there is nothing to retry.")
        return await self._jobs.update(
            tx,
            job,
            status=move(job.status, JobStatus.PENDING, outcome=job.outcome),
            attempt=job.attempt + 1,
            outcome=None,
            fault=None,
            result=None,
            counts=counts,
            concurrency=body.options.concurrency or job.options.concurrency,
        )

    async def _settled(self, job: Job, is_settled: Callable[[Job], bool]) -> Job:
        """The row once the workflow has moved it, or as it stands after a second."""
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


def _refuse_if_ended(job: Job, done: str) -> None:
    if job.status.is_terminal:
        raise WrongState(f"The job is {job.status}: it cannot be {done} any more.")
