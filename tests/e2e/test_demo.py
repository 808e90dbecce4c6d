"""`longhaul demo`, whole: what a newcomer runs first."""

import re
from pathlib import Path

from tests.ports import new_port
from tests.stack import local_stack

STEPS = (
    r"PDE mapping +117/117 .*112 attributes mapped, 5 need a person",
    r"Rule generation +117/117 .* rules proposed",
    r"Approve the rules .*by demo-tester, then by demo-owner",
    r"Rule execution +(\d+)/\1 .* failing values",
    r"Scoping +117/117 .* to test, \d+ to skip",
    r"Approve the recommendations +117 recommendations",
    r"Sampling +25/25 .*25 samples drawn",
    r"Approve the samples +25 samples",
    r"Test execution +([\d,]+)/\1 .* values extracted and compared",
)


async def test_the_demo_takes_the_sample_report_through_its_full_cycle(tmp_path: Path) -> None:
    async with local_stack(tmp_path, LONGHAUL_API__PORT=str(new_port())) as stack:
        stack.choose_ports()
        demo = await stack.run("longhaul demo")

    assert demo.code == 0, demo.output
    assert "117 attributes, 5,000 rows with 50 planted anomalies" in demo.output
    assert "It is slowed to 0.3 s an item" in demo.output
    for step in STEPS:
        assert re.search(step, demo.output), step
    paused = re.search(r"Paused at (\d+) items; 2 s later still at (\d+)", demo.output)
    assert paused is not None
    assert 58 <= int(paused[1]) == int(paused[2]) < 117
    found = re.search(r"recall ([\d.]+), precision ([\d.]+)", demo.output)
    assert found is not None
    assert float(found[1]) >= 0.95
    assert float(found[2]) >= 0.9
    compared = re.search(
        r"in statements +1,300 of 1,300 test cases: ([\d,]+) match, \d+ mismatch", demo.output
    )
    assert compared is not None
    assert int(compared[1].replace(",", "")) > 1_000
    told = re.search(
        r"(\d+) of the \d+ sampled loans with a planted fault differ .* (\d+) of the others",
        demo.output,
    )
    assert told is not None
    assert int(told[1]) > 0
    assert int(told[2]) == 0
    page = re.search(r"The quality report: (\S+)", demo.output)
    assert page is not None
    assert "Data quality of FR Y-14M A.1" in Path(page[1]).read_text()
    assert "make up" in demo.output
    for address in (f"{stack.addresses['api']}/docs", stack.addresses["temporal_ui"]):
        assert address in demo.output
    assert stack.running_here() == []
