"""`python -m bench`: runs scenarios, prints one table, and writes the figures as JSON lines."""

import argparse
import asyncio
import os
import platform
import signal
import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path

from bench.figures import Figure, print_table, write_lines
from bench.scale import Scale
from bench.scenarios import SCENARIOS

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Run the scenarios; 0 when every target is met."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("scenario", nargs="*", metavar="scenario", help=", ".join(SCENARIOS))
    parser.add_argument("--quick", action="store_true", help="a tenth of the sizes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the JSON lines go")
    arguments = parser.parse_args()
    names = arguments.scenario or list(SCENARIOS)
    if unknown := set(names) - set(SCENARIOS):
        parser.error(
            f"unknown scenario {', '.join(sorted(unknown))}; known: {', '.join(SCENARIOS)}"
        )
    _forget_shell()
    began = datetime.now(UTC)
    figures = asyncio.run(_run(names, quick=arguments.quick))
    print_table(figures)
    path = arguments.json or RESULTS / f"{began:%Y-%m-%dT%H%M%SZ}.jsonl"
    write_lines(figures, path, _about(began, quick=arguments.quick))
    print(f"JSON lines: {path}")
    missed = [one for one in figures if one.met is False]
    print(f"{len(missed)} targets missed" if missed else "every target met")
    return 1 if missed else 0


async def _run(names: list[str], *, quick: bool) -> list[Figure]:
    this = asyncio.current_task()
    if this is not None:
        # So that the servers are stopped.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    figures: list[Figure] = []
    for name in names:
        figures += await _scenario(name, quick=quick)
    return figures


async def _scenario(name: str, *, quick: bool) -> list[Figure]:
    started = time.monotonic()
    print(f"== {name}", flush=True)
    scale = Scale(quick, lambda line: print(f"   {line}", flush=True))
    try:
        figures = await SCENARIOS[name](scale)
    except Exception:  # noqa: BLE001 - the others are still measured
        traceback.print_exc()
        return [Figure(scenario=name, measure="broke; see above", value=float("nan"), met=False)]
    print(f"   took {time.monotonic() - started:.0f} s", flush=True)
    return figures


def _forget_shell() -> None:
    """Figures must not depend on the shell."""
    for name in list(os.environ):
        if name.startswith(("LONGHAUL_", "TEMPORAL_", "OTEL_")):
            del os.environ[name]


def _about(began: datetime, *, quick: bool) -> dict[str, object]:
    return {
        "time": began.isoformat(),
        "quick": quick,
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    sys.exit(main())
