"""The benches' job types, loaded like a user's: `--types bench.job_types`.

Their items have no payload, so that only the engine is measured.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from bench import trace
from bench.workflows import BenchSleeping, BenchStored, BenchTrivial
from longhaul.core.items import Done, Item, ItemOutcome, ItemResult, NewItem
from longhaul.core.job_types import ItemContext, JobType
from longhaul.core.jobs import Job
from longhaul.core.ports import Transaction

CREATE_STORED = """
CREATE TABLE IF NOT EXISTS bench_stored (
    job_id uuid NOT NULL, ordinal integer NOT NULL, PRIMARY KEY (job_id, ordinal)
)
"""

_STORE = "INSERT INTO bench_stored SELECT $1, unnest($2::integer[])"


class TrivialParameters(BaseModel):
    """How many items."""

    model_config = ConfigDict(extra="forbid")

    items: int


class SleepingParameters(BaseModel):
    """How many items, how long each takes, and the file that notes their starts and ends."""

    model_config = ConfigDict(extra="forbid")

    items: int
    seconds: float
    trace: str | None = None


async def _listed(count: int) -> AsyncIterator[NewItem]:
    for number in range(count):
        yield NewItem(key=f"item-{number}")


class Trivial(JobType[TrivialParameters]):
    """Items that do nothing: only the engine takes time."""

    name = "bench_trivial"
    title = "Trivial items"
    parameters = TrivialParameters
    workflow = BenchTrivial

    def items(self, tx: Transaction, parameters: TrivialParameters) -> AsyncIterator[NewItem]:
        return _listed(parameters.items)

    async def do(self, item: Item, context: ItemContext[TrivialParameters]) -> ItemResult:
        return Done()


class Sleeping(JobType[SleepingParameters]):
    """Items that wait, as for a model."""

    name = "bench_sleeping"
    title = "Sleeping items"
    parameters = SleepingParameters
    workflow: ClassVar[type] = BenchSleeping

    def items(self, tx: Transaction, parameters: SleepingParameters) -> AsyncIterator[NewItem]:
        return _listed(parameters.items)

    async def do(self, item: Item, context: ItemContext[SleepingParameters]) -> ItemResult:
        wanted = context.parameters
        if wanted.trace is None:
            await asyncio.sleep(wanted.seconds)
            return Done()
        with trace.noted(wanted.trace, item.ordinal):
            await asyncio.sleep(wanted.seconds)
        return Done()


class Stored(Sleeping):
    """Sleeping items that each store a row."""

    name = "bench_stored"
    title = "Stored items"
    workflow = BenchStored

    async def save(self, tx: Transaction, job: Job, ended: Sequence[ItemOutcome]) -> None:
        await tx.execute(_STORE, job.id, [one.item.ordinal for one in ended])
