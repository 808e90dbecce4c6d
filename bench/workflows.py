"""The workflows of the benches' job types."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from longhaul.core.messages import JobResult, JobState
from longhaul.workflows.engine import ItemJob


@workflow.defn(name="BenchTrivial")
class BenchTrivial(ItemJob):
    @workflow.run
    async def run(self, state: JobState) -> JobResult:
        return await self.drive()


@workflow.defn(name="BenchSleeping")
class BenchSleeping(ItemJob):
    @workflow.run
    async def run(self, state: JobState) -> JobResult:
        return await self.drive()


@workflow.defn(name="BenchStored")
class BenchStored(ItemJob):
    @workflow.run
    async def run(self, state: JobState) -> JobResult:
        return await self.drive()
