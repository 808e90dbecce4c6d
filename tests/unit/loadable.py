"""Job types as in a user's module, good ones and bad ones."""

from collections.abc import AsyncIterator

from pydantic import BaseModel

from longhaul.core.items import Done, Item, ItemResult, NewItem
from longhaul.core.job_types import ItemContext, JobType, Resources
from longhaul.core.ports import Transaction


class Nothing(BaseModel):
    """No parameters."""


class Abstract(JobType[Nothing]):
    parameters = Nothing

    async def do(self, item: Item, context: ItemContext[Nothing]) -> ItemResult:
        return Done()


class First(Abstract):
    name = "first"
    title = "First"
    workflow = object

    async def items(self, tx: Transaction, parameters: Nothing) -> AsyncIterator[NewItem]:
        yield NewItem(key="1")


class Second(First):
    name = "second"
    title = "Second"

    def __init__(self, resources: Resources) -> None:
        self.provider = resources.provider


def second(resources: Resources) -> Second:
    return Second(resources)


def broken(resources: Resources) -> Second:
    raise KeyError("no such table")


def not_a_type(resources: Resources) -> str:
    return "first"


def without_workflow(resources: Resources) -> Abstract:
    class Unfinished(Abstract):
        name = "unfinished"
        title = "Unfinished"

        async def items(self, tx: Transaction, parameters: Nothing) -> AsyncIterator[NewItem]:
            yield NewItem(key="1")

    return Unfinished()


number = 7
