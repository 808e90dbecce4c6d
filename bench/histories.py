"""Facts about a job from Temporal's histories: when it began, how many events it took."""

from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client


@dataclass(frozen=True, slots=True)
class Chain:
    """A workflow over all its continue-as-new."""

    runs: int
    events: int


async def first_scheduled(
    client: Client, workflow_id: str, activity: str, run_id: str | None
) -> datetime:
    """When the first activity of a name was scheduled in a run."""
    handle = client.get_workflow_handle(workflow_id, run_id=run_id)
    async for event in handle.fetch_history_events():
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            scheduled = event.activity_task_scheduled_event_attributes
            if scheduled.activity_type.name == activity:
                return event.event_time.ToDatetime(tzinfo=UTC)
    raise LookupError(f"workflow {workflow_id} has scheduled no {activity}")


async def chain(client: Client, workflow_id: str, run_id: str) -> Chain:
    """Count the events of a run and of all that followed it."""
    runs, events, following = 0, 0, run_id
    while following:
        runs += 1
        handle = client.get_workflow_handle(workflow_id, run_id=following)
        following = ""
        async for event in handle.fetch_history_events():
            events += 1
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW:
                continued = event.workflow_execution_continued_as_new_event_attributes
                following = continued.new_execution_run_id
    return Chain(runs, events)
