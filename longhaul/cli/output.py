"""The command's output: tables for people, JSON for programs."""

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from longhaul.adapters.report.figures import percent


def _console(*, is_error: bool = False) -> Console:
    # Without a terminal, lines are for other programs and must not be folded. The texts come
    # from people and data: nothing in them is markup, and styles are given as `Text`.
    stream = sys.stderr if is_error else sys.stdout
    return Console(
        stderr=is_error,
        width=None if stream.isatty() else 240,
        highlight=False,
        markup=False,
        emoji=False,
    )


console = _console()

# For progress while stdout is only for JSON.
aside = _console(is_error=True)

MOST_RULES = 10

_STYLES = {
    "completed": "green",
    "failed": "red",
    "cancelled": "yellow",
    "paused": "yellow",
    "running": "cyan",
    "done": "green",
    "delivered": "green",
    "approved": "green",
    "rejected": "red",
    "pass": "green",
    "fail": "red",
    "match": "green",
    "mismatch": "red",
}


def print_json(answer: Any) -> None:
    """Print the API's answer as it is."""
    json.dump(answer, sys.stdout, indent=2)
    sys.stdout.write("\n")


def print_jobs(jobs: Iterable[Mapping[str, Any]]) -> None:
    """One line a job."""
    table = Table("job", "type", "status", "progress", "created", "owner", box=None)
    for job in jobs:
        progress = job["progress"]
        table.add_row(
            job["job_id"],
            job["job_type"],
            styled(job["status"]),
            f"{progress['current']}/{progress['total']} ({progress['percentage']:.1f} %)",
            short_time(job["created_at"]),
            job["owner"],
        )
    console.print(table)


def print_children(jobs: Iterable[Mapping[str, Any]]) -> None:
    """One line a step that has a job."""
    table = Table("step", "job", "type", "status", "progress", box=None)
    for job in jobs:
        progress = job["progress"]
        table.add_row(
            job["step"],
            job["job_id"],
            job["job_type"],
            styled(job["status"]),
            f"{progress['current']}/{progress['total']} ({progress['percentage']:.1f} %)",
        )
    console.print(table)


def print_approvals(approvals: Iterable[Mapping[str, Any]]) -> None:
    """One line an approval."""
    table = Table("step", "about", "state", "asked", "until", "by", "reason", box=None)
    for one in approvals:
        table.add_row(
            one["step"],
            " ".join(f"{name}={value}" for name, value in one["about"].items()),
            styled(one["state"]),
            short_time(one["asked_at"]),
            short_time(one["deadline"]),
            one["decided_by"] or "",
            one["reason"],
        )
    console.print(table)


def print_job(job: Mapping[str, Any]) -> None:
    """The facts of one job."""
    progress, calls, tokens = job["progress"], job["calls"], job["tokens"]
    outcome = f" ({job['outcome']})" if job["outcome"] else ""
    rows = {
        "job": job["job_id"],
        "step of": f"{job['parent_id']} ({job['step']})" if job["parent_id"] else None,
        "type": job["job_type"],
        "status": styled(job["status"]) + outcome,
        "progress": f"{progress['percentage']:.1f} % of {progress['total']} items, "
        f"{progress['message']}",
        "in flight": str(progress["in_flight"]),
        "step": job["current_step"],
        "waiting for": job["waiting_for"],
        "requested": job["requested"],
        "paused": _pause(job["pause"]),
        "calls": f"{calls['made']} made, {calls['repeated']} repeated, {calls['retried']} retried; "
        f"{tokens['input']} tokens in, {tokens['output']} out",
        "cost": f"{job['cost_usd']:.4f} USD" if job["cost_usd"] is not None else None,
        "attempt": str(job["attempt"]),
        "created": f"{short_time(job['created_at'])} by {job['owner']}",
        "ended": short_time(job["completed_at"]),
        "error": job["error"],
        "result": json.dumps(job["result"]) if job["result"] is not None else None,
    }
    print_facts(rows)


