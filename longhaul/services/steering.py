"""Sends a request to a job's workflow, and notes it on the row if needed.

A request is sent to the workflow first and noted on the row afterwards, unless the
workflow has changed the row by then. If there is no workflow (not started yet, or lost), the
request stays on the row, where the next plan finds it.
"""

from collections.abc import Callable, Mapping

from longhaul.core.controls import Action, Control
from longhaul.core.jobs import Job, JobStatus, Pause, Requested
from longhaul.core.ports import JobChanges, Stores, Workflows
from longhaul.core.principals import existing
from longhaul.services.job_finisher import JobFinisher


class Steering:
    """Pauses, resumes and cancels jobs, for people and for flows.

    Args:
        check: Tells the reconciler that a workflow seems to be missing.
    """

    def __init__(
        self,
        *,
        stores: Stores,
        workflows: Workflows,
        finisher: JobFinisher,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = stores.database
        self._jobs = stores.jobs
        self._board = stores.board
        self._workflows = workflows
        self._finisher = finisher
        self._check = check

    async def control(self, job: Job, control: Control) -> tuple[Job, bool]:
        """Ask a job to pause or resume.

        Returns:
            The row, and whether the workflow has yet to apply the request.

        Raises:
            NotFound: The job is gone.
            TemporalUnavailable: The request cannot be delivered now.
        """
        if job.status is JobStatus.PENDING:
            row = await self._control_pending(job.id, control)
            if row is not None:
                return row, False
        delivered = await self._workflows.control(job.id, control)
        details = {"mode": control.mode, "reason": control.reason}
        pause = control.as_pause() if control.action is Action.PAUSE else None
        requested = Requested(control.action)
        noted = await self._note(
            job, requested, control.by, details, delivered=delivered, pause=pause
        )
        return noted, True

    async def cancel(self, job: Job, by: str) -> tuple[Job, bool]:
        """Ask a job to stop for good.

        Returns:
            As `control`.

        Raises:
            As `control`.
        """
        if job.status is JobStatus.PENDING:
            row = await self._cancel_pending(job.id, by)
            if row is not None:
                return row, False
        delivered = await self._workflows.cancel(job.id)
        return await self._note(job, Requested.CANCEL, by, {}, delivered=delivered), True

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
        """Note a request on the row, unless the workflow has applied it."""
        async with self._database.begin() as tx:
            job = existing(await self._jobs.lock(tx, seen.id))
            await self._jobs.audit(tx, job, f"{requested}_requested", by, details)
            if job.status.is_terminal or job.generation > seen.generation:
                return job
            if job.requested is Requested.CANCEL and requested is not Requested.CANCEL:
                return job  # no later request undoes a cancel
            changes: JobChanges = {"requested": requested}
            if not delivered and requested is not Requested.CANCEL:
                changes["pause"] = pause
            job = await self._jobs.update(tx, job, **changes)
        await self._board.post(job)
        if not delivered:
            self._check()
        return job

    async def _control_pending(self, job_id: str, control: Control) -> Job | None:
        """Note a request on the row of a job that is not planned yet; None if it is planned."""
        wants_pause = control.action is Action.PAUSE
        async with self._database.begin() as tx:
            job = await self._jobs.lock(tx, job_id)
            if job is None or job.status is not JobStatus.PENDING:
                return None
            if job.requested is Requested.CANCEL:
                return job
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
        """Cancel a job that is not planned yet in its row; None if it is planned."""
        async with self._database.begin() as tx:
            job = await self._jobs.lock(tx, job_id)
            if job is None or job.status is not JobStatus.PENDING:
                return None
            ended = await self._finisher.finish(tx, job, cancelled=True, by=by)
        if ended is not None:
            await self._board.post(ended)
        return ended
