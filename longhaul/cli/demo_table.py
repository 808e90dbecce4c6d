"""The results of the demo's full cycle, compared with the facts about the sample report."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from longhaul.adapters.report.figures import percent
from longhaul.adapters.sample.anomaly import Anomaly
from longhaul.adapters.sample.scoring import AnomalyScore, score_anomalies
from longhaul.cli.demo_evidence import Case, loan_of
from longhaul.cli.output import console
from longhaul.core.cases import ExecutionOutcome
from longhaul.core.quality_report import QualityReport

Result = Mapping[str, Any]


def show_cycle(
    flow: Mapping[str, Any],
    report: QualityReport,
    anomalies: Sequence[Anomaly],
    *,
    right_mappings: int,
    compared: Result,
    cases: Sequence[Case],
) -> None:
    """Print a line for each result of the cycle.

    Args:
        compared: The result of comparing the sampled values with statements.
        cases: The test cases after that.
    """
    results = {name: step["result"] for name, step in flow["result"]["steps"].items()}
    score = score_anomalies(report.rules, anomalies)
    table = Table(title="The full cycle in figures", box=None, title_justify="left")
    table.add_column(style="bold")
    table.add_column()
    for name, what in (
        ("attributes mapped", _mapped(results["map"], right_mappings)),
        ("rules", _rules(results["generate"], report)),
        ("quality", _quality(report)),
        ("planted anomalies", _found(score)),
        ("by kind", _kinds(score)),
        ("scoped", _scoped(results["scope"])),
        ("samples", _samples(results["sample"])),
        ("in the source", _extractions(results["test"])),
        ("in statements", _extractions(compared)),
        ("rows", _told(anomalies, cases)),
    ):
        table.add_row(name, what)
    console.print()
    console.print(table)


def _mapped(result: Result, right: int) -> str:
    mapped = result["total_mapped"] + result["already_mapped"]
    total = result["total_attributes"]
    manual = result["needs_manual_mapping"]
    return f"{mapped} of {total}, {manual} need a person; {right} to the column that feeds them"


def _rules(result: Result, report: QualityReport) -> str:
    overall = report.overall
    return (
        f"{result['rules_generated']} proposed, {overall.rules} approved and executed: "
        f"{overall.held} held, {overall.violated} violated, {overall.not_run} could not run"
    )


def _quality(report: QualityReport) -> str:
    overall = report.overall
    return f"{percent(overall.pass_rate)} of {overall.checked:,} checked values pass"


def _found(score: AnomalyScore) -> str:
    planted = sum(one.planted for one in score.kinds)
    return (
        f"{score.found} of {score.visible} found that a rule can see, of {planted} planted: "
        f"recall {_share(score.recall)}, precision {_share(score.precision)}"
    )


def _kinds(score: AnomalyScore) -> str:
    return ", ".join(f"{one.kind} {one.found}/{one.visible}" for one in score.kinds if one.visible)


def _scoped(result: Result) -> str:
    return f"{result['test_recommendations']} to test, {result['skip_recommendations']} to skip"


def _samples(result: Result) -> str:
    drawn = ", ".join(f"{count} {name}" for name, count in result["by_category"].items())
    missing = ", ".join(f"{count} {name}" for name, count in result["shortfall"].items())
    return f"{drawn}; missing: {missing or 'none'}"


def _extractions(result: Result) -> str:
    outcomes = ", ".join(
        f"{count:,} {name.replace('_', ' ')}" for name, count in result["by_outcome"].items()
    )
    return f"{result['executed']:,} of {result['test_cases']:,} test cases: {outcomes}"


def _told(anomalies: Sequence[Anomaly], cases: Sequence[Case]) -> str:
    spoiled = {one.row_key for one in anomalies}
    sampled = {loan_of(case) for case in cases}
    differing = {loan_of(case) for case in cases if case["outcome"] == ExecutionOutcome.MISMATCH}
    return (
        f"{len(differing & spoiled)} of the {len(sampled & spoiled)} sampled loans with a planted "
        f"fault differ from their statement, and {len(differing - spoiled)} of the others"
    )


def _share(share: float | None) -> str:
    return "none" if share is None else f"{share:.2f}"
