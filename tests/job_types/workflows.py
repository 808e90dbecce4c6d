from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from longhaul.core.messages import JobResult, JobState
from longhaul.workflows.engine import ItemJob
from longhaul.workflows.flow_engine import FlowJob


@workflow.defn(name="Echo")
class EchoWorkflow(ItemJob):
    @workflow.run
    async def run(self, state: JobState) -> JobResult:
        return await self.drive()


@workflow.defn(name="RollingEcho")
class RollingEchoWorkflow(ItemJob):
    """Continues as new after few events, so that a test need not wait for many."""

    roll_after_events = 60

    @workflow.run
    async def run(self, state: JobState) -> JobResult:
        return await self.drive()


@workflow.defn(name="Hungry")
class HungryWorkflow(ItemJob):
    @workflow.run
    async def run(self, state: JobState) -> JobResult:
        return await self.drive()


@workflow.defn(name="RollingFlow")
class RollingFlowWorkflow(FlowJob):
    roll_after_events = 60

    @workflow.run
    async def run(self, state: JobState) -> JobResult:
        return await self.drive()
