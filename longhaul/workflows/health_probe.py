"""The workflow of the health probe, one of the system's own schedules."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from longhaul.activities.upkeep import ProbeActivities
    from longhaul.core.job_types import Queue
    from longhaul.core.upkeep import HEALTH_PROBE, NO_WORKER, ProbeResult
    from longhaul.workflows import policies


@workflow.defn(name=HEALTH_PROBE)
class HealthProbe:
    """Asks a worker of each queue for its health."""

    @workflow.run
    async def run(self) -> ProbeResult:
        """Ask all at once, and store the answers."""
        answers = await asyncio.gather(*(self._ask(queue) for queue in Queue))
        result = ProbeResult(queues=dict(zip(Queue, answers, strict=True)))
        await workflow.execute_activity_method(ProbeActivities.note, result, **policies.NOTE)
        return result

    async def _ask(self, queue: Queue) -> str:
        try:
            return await workflow.execute_activity_method(
                ProbeActivities.probe, task_queue=queue, **policies.PROBE
            )
        except ActivityError:
            return NO_WORKER
