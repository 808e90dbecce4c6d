"""`longhaul demo`, whole: what a newcomer runs first."""

import re
from pathlib import Path

import pytest

from longhaul.local.ports import free_port
from tests.stack import local_stack


@pytest.mark.timeout(180)
async def test_the_demo_does_every_attribute_through_a_pause_and_says_how_to_go_on(
    tmp_path: Path,
) -> None:
    async with local_stack(tmp_path, LONGHAUL_API__PORT=str(free_port(0))) as stack:
        stack.choose_ports()
        demo = await stack.run("longhaul demo")

    paused = re.search(r"Paused at (\d+) items; 2 s later still at (\d+)", demo.output)
    assert demo.code == 0, demo.output
    assert "117 attributes" in demo.output
    assert re.search(r"completed +117/117", demo.output)
    assert "It is slowed to 0.8 s an attribute" in demo.output
    assert paused is not None
    assert 58 <= int(paused[1]) == int(paused[2]) < 117
    assert demo.output.count("proposed by offline") == 3
    assert "make up" in demo.output
    for address in (f"{stack.addresses['api']}/docs", stack.addresses["temporal_ui"]):
        assert address in demo.output
    assert stack.running_here() == []
