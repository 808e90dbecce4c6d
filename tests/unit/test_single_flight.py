import asyncio

import pytest

from longhaul.core.single_flight import SingleFlight


class Kitchen:
    """Makes one thing on demand, and counts its calls."""

    def __init__(self) -> None:
        self.made = 0
        self.stopped = 0
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()

    async def make(self) -> str:
        self.made += 1
        self.begun.set()
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        return "soup"


async def test_all_who_wait_get_the_same_one() -> None:
    kitchen, flights = Kitchen(), SingleFlight[str, str](1)
    guests = [asyncio.create_task(flights.get("soup", kitchen.make)) for _ in range(5)]
    await kitchen.begun.wait()
    kitchen.may_end.set()

    assert await asyncio.gather(*guests) == ["soup"] * 5
    assert await flights.get("soup", kitchen.make) == "soup"
    assert kitchen.made == 1


async def test_one_who_leaves_does_not_spoil_it_for_the_others() -> None:
    kitchen, flights = Kitchen(), SingleFlight[str, str](1)
    stays, leaves = (asyncio.create_task(flights.get("soup", kitchen.make)) for _ in range(2))
    await kitchen.begun.wait()
    leaves.cancel()
    kitchen.may_end.set()

    assert await stays == "soup"
    assert leaves.cancelled()


async def test_when_everybody_has_left_it_is_stopped_and_made_anew() -> None:
    kitchen, flights = Kitchen(), SingleFlight[str, str](1)
    guest = asyncio.create_task(flights.get("soup", kitchen.make))
    await kitchen.begun.wait()
    guest.cancel()
    await asyncio.wait({guest})
    kitchen.may_end.set()

    assert await flights.get("soup", kitchen.make) == "soup"
    assert (kitchen.made, kitchen.stopped) == (2, 1)


async def test_a_failure_goes_to_all_and_is_not_kept() -> None:
    flights = SingleFlight[str, str](1)

    async def burn() -> str:
        raise ValueError("burnt")

    for outcome in await asyncio.gather(
        *(flights.get("soup", burn) for _ in range(3)), return_exceptions=True
    ):
        assert isinstance(outcome, ValueError)
    kitchen = Kitchen()
    kitchen.may_end.set()
    assert await flights.get("soup", kitchen.make) == "soup"


async def test_only_the_last_few_are_kept() -> None:
    kitchen, flights = Kitchen(), SingleFlight[str, str](1)
    kitchen.may_end.set()
    for name in ("one", "two", "two", "one"):
        await flights.get(name, kitchen.make)

    assert kitchen.made == 3


@pytest.mark.parametrize("most", [0])
async def test_nothing_need_be_kept(most: int) -> None:
    kitchen, flights = Kitchen(), SingleFlight[str, str](most)
    kitchen.may_end.set()
    await flights.get("one", kitchen.make)
    await flights.get("one", kitchen.make)

    assert kitchen.made == 2
