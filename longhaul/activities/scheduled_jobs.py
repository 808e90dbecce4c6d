"""Creates the job of a schedule's firing: a row like that of a person's request."""

import uuid
from typing import Any

from pydantic import ValidationError
from temporalio import activity

from longhaul.activities.heartbeat import beating
from longhaul.core.catalog import AnyJobType, Catalog
from longhaul.core.errors import InvalidInput, Rejected
from longhaul.core.jobs import Job, JobOptions
from longhaul.core.new_jobs import new_job
from longhaul.core.ports import Stores, Transaction
from longhaul.core.principals import check_may_start
from longhaul.core.schedules import Firing, FiringOutcome, FiringRequest, Firings, Schedule
from longhaul.core.times import rfc3339

_STILL_RUNNING = "The job of an earlier firing has not ended."
_BUSY = "Such a job is already running for this report."
_NO_LONGER_FIT = "The parameters do not fit the job type any more; make a new schedule."


class ScheduledJobActivities:
    """Creates the jobs of schedules. The dispatcher starts them, as every job."""

    def __init__(self, *, stores: Stores, firings: Firings, catalog: Catalog) -> None:
        self._stores = stores
        self._firings = firings
        self._catalog = catalog

    @activity.defn(name="fire_schedule")
    async def fire(self, request: FiringRequest) -> Firing:
        """Create the job of a firing; called again, return the earlier result."""
        job: Job | None = None
        async with beating(), self._stores.database.begin() as tx:
            schedule = await self._firings.lock(tx, request.schedule_id)
            if schedule is None:
                return Firing(scheduled_at=request.scheduled_at, outcome=FiringOutcome.GONE)
            known = await self._firings.fired(tx, schedule.id, request.scheduled_at)
            if known is not None:
                return known
            firing, job = await self._start(tx, schedule, request)
            await self._firings.note(tx, schedule.id, firing)
        if job is not None:
            await self._stores.board.post(job)
        return firing

    async def _start(
        self, tx: Transaction, schedule: Schedule, request: FiringRequest
    ) -> tuple[Firing, Job | None]:
        def ended(outcome: FiringOutcome, detail: str, job_id: str | None = None) -> Firing:
            return Firing(
                scheduled_at=request.scheduled_at, outcome=outcome, job_id=job_id, detail=detail
            )

        running = await self._firings.live_job(tx, schedule.id)
        if running is not None:
            return ended(FiringOutcome.SKIPPED, _STILL_RUNNING, running), None
        try:
            async with tx.nested():
                job = await self._create(tx, schedule, request)
        except Rejected as exc:
            return ended(FiringOutcome.REFUSED, exc.sentence), None
        except _Busy:
            return ended(FiringOutcome.SKIPPED, _BUSY), None
        return ended(FiringOutcome.STARTED, "", job.id), job

    async def _create(self, tx: Transaction, schedule: Schedule, request: FiringRequest) -> Job:
        job_type = self._catalog.get(schedule.job_type)
        check_may_start(schedule.owner, job_type.roles, job_type.title)
        wanted = schedule.request
        parameters = _read(job_type, wanted["parameters"])
        prepared = await job_type.prepare(tx, parameters, schedule.owner)
        new = new_job(
            str(uuid.uuid4()),
            job_type,
            prepared,
            schedule.owner,
            options=JobOptions(**wanted["options"]),
            priority=wanted["priority"],
            description=wanted["description"],
            metadata={
                **wanted["metadata"],
                "schedule_id": schedule.id,
                "scheduled_at": rfc3339(request.scheduled_at),
            },
        )
        job = await self._stores.jobs.insert(tx, new)
        if job is None:
            raise _Busy
        return job


class _Busy(Exception):
    """The singleton key is taken; the changes of `prepare` are rolled back."""


def _read(job_type: AnyJobType, parameters: Any) -> Any:
    try:
        return job_type.parameters.model_validate(parameters)
    except ValidationError:
        raise InvalidInput(_NO_LONGER_FIT) from None