def print_facts(facts: Mapping[str, Text | str | None]) -> None:
    """One line a fact; empty ones are left out."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column()
    for name, value in facts.items():
        if value:
            table.add_row(name, value)
    console.print(table)


def print_items(items: Iterable[Mapping[str, Any]]) -> None:
    """One line an item."""
    table = Table("#", "item", "state", "tries", "ms", "calls", "error", box=None)
    for item in items:
        error = item["error"]
        table.add_row(
            str(item["ordinal"]),
            item["item_key"],
            styled(item["state"]),
            str(item["attempts"]),
            str(item["duration_ms"] or ""),
            str(item["calls"]),
            f"{error['code']}: {error['message']}" if error else "",
        )
    console.print(table)


def print_item(item: Mapping[str, Any]) -> None:
    """The facts of one item, and a line a model call."""
    error, shown = item["error"], item["output"]
    print_facts(
        {
            "item": f"{item['item_key']} (#{item['ordinal']})",
            "state": styled(item["state"]),
            "tries": str(item["attempts"]),
            "took": f"{item['duration_ms']} ms" if item["duration_ms"] is not None else None,
            "ended": short_time(item["updated_at"]),
            "error": f"{error['code']}: {error['message']}" if error else None,
            "output": json.dumps(shown, indent=2, ensure_ascii=False) if shown else None,
        }
    )
    if not item["call_list"]:
        return
    calls = Table("attempt", "step", "try", "state", "model", "in", "out", "USD", "ms", box=None)
    for call in item["call_list"]:
        failure = f" ({call['failure']})" if call["failure"] else ""
        calls.add_row(
            *(str(call[name]) for name in ("attempt", "step", "try")),
            call["state"] + failure,
            f"{call['provider']} {call['model']}",
            *(str(value if value is not None else "") for value in call["tokens"].values()),
            f"{call['cost_usd']:.4f}" if call["cost_usd"] is not None else "",
            str(call["duration_ms"] or ""),
        )
    console.print(calls)


def print_job_types(job_types: Iterable[Mapping[str, Any]]) -> None:
    """One line a type."""
    table = Table("type", "title", "also known as", "may be started by", box=None)
    for one in job_types:
        names = {one["task_name"], *one["aliases"]} - {one["job_type"]}
        who = ", ".join(one["roles"]) or "everybody"
        table.add_row(one["job_type"], one["title"], ", ".join(sorted(names)), who)
    console.print(table)


def print_audit(lines: Iterable[Mapping[str, Any]]) -> None:
    """The audit, line by line."""
    table = Table("time", "what", "by", "details", box=None)
    for line in lines:
        details = json.dumps(line["details"])
        table.add_row(short_time(line["time"]), line["action"], line["by"], details)
    console.print(table)


def print_history(history: Mapping[str, Any]) -> None:
    """The attempts and the audit."""
    attempts = Table("attempt", "started", "ended", "outcome", "counts", box=None)
    for one in history["attempts"]:
        counts = ", ".join(f"{count} {name}" for name, count in one["counts"].items() if count)
        attempts.add_row(
            str(one["attempt"]),
            short_time(one["started_at"]),
            short_time(one["ended_at"]),
            one["outcome"] or "",
            counts,
        )
    console.print(attempts)
    print_audit(history["audit"])


def print_logs(lines: Iterable[Mapping[str, Any]]) -> None:
    """One line each."""
    for line in lines:
        key = f" {line['item_key']}" if line["item_key"] else ""
        fields = " ".join(f"{name}={value}" for name, value in line["fields"].items())
        console.print(f"{short_time(line['time'])} {line['level']:7} {line['event']}{key} {fields}")


def print_verdicts(name: str, rows: int, rules: Iterable[Mapping[str, Any]]) -> None:
    """One line a rule, and the failing rows below."""
    table = Table("rule", "about", "total", "considered", "failed", "", box=None)
    listed = list(rules)
    for rule in listed:
        error, kwargs = rule["error"], rule["kwargs"]
        about = [kwargs[key] for key in ("column", "column_A", "column_B") if key in kwargs]
        about += kwargs.get("column_list", ())
        verdict = "cannot run" if error else "holds" if rule["success"] else "fails"
        counts = [str(rule[key] if not error else "") for key in ("total", "considered", "failed")]
        table.add_row(
            rule["type"].removeprefix("expect_"),
            ", ".join(map(str, about)),
            *counts,
            Text(verdict, style=_VERDICTS[verdict]),
        )
    console.print(f"{name}: {rows} rows")
    console.print(table)
    for rule in listed:
        what = rule["type"].removeprefix("expect_")
        if rule["error"]:
            console.print(f"{what}: {rule['error']['message']}")
        for row in rule["failing_rows"]:
            console.print(f"{what}: {_cells(row['key'])}: {_cells(row['values'])}")


_VERDICTS = {"holds": "green", "fails": "red", "cannot run": "yellow"}


def _cells(cells: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={json.dumps(cells[name], ensure_ascii=False)}" for name in cells)


def print_report(report: Mapping[str, Any]) -> None:
    """The scores of a quality report, and the rules that failed most."""
    run, scores = report["run"], Table(box=None)
    scores.add_column("")
    for name in ("rules", "violated", "not run", "checked", "failing", "pass rate"):
        scores.add_column(name, justify="right")
    for one in [report["overall"], *report["by_dimension"], *report["by_severity"]]:
        if one["rules"]:
            counts = (one[name] for name in ("rules", "violated", "not_run", "checked", "failed"))
            scores.add_row(one["name"], *(f"{n:,}" for n in counts), percent(one["pass_rate"]))
    console.print(f"{run['report_name']}, {run['cycle_name']}: job {run['job_id']}")
    console.print(scores)
    worst = [rule for rule in report["rules"] if rule["finding"] == "violated"][:MOST_RULES]
    for rule in worst:
        line = f"{rule['failed']:>9,} failing  {rule['severity']:8}  {rule['attribute']}: "
        console.print(line + rule["name"])


def styled(word: str) -> Text:
    """A status in its colour."""
    return Text(word, style=_STYLES.get(word, ""))


def short_time(time: str | None) -> str:
    """A time to the second."""
    return time[:19].replace("T", " ") if time else ""


def _pause(pause: Mapping[str, Any] | None) -> str | None:
    if pause is None:
        return None
    until = f" until {short_time(pause['until'])}" if pause["until"] else ""
    return f"by {pause['by'] or 'unknown'}{until}: {pause['reason'] or 'no reason given'}"
