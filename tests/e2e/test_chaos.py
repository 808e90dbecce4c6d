"""`make chaos` in small: everything killed once or twice under one job over the model stub."""

from pathlib import Path

import pytest

from bench.chaos import POINTS, QUICK, run


@pytest.mark.invariant("I3")
@pytest.mark.invariant("I8")
async def test_a_job_finishes_through_the_kill_of_everything_and_its_numbers_agree(
    tmp_path: Path,
) -> None:
    said: list[str] = []

    found = await run(tmp_path, QUICK, said.append)

    assert found.complaints == [], "\n".join([*said, *found.errors])
    # The points, the end, after the insert and before the last items come on top.
    assert found.worker_kills == QUICK.worker_kills + len(POINTS) + 3
    assert found.in_flight_at_kills > 0
    assert found.ledger == {"done": QUICK.items}
