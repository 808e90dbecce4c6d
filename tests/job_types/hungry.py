"""A job type whose items leave memory in use in their process."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

from pydantic import BaseModel, ConfigDict

from longhaul.core.items import Done, Item, ItemResult, NewItem
from longhaul.core.job_types import ItemContext, JobType
from longhaul.core.ports import Transaction
from tests.job_types.workflows import HungryWorkflow

MEGABYTE = 1024 * 1024

_kept: list[bytes] = []


class HungryParameters(BaseModel):
    """How many items, how much each keeps, and how long each takes."""

    model_config = ConfigDict(extra="forbid")

    items: int = 10
    megabytes: int = 0
    seconds: float = 0.0


class Hungry(JobType[HungryParameters]):
    """Keeps memory."""

    name = "hungry"
    title = "Hungry"
    parameters = HungryParameters
    workflow = HungryWorkflow
    item_timeout = timedelta(seconds=30)

    async def items(self, tx: Transaction, parameters: HungryParameters) -> AsyncIterator[NewItem]:
        for number in range(parameters.items):
            yield NewItem(key=f"item-{number}")

    async def do(self, item: Item, context: ItemContext[HungryParameters]) -> ItemResult:
        # Bytes that are not zero: pages of zeros need no memory.
        _kept.append(b"x" * (context.parameters.megabytes * MEGABYTE))
        await asyncio.sleep(context.parameters.seconds)
        return Done({})
