from datetime import timedelta

import pytest

from longhaul.activities.patience import patiently
from longhaul.core.errors import StillUnavailable, Unavailable


class Away:
    """A dependency that never answers."""

    def __init__(self) -> None:
        self.asked = 0

    async def ask(self) -> None:
        self.asked += 1
        raise Unavailable("It did not answer.")


async def test_what_was_waited_for_in_vain_is_not_waited_for_again() -> None:
    away = Away()

    with pytest.raises(StillUnavailable, match="It did not answer"):
        await patiently(lambda: patiently(away.ask, timedelta(0)), timedelta(seconds=1))

    assert away.asked == 1


async def test_an_answer_that_comes_within_the_patience_is_taken() -> None:
    asked = 0

    async def ask() -> str:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise Unavailable("It did not answer.")
        return "here"

    assert await patiently(ask) == "here"
