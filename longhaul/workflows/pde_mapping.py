"""The workflow of PDE mapping."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from longhaul.core.messages import JobResult, JobState
from longhaul.workflows.engine import ItemJob


@workflow.defn(name="PdeMapping")
class PdeMapping(ItemJob):
    """Finds the physical columns that feed the attributes of a report."""

    @workflow.run
    async def run(self, state: JobState) -> JobResult:
        """Carry out one attempt."""
        return await self.drive()
