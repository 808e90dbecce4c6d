"""Figures with their targets, the table at the end, and the JSON lines."""

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

LEAST_WIDTH = 150


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table.

    Attributes:
        peer: What the value is compared with; empty if it is not compared.
        met: Whether the target is met; None if there is none.
        details: More for the JSON line: single rounds, other percentiles.
    """

    scenario: str
    measure: str
    value: float
    unit: str = ""
    peer: str = ""
    peer_value: float | None = None
    ratio: float | None = None
    target: str = ""
    met: bool | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


def compared(
    scenario: str,
    measure: str,
    values: Sequence[float],
    peer: str,
    peer_values: Sequence[float],
    *,
    unit: str,
    at_least: float | None = None,
    at_most: float | None = None,
    details: Mapping[str, Any] | None = None,
) -> Figure:
    """A figure and its peer's, by round; the ratio is the median of the rounds' ratios.

    On a shared machine a ratio within one round is more reliable than one of medians.
    """
    ratios = [mine / theirs for mine, theirs in zip(values, peer_values, strict=True)]
    ratio = statistics.median(ratios)
    return Figure(
        scenario=scenario,
        measure=measure,
        value=statistics.median(values),
        unit=unit,
        peer=peer,
        peer_value=statistics.median(peer_values),
        ratio=ratio,
        target=_target(at_least, at_most, " ×"),
        met=_is_met(ratio, at_least, at_most),
        details={"rounds": list(values), "peer_rounds": list(peer_values), **(details or {})},
    )


def bounded(
    scenario: str,
    measure: str,
    value: float,
    *,
    unit: str = "",
    at_least: float | None = None,
    at_most: float | None = None,
    details: Mapping[str, Any] | None = None,
) -> Figure:
    """A figure with its own bound, or without a target."""
    return Figure(
        scenario=scenario,
        measure=measure,
        value=value,
        unit=unit,
        target=_target(at_least, at_most, f" {unit}" if unit else ""),
        met=_is_met(value, at_least, at_most),
        details=details or {},
    )


def _target(at_least: float | None, at_most: float | None, suffix: str) -> str:
    if at_least is not None and at_least == at_most:
        return f"= {at_least:g}{suffix}"
    if at_least is not None:
        return f"≥ {at_least:g}{suffix}"
    return "" if at_most is None else f"≤ {at_most:g}{suffix}"


def _is_met(value: float, at_least: float | None, at_most: float | None) -> bool | None:
    if at_least is None and at_most is None:
        return None
    return (at_least is None or value >= at_least) and (at_most is None or value <= at_most)


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile."""
    ranked = sorted(values)
    return ranked[max(math.ceil(len(ranked) * percent / 100) - 1, 0)]


def spread(values: Sequence[float]) -> dict[str, float]:
    """How values are spread, for the JSON line."""
    return {
        "count": len(values),
        "min": min(values),
        "p50": percentile(values, 50),
        "p95": percentile(values, 95),
        "p99": percentile(values, 99),
        "max": max(values),
    }


def print_table(figures: Sequence[Figure]) -> None:
    """Print every figure."""
    console = Console()
    # A log file has no width, and a narrow table is not readable.
    console.width = max(console.width, LEAST_WIDTH)
    table = Table(title="Longhaul benchmarks")
    for heading in ("scenario", "measure"):
        table.add_column(heading)
    for heading in ("figure", "peer", "peer's figure", "ratio", "target"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for one in figures:
        table.add_row(
            one.scenario,
            one.measure,
            _number(one.value, one.unit),
            one.peer,
            _number(one.peer_value, one.unit),
            _number(one.ratio, "×"),
            one.target,
            {True: "[green]met[/]", False: "[red]missed[/]", None: ""}[one.met],
        )
    console.print(table)


def _number(value: float | None, unit: str) -> str:
    if value is None or math.isnan(value):
        return ""
    digits = 0 if abs(value) >= 100 or value == int(value) else 3 if abs(value) < 1 else 2
    return f"{value:,.{digits}f} {unit}".strip()


def write_lines(figures: Sequence[Figure], path: Path, run: Mapping[str, Any]) -> None:
    """Write a JSON line for each figure, with facts about the run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        for one in figures:
            file.write(json.dumps({**run, **asdict(one)}) + "\n")
