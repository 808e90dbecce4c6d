"""The workflow of sampling."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from longhaul.core.messages import JobResult, JobState
from longhaul.workflows.engine import ItemJob


@workflow.defn(name="Sampling")
class Sampling(ItemJob):
    """Draws the samples of a report."""

    @workflow.run
    async def run(self, state: JobState) -> JobResult:
        """Carry out one attempt."""
        return await self.drive()
