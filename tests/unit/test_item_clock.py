import asyncio
from datetime import timedelta

import pytest

from longhaul.activities.item_clock import ItemClock, ItemClocks

LONG, SHORT = timedelta(hours=1), timedelta(milliseconds=10)


async def hang(clock: ItemClock) -> None:
    with clock:
        await asyncio.Event().wait()


async def test_a_block_that_takes_too_long_is_cut_off() -> None:
    clock = ItemClock(ItemClocks(), SHORT)

    with pytest.raises(TimeoutError):
        await hang(clock)
    assert clock.expired


async def test_each_block_ends_at_its_own_time() -> None:
    clocks = ItemClocks()

    async def take(limit: timedelta) -> bool:
        with ItemClock(clocks, limit):
            await asyncio.wait([short])
        return True

    short = asyncio.create_task(hang(ItemClock(clocks, SHORT)))
    assert await take(LONG)
    with pytest.raises(TimeoutError):
        await short


async def test_time_stands_still_while_it_is_stopped() -> None:
    clocks = ItemClocks()

    with ItemClock(clocks, SHORT) as clock:
        with clock.stopped():
            with clock.stopped(), pytest.raises(TimeoutError):
                await hang(ItemClock(clocks, SHORT))
            due_while_stopped = clock.due
        assert due_while_stopped is None
        assert clock.due is not None
    assert not clock.expired


async def test_a_cancel_from_elsewhere_is_no_time_out() -> None:
    clock = ItemClock(ItemClocks(), LONG)

    task = asyncio.create_task(hang(clock))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancel_from_elsewhere_goes_before_a_time_out() -> None:
    clock = ItemClock(ItemClocks(), LONG)

    task = asyncio.create_task(hang(clock))
    await asyncio.sleep(0)
    task.cancel()
    clock.expire()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_of_the_block_is_not_hidden_by_its_time_out() -> None:
    async def swallow() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise KeyError from None

    with pytest.raises(KeyError), ItemClock(ItemClocks(), SHORT):
        await swallow()
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


async def test_what_an_item_leaves_behind_does_not_start_its_clock_again() -> None:
    clock = ItemClock(ItemClocks(), SHORT)
    may_end = asyncio.Event()

    async def left_behind() -> None:
        with clock.stopped():
            await may_end.wait()

    with clock:
        task = asyncio.create_task(left_behind())
        await asyncio.sleep(0)
    may_end.set()
    await task

    clock.expire()
    this = asyncio.current_task()
    assert this is not None
    assert not this.cancelling()
