"""`longhaul schedules …`: jobs on a schedule."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.table import Table

from longhaul.cli import output
from longhaul.cli.asking import (
    AsJson,
    Concurrency,
    Cursor,
    Limit,
    Metadata,
    Parameter,
    Parameters,
    Priority,
    ask,
    given,
    read_object,
    read_parameters,
    show,
    show_audit,
)

app = typer.Typer(no_args_is_help=True, help="Start jobs on a schedule.")

ScheduleId = Annotated[str, typer.Argument(help="the schedule's id")]


@app.command()
def create(
    job_type: Annotated[str, typer.Argument(help="job type, alias or older task name")],
    cron: Annotated[str | None, typer.Option(help='five fields, as "0 6 * * mon-fri"')] = None,
    every_seconds: Annotated[int | None, typer.Option(min=60, help="instead of cron")] = None,
    time_zone: Annotated[str, typer.Option(help="what the fields of cron mean")] = "UTC",
    parameter: Parameter = None,
    parameters: Parameters = "{}",
    metadata: Metadata = "{}",
    concurrency: Concurrency = None,
    priority: Priority = None,
    description: Annotated[str, typer.Option(help="shown to people")] = "",
    paused: Annotated[bool, typer.Option(help="create it paused")] = False,
    as_json: AsJson = False,
) -> None:
    """Create a schedule."""
    body = {
        "job_type": job_type,
        "parameters": read_parameters(parameters, parameter or []),
        "metadata": read_object(metadata, "--metadata"),
        "description": description,
        "options": given(concurrency=concurrency),
        "time_zone": time_zone,
        "paused": paused,
        **given(cron=cron, every_seconds=every_seconds, priority=priority),
    }
    show(ask("POST", "/schedules", body=body), print_schedule, as_json=as_json)


@app.command("list")
def list_schedules(as_json: AsJson = False) -> None:
    """List schedules."""
    show(ask("GET", "/schedules"), _print_list, as_json=as_json)


@app.command("show")
def show_schedule(schedule_id: ScheduleId, as_json: AsJson = False) -> None:
    """Show a schedule with its latest firings and the next ones."""
    show(ask("GET", f"/schedules/{schedule_id}"), print_schedule, as_json=as_json)


@app.command()
def pause(schedule_id: ScheduleId, as_json: AsJson = False) -> None:
    """Pause a schedule."""
    _post(schedule_id, "pause", as_json=as_json)


@app.command()
def resume(schedule_id: ScheduleId, as_json: AsJson = False) -> None:
    """Resume a schedule."""
    _post(schedule_id, "resume", as_json=as_json)


@app.command()
def trigger(schedule_id: ScheduleId, as_json: AsJson = False) -> None:
    """Fire a schedule now."""
    _post(schedule_id, "trigger", as_json=as_json)


@app.command()
def history(
    schedule_id: ScheduleId, limit: Limit = 100, cursor: Cursor = None, as_json: AsJson = False
) -> None:
    """Show the audit of a schedule, also of a deleted one."""
    show_audit(f"/schedules/{schedule_id}", limit, cursor, as_json=as_json)


@app.command()
def delete(schedule_id: ScheduleId, as_json: AsJson = False) -> None:
    """Delete a schedule; the jobs that it has started stay."""
    ask("DELETE", f"/schedules/{schedule_id}")
    if as_json:
        output.print_json({"schedule_id": schedule_id, "deleted": True})


@app.command()
def system(as_json: AsJson = False) -> None:
    """Show the system's own schedules and their last runs."""
    show(ask("GET", "/schedules/system"), _print_upkeep, as_json=as_json)


def _post(schedule_id: str, what: str, *, as_json: bool) -> None:
    answer = ask("POST", f"/schedules/{schedule_id}/{what}")
    show(answer, print_schedule, as_json=as_json)


def _print_list(answer: Mapping[str, Any]) -> None:
    table = Table("schedule", "type", "when", "last firing", "owner", box=None)
    for one in answer["schedules"]:
        table.add_row(
            one["schedule_id"], one["job_type"], _when(one), _last(one["last_firing"]), one["owner"]
        )
    output.console.print(table)


def _print_upkeep(answer: Mapping[str, Any]) -> None:
    table = Table("schedule", "every", "last run", "well", "details", box=None)
    for one in answer["upkeep"]:
        run = one["last_run"] or {"time": "never", "ok": "", "details": ""}
        table.add_row(
            one["name"], f"{one['every_seconds']} s", run["time"], str(run["ok"]),
            str(run["details"]),
        )  # fmt: skip
    output.console.print(table)


def print_schedule(schedule: Mapping[str, Any]) -> None:
    """The facts of one schedule."""
    rows = {
        "schedule": schedule["schedule_id"],
        "type": schedule["job_type"],
        "when": _when(schedule),
        "next": ", ".join(schedule.get("next_times", [])[:3]),
        "parameters": str(schedule["parameters"]),
        "owner": schedule["owner"],
        "last firing": _last(schedule["last_firing"]),
        "before": "\n".join(map(_last, schedule.get("firings", [])[1:])),
    }
    output.print_facts(rows)


def _when(schedule: Mapping[str, Any]) -> str:
    times = (
        f"{schedule['cron']} ({schedule['time_zone']})"
        if schedule["cron"]
        else f"every {schedule['every_seconds']} s"
    )
    return f"{times}, paused" if schedule["paused"] else times


def _last(firing: Mapping[str, Any] | None) -> str:
    if firing is None:
        return ""
    parts = (firing["scheduled_at"], firing["outcome"], firing["job_id"], firing["detail"])
    return " ".join(part for part in parts if part)
