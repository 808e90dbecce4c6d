"""Test cases on a terminal."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table

from longhaul.cli.output import console, print_facts, short_time, styled


def print_cases(cases: Iterable[Mapping[str, Any]]) -> None:
    """One line a test case."""
    table = Table(
        "id", "sample", "attribute", "expected", "evidence", "outcome", "status", box=None
    )
    for one in cases:
        table.add_row(
            str(one["id"]),
            str(one["sample"]),
            one["attribute"],
            _value(one["expected_value"]),
            one["evidence_kind"] or "",
            styled(one["outcome"] or ""),
            styled(one["status"]),
        )
    console.print(table)


def print_case(case: Mapping[str, Any]) -> None:
    """The facts of a test case, its evidence, its executions and their reviews."""
    print_facts(
        {
            "test case": f"{case['id']}" + ("" if case["is_active"] else " (no longer active)"),
            "report": f"{case['report_name']} (cycle {case['cycle_id']}, "
            f"report {case['report_id']})",
            "attribute": f"{case['attribute']} ({case['data_type']})",
            "sample": f"{case['sample']} ({case['sample_id']})",
            "keys": ", ".join(f"{name} {_value(value)}" for name, value in case["keys"].items()),
            "expected": _value(case["expected_value"]),
            "status": styled(case["status"]),
        }
    )
    _print_evidence(case["evidence"])
    if case["history"]:
        _print_executions(case["history"])


def print_given(answer: Mapping[str, Any]) -> None:
    """The result of attaching evidence."""
    if "document" in answer:
        console.print(f"{answer['file_name']}: {answer['size']:,} bytes, {answer['document']}")
    console.print(f"Attached to {answer['attached']} test cases, {answer['unchanged']} unchanged.")


def _print_evidence(evidence: Iterable[Mapping[str, Any]]) -> None:
    table = Table("evidence", "kind", "what", "given", "by", box=None)
    for one in evidence:
        what = {
            "document": f"{one['file_name']} {one['document']}",
            "query": f"{one['data_source']}: {one['sql']}",
            "source": f"{one['data_source']}: {one['table']}.{one['column']}",
        }
        table.add_row(
            str(one["id"]), one["kind"], what[one["kind"]], short_time(one["given_at"]),
            one["given_by"],
        )  # fmt: skip
    console.print(table)


def _print_executions(executions: Iterable[Mapping[str, Any]]) -> None:
    table = Table(
        "no.", "executed", "evidence", "outcome", "found", "confidence", "result", "said", box=None
    )
    for one in executions:
        said = [f"{line['by']}: {line['test_result']} {line['reason']}" for line in one["reviews"]]
        table.add_row(
            str(one["number"]),
            short_time(one["executed_at"]),
            str(one["evidence_id"]),
            styled(one["outcome"]),
            _value(one["extracted_value"]),
            f"{one['confidence']:.2f}",
            styled(one["test_result"]),
            "; ".join(said),
        )
    console.print(table)


def _value(value: object) -> str:
    return "(none)" if value is None else str(value)
