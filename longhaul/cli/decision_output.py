"""Versions, their entries and decisions on a terminal."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.table import Table

from longhaul.cli.output import console, short_time, styled
from longhaul.core.decisions import Kind

# The columns of an entry besides its attribute and the decisions.
_COLUMNS: Mapping[Kind, Sequence[str]] = {
    Kind.RULES: ("name", "expectation", "kwargs", "severity"),
    Kind.MAPPINGS: ("table_name", "column_name", "mapping_type", "auto_approved"),
    Kind.RECOMMENDATIONS: ("recommendation", "risk_score", "priority"),
    Kind.SAMPLES: ("category", "key_values", "risk", "rationale"),
}


def print_versions(versions: Iterable[Mapping[str, Any]]) -> None:
    """One line a version."""
    table = Table("version", "kind", "no.", "status", "report", "created", "by", box=None)
    for one in versions:
        table.add_row(
            one["version_id"],
            one["kind"],
            str(one["number"]),
            styled(one["status"]),
            f"{one['report_name']} (cycle {one['cycle_id']}, report {one['report_id']})",
            short_time(one["created_at"]),
            one["created_by"],
        )
    console.print(table)


def print_counts(counts: Mapping[str, int]) -> None:
    """How the entries of a version stand."""
    console.print(
        f"{counts['total']} in all: {counts['approved']} approved, {counts['rejected']} rejected, "
        f"{counts['waiting_for_tester']} wait for the tester, "
        f"{counts['waiting_for_report_owner']} for the report owner"
    )


def print_decided(answer: Mapping[str, Any]) -> None:
    """The result of a request to decide."""
    console.print(f"{answer['decided']} decided, {answer['unchanged']} unchanged.")
    print_counts(answer["counts"])


def print_entries(kind: Kind, entries: Iterable[Mapping[str, Any]]) -> None:
    """One line an entry."""
    columns = _COLUMNS[kind]
    table = Table(
        "id", "attribute", *columns, "confidence", "status", "tester", "report owner", box=None
    )
    for one in entries:
        confidence = one.get("confidence")
        table.add_row(
            one["id"],
            _text(one["attribute"]),
            *(_text(one.get(column)) for column in columns),
            "" if confidence is None else f"{confidence:.2f}",
            styled(one["status"]),
            one["tester_decision"] or "",
            one["report_owner_decision"] or "",
        )
    console.print(table)


def print_unmapped(attributes: Iterable[Mapping[str, Any]]) -> None:
    """One line an attribute."""
    table = Table("attribute", "line", "name", "type", "format", "", box=None)
    for one in attributes:
        why = "its mapping was rejected" if one["is_rejected"] else ""
        table.add_row(
            str(one["attribute_id"]),
            str(one["line_no"]),
            one["name"],
            one["data_type"],
            one["format"],
            why,
        )
    console.print(table)


def print_decision_audit(lines: Iterable[Mapping[str, Any]]) -> None:
    """Who did what."""
    table = Table("time", "what", "entry", "by", "as", "reason", box=None)
    for line in lines:
        table.add_row(
            short_time(line["time"]),
            line["action"],
            line["entry_id"] or "the version",
            line["by"],
            line["reviewer"] or "",
            _text(line["reason"]),
        )
    console.print(table)


def _text(value: object) -> str:
    return "" if value is None else str(value)
