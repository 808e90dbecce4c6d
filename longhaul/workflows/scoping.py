"""The workflow of scoping."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from longhaul.core.messages import JobResult, JobState
from longhaul.workflows.engine import ItemJob


@workflow.defn(name="Scoping")
class Scoping(ItemJob):
    """Recommends which attributes of a report to test."""

    @workflow.run
    async def run(self, state: JobState) -> JobResult:
        """Carry out one attempt."""
        return await self.drive()
