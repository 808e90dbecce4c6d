"""The workflows of flows: one for each ready flow."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from longhaul.core.messages import JobResult, JobState
from longhaul.workflows.flow_engine import FlowJob


@workflow.defn(name="Flow")
class Flow(FlowJob):
    """Carries out the steps that its parameters describe."""

    @workflow.run
    async def run(self, state: JobState) -> JobResult:
        """Carry out one attempt."""
        return await self.drive()


@workflow.defn(name="Profiling")
class Profiling(FlowJob):
    """Generates rules, waits for people, executes the rules and reports."""

    @workflow.run
    async def run(self, state: JobState) -> JobResult:
        """Carry out one attempt."""
        return await self.drive()


@workflow.defn(name="FullCycle")
class FullCycle(FlowJob):
    """Takes a report from mapping to test execution."""

    @workflow.run
    async def run(self, state: JobState) -> JobResult:
        """Carry out one attempt."""
        return await self.drive()
