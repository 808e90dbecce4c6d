"""Writes the workflow's decisions about pausing: first the row, then the flag."""

from collections.abc import Sequence

from temporalio import activity

from longhaul.core.controls import SYSTEM, Action, Control, Flag
from longhaul.core.jobs import Job, JobStatus, Requested, path
from longhaul.core.messages import ControlWrite, ControlWritten
from longhaul.core.ports import Flags, Stores, Transaction
from longhaul.core.times import rfc3339


class ControlActivities:
    """Brings a new generation to the job row and to the running chunks."""

    def __init__(self, *, stores: Stores, flags: Flags) -> None:
        self._database = stores.database
        self._jobs = stores.jobs
        self._board = stores.board
        self._flags = flags

    @activity.defn(name="write_control")
    async def write_control(self, write: ControlWrite) -> ControlWritten:
        """Write a generation, its mode and perhaps a status; the same write twice is one.

        A workflow task that Temporal rejects is repeated, with the requests that came since. It
        then writes a generation again, with more requests: the one with most counts, as a newer
        generation if the task had gone on to one.

        A job without open items is not paused: it is about to finish, and says so.
        """
        async with self._database.begin() as tx:
            job = await self._jobs.lock(tx, write.job_id)
            if job is None or job.epoch != write.epoch or job.status.is_terminal:
                return ControlWritten(stale=True)
            if write.status is JobStatus.PAUSED and not job.counts.open:
                return ControlWritten(status=job.status, counts=job.counts)
            job = await self._apply_news(tx, job, write)
        await self._board.post(job)
        flag = Flag(attempt=job.attempt, generation=job.generation, mode=job.mode)
        await self._flags.raise_flag(write.job_id, flag)
        return ControlWritten(
            status=job.status,
            generation=job.generation,
            open=job.counts.open,
            counts=job.counts,
        )

    async def _apply_news(self, tx: Transaction, job: Job, write: ControlWrite) -> Job:
        if job.generation < write.generation:
            return await self._apply(tx, job, write, write.controls, write.generation)
        noted = await self._jobs.controls_noted(tx, job, write.generation)
        cancels = write.cancel and job.requested is not Requested.CANCEL
        if len(write.controls) <= noted and not cancels:
            return job
        # Chunks that have applied a generation would not apply it again with another mode.
        return await self._apply(tx, job, write, write.controls[noted:], job.generation + 1)

    async def _apply(
        self,
        tx: Transaction,
        job: Job,
        write: ControlWrite,
        controls: Sequence[Control],
        generation: int,
    ) -> Job:
        moves = path(job.status, write.status or job.status)
        for control in controls:
            details = _details(control) | {"generation": write.generation}
            await self._jobs.audit(tx, job, control.action, control.by, details)
        if JobStatus.PAUSED in moves:
            await self._jobs.audit(tx, job, "paused", SYSTEM, {})
        return await self._jobs.update(
            tx,
            job,
            status=moves[-1] if moves else job.status,
            generation=generation,
            mode=write.mode,
            pause=write.pause,
            requested=Requested.CANCEL if write.cancel else None,
        )


def _details(control: Control) -> dict[str, object]:
    if control.action is Action.RESUME:
        return {"reason": control.reason}
    until = rfc3339(control.until)
    return {"mode": control.mode, "reason": control.reason, "until": until}
