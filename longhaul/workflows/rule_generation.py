"""The workflow of rule generation."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from longhaul.core.messages import JobResult, JobState
from longhaul.workflows.engine import ItemJob


@workflow.defn(name="RuleGeneration")
class RuleGeneration(ItemJob):
    """Proposes data-quality rules for the attributes of a report."""

    @workflow.run
    async def run(self, state: JobState) -> JobResult:
        """Carry out one attempt."""
        return await self.drive()
