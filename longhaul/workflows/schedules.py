"""The workflow that a schedule starts: it creates a job and ends."""

from temporalio import workflow
from temporalio.common import SearchAttributeKey

with workflow.unsafe.imports_passed_through():
    from longhaul.activities.scheduled_jobs import ScheduledJobActivities
    from longhaul.core.schedules import START_SCHEDULED_JOB, Firing, FiringRequest, ScheduledStart
    from longhaul.workflows import policies

# Set by Temporal on workflows that a schedule starts.
_SCHEDULED_AT = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")


@workflow.defn(name=START_SCHEDULED_JOB)
class StartScheduledJob:
    """Creates the job of one firing; the job has its own workflow."""

    @workflow.run
    async def run(self, start: ScheduledStart) -> Firing:
        """Create the job, for as long as it takes."""
        info = workflow.info()
        scheduled_at = info.typed_search_attributes.get(_SCHEDULED_AT) or info.start_time
        return await workflow.execute_activity_method(
            ScheduledJobActivities.fire,
            FiringRequest(schedule_id=start.schedule_id, scheduled_at=scheduled_at),
            **policies.LEDGER,
        )
