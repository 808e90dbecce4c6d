"""The workflow of retention, one of the system's own schedules."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from longhaul.activities.upkeep import RetentionActivities
    from longhaul.core.upkeep import RETENTION, Purged
    from longhaul.workflows import policies


@workflow.defn(name=RETENTION)
class Retention:
    """Deletes what is old enough."""

    @workflow.run
    async def run(self) -> Purged:
        """Delete it, for as long as it takes."""
        return await workflow.execute_activity_method(
            RetentionActivities.purge_expired, **policies.LEDGER
        )
