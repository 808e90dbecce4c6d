"""A job type that echoes its items, and misbehaves exactly as its parameters say."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from longhaul.core.errors import ItemFailed, ProviderRejected
from longhaul.core.items import Done, Item, ItemOutcome, ItemResult, NewItem, Skipped
from longhaul.core.job_types import ItemContext, JobType, Resources
from longhaul.core.jobs import Counts, Ending, Job
from longhaul.core.ports import Transaction
from tests.job_types.workflows import EchoWorkflow, RollingEchoWorkflow

CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS echo (
    job_id uuid NOT NULL, ordinal integer NOT NULL, attempt integer NOT NULL,
    PRIMARY KEY (job_id, ordinal)
)
"""


class EchoParameters(BaseModel):
    """How many items, how long each takes, and which ones do what.

    Attributes:
        held_from: Items from this one on wait at the gates, those before it pass.
        gate: A file; while it is missing its gate is shut. For workers of other processes,
            the tests' own process has an event.
    """

    model_config = ConfigDict(extra="forbid")

    items: int = 10
    seconds: float = 0.0
    held_from: int = 0
    gate: str = ""
    failing: list[int] = []
    failing_once: list[int] = []
    skipped: list[int] = []
    breaking: list[int] = []
    leaking: list[int] = []
    unstorable: list[int] = []
    hanging: list[int] = []
    killing: list[int] = []
    rejected: list[int] = []
    summary_breaks: bool = False
    summary_refuses: bool = False
    ending_breaks: bool = False


class Echo(JobType[EchoParameters]):
    """Counts what it does in `started`, for tests in the same process."""

    name = "echo"
    title = "Echo"
    parameters = EchoParameters
    workflow: ClassVar[type] = EchoWorkflow
    item_timeout = timedelta(minutes=10)

    started: list[tuple[str, int]]
    gate: asyncio.Event | None
    planning: asyncio.Event | None
    before_each: Callable[[str], Awaitable[None]] | None

    def __init__(self, resources: Resources | None = None) -> None:
        super().__init__(resources)
        self.started = []
        self.gate = None
        self.planning = None
        self.before_each = None

    async def items(self, tx: Transaction, parameters: EchoParameters) -> AsyncIterator[NewItem]:
        if self.planning is not None:
            await self.planning.wait()
        for number in range(parameters.items):
            yield NewItem(key=f"echo-{number}", label=f"Echo {number}")

    async def do(self, item: Item, context: ItemContext[EchoParameters]) -> ItemResult:
        wanted = context.parameters
        self.started.append((context.job.id, item.ordinal))
        if self.before_each is not None:
            await self.before_each(context.job.id)
        if item.ordinal in wanted.killing:
            os._exit(9)
        if item.ordinal in wanted.hanging:
            await asyncio.sleep(3600)
        if item.ordinal in wanted.rejected:
            raise ProviderRejected("The provider refuses the key.")
        if item.ordinal >= wanted.held_from:
            await self._wait_at_the_gates(wanted)
        if wanted.seconds:
            await asyncio.sleep(wanted.seconds)
        if item.ordinal in wanted.failing:
            raise ItemFailed("no_echo", "This item does not echo.")
        if item.ordinal in wanted.failing_once and context.job.attempt == 1:
            raise ItemFailed("no_echo_yet", "This item echoes the second time.")
        await self._break(item.ordinal, wanted)
        if item.ordinal in wanted.skipped:
            return Skipped("Nothing to echo.")
        return Done({"echo": item.ordinal}, rows=item.ordinal in wanted.unstorable)

    async def _wait_at_the_gates(self, wanted: EchoParameters) -> None:
        if self.gate is not None:
            await self.gate.wait()
        while wanted.gate and not Path(wanted.gate).exists():
            await asyncio.sleep(0.02)

    async def _break(self, ordinal: int, wanted: EchoParameters) -> None:
        if ordinal in wanted.breaking:
            raise KeyError("a secret value")
        if ordinal in wanted.leaking:
            cancelled = asyncio.create_task(asyncio.sleep(0))
            cancelled.cancel()
            await cancelled

    async def save(self, tx: Transaction, job: Job, ended: Sequence[ItemOutcome]) -> None:
        if any(one.result.rows for one in ended if isinstance(one.result, Done)):
            raise ValueError("a row that no table takes")
        await tx.execute(
            "INSERT INTO echo SELECT $1, unnest($2::integer[]), $3",
            job.id,
            [one.item.ordinal for one in ended],
            job.attempt,
        )

    async def ending(self, tx: Transaction, job: Job, counts: Counts) -> Ending:
        if job.parameters.get("ending_breaks"):
            await tx.fetch("SELECT 1 / 0")
        return await super().ending(tx, job, counts)

    async def summarise(self, tx: Transaction, job: Job, counts: Counts) -> Mapping[str, Any]:
        if job.parameters.get("summary_breaks"):
            await tx.fetch("SELECT no_such_column FROM echo")
        if job.parameters.get("summary_refuses"):
            await tx.fetch("SELECT 1 / 0")
        (row,) = await tx.fetch("SELECT count(*) AS n FROM echo WHERE job_id = $1", job.id)
        return {"echoes": row["n"]}


class RollingEcho(Echo):
    """Echoes in a workflow that continues as new all the time."""

    name = "rolling_echo"
    workflow = RollingEchoWorkflow
