import asyncio
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

import pytest

from longhaul.activities.slots import Slots
from tests.fakes import settled

PATIENCE = timedelta(minutes=1)


class Item:
    """Runs until it is released."""

    def __init__(self) -> None:
        self.running = asyncio.Event()
        self.may_end = asyncio.Event()

    async def run(self, slot: AbstractAsyncContextManager[None] | Slots) -> None:
        async with slot:
            self.running.set()
            await self.may_end.wait()
        self.running.clear()

    async def end(self, task: "asyncio.Task[None]") -> None:
        self.may_end.set()
        await task


async def test_no_more_run_at_once_than_there_are_slots() -> None:
    slots = Slots(2)
    items = [Item() for _ in range(3)]
    tasks = [asyncio.create_task(item.run(slots)) for item in items]
    await settled()
    assert [item.running.is_set() for item in items] == [True, True, False]

    await items[0].end(tasks[0])
    await items[2].running.wait()
    for item, task in zip(items[1:], tasks[1:], strict=True):
        await item.end(task)


@pytest.mark.invariant("I6")
async def test_one_item_has_the_process_to_itself() -> None:
    slots = Slots(2)
    before, alone, another, after = Item(), Item(), Item(), Item()
    running = asyncio.create_task(before.run(slots))
    await before.running.wait()
    waiting = asyncio.create_task(alone.run(slots.alone(PATIENCE)))
    also = asyncio.create_task(another.run(slots.alone(PATIENCE)))
    late = asyncio.create_task(after.run(slots))
    await settled()
    assert not alone.running.is_set()

    await before.end(running)
    await alone.running.wait()
    await settled()
    assert not another.running.is_set()
    assert not after.running.is_set()

    await alone.end(waiting)
    await after.end(late)
    await another.end(also)


async def test_who_waited_for_a_slot_before_somebody_wants_to_be_alone_lets_that_one_go_first() -> (
    None
):
    slots = Slots(1)
    before, queued, alone = Item(), Item(), Item()
    running = asyncio.create_task(before.run(slots))
    await before.running.wait()
    late = asyncio.create_task(queued.run(slots))
    await settled()
    waiting = asyncio.create_task(alone.run(slots.alone(PATIENCE)))
    await settled()

    await before.end(running)
    await alone.running.wait()
    await settled()
    assert not queued.running.is_set()

    await alone.end(waiting)
    await queued.end(late)


async def test_who_gives_up_waiting_for_the_process_leaves_every_slot_free() -> None:
    slots = Slots(2)
    before, alone = Item(), Item()
    running = asyncio.create_task(before.run(slots))
    await before.running.wait()
    waiting = asyncio.create_task(alone.run(slots.alone(PATIENCE)))
    await settled()
    waiting.cancel()
    await asyncio.wait([waiting])
    await before.end(running)

    both = [Item(), Item()]
    tasks = [asyncio.create_task(item.run(slots)) for item in both]
    await settled()
    assert all(item.running.is_set() for item in both)
    for item, task in zip(both, tasks, strict=True):
        await item.end(task)


async def test_one_that_does_not_end_is_not_waited_for_for_ever() -> None:
    slots = Slots(2)
    hanging, alone, after = Item(), Item(), Item()
    running = asyncio.create_task(hanging.run(slots))
    await hanging.running.wait()
    waiting = asyncio.create_task(alone.run(slots.alone(timedelta(seconds=0.01))))
    await alone.running.wait()
    late = asyncio.create_task(after.run(slots))
    await settled()
    assert not after.running.is_set()

    await alone.end(waiting)
    await after.end(late)
    await hanging.end(running)
