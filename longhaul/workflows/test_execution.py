"""The workflow of test execution."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from longhaul.core.messages import JobResult, JobState
from longhaul.workflows.engine import ItemJob


@workflow.defn(name="TestExecution")
class CaseExecution(ItemJob):
    """Executes the test cases of a report."""

    @workflow.run
    async def run(self, state: JobState) -> JobResult:
        """Carry out one attempt."""
        return await self.drive()
