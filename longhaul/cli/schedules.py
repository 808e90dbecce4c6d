"""`longhaul schedules …`: jobs that start by themselves."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.table import Table

from longhaul.adapters.settings import Settings
from longhaul.cli import output
from longhaul.cli.client import ApiClient, open_client
from longhaul.cli.jobs import AsJson, read_parameters

app = typer.Typer(no_args_is_help=True, help="Start jobs again and again, by time.")

ScheduleId = Annotated[str, typer.Argument(help="the schedule's id")]


def _client() -> ApiClient:
    return open_client(Settings())


@app.command()
def create(
    job_type: Annotated[str, typer.Argument(help="job type, alias or older task name")],
    cron: Annotated[str | None, typer.Option(help='five fields, as "0 6 * * mon-fri"')] = None,
    every_seconds: Annotated[int | None, typer.Option(min=60, help="instead of cron")] = None,
    time_zone: Annotated[str, typer.Option(help="what the fields of cron mean")] = "UTC",
    parameter: Annotated[
        list[str] | None, typer.Option("-p", help="key=value, the value as JSON or as text")
    ] = None,
    parameters: Annotated[str, typer.Option(help="all parameters as one JSON object")] = "{}",
    concurrency: Annotated[int, typer.Option(help="items in flight at once")] = 16,
    priority: Annotated[int, typer.Option(min=0, max=10, help="higher is sooner")] = 5,
    description: Annotated[str, typer.Option(help="for people")] = "",
    paused: Annotated[bool, typer.Option(help="let it not fire by itself yet")] = False,
    as_json: AsJson = False,
) -> None:
    """Start a job again and again."""
    body = {
        "job_type": job_type,
        "parameters": read_parameters(parameters, parameter or []),
        "priority": priority,
        "description": description,
        "options": {"concurrency": concurrency},
        "cron": cron,
        "every_seconds": every_seconds,
        "time_zone": time_zone,
        "paused": paused,
    }
    print_schedule(_client().call("POST", "/schedules", body=body), as_json=as_json)


@app.command("list")
def list_schedules(as_json: AsJson = False) -> None:
    """List schedules."""
    answer = _client().call("GET", "/schedules")
    if as_json:
        output.print_json(answer)
        return
    table = Table("schedule", "type", "when", "last firing", "owner", box=None)
    for one in answer["schedules"]:
        table.add_row(
            one["schedule_id"], one["job_type"], _when(one), _last(one["last_firing"]), one["owner"]
        )
    output.console.print(table)


@app.command()
def show(schedule_id: ScheduleId, as_json: AsJson = False) -> None:
    """Show a schedule with its latest firings and the next ones."""
    print_schedule(_client().call("GET", f"/schedules/{schedule_id}"), as_json=as_json)


@app.command()
def pause(schedule_id: ScheduleId, as_json: AsJson = False) -> None:
    """Let a schedule fire no more by itself."""
    print_schedule(_client().call("POST", f"/schedules/{schedule_id}/pause"), as_json=as_json)


@app.command()
def resume(schedule_id: ScheduleId, as_json: AsJson = False) -> None:
    """Let a paused schedule fire again."""
    print_schedule(_client().call("POST", f"/schedules/{schedule_id}/resume"), as_json=as_json)


@app.command()
def trigger(schedule_id: ScheduleId, as_json: AsJson = False) -> None:
    """Let a schedule fire now."""
    print_schedule(_client().call("POST", f"/schedules/{schedule_id}/trigger"), as_json=as_json)


@app.command()
def delete(schedule_id: ScheduleId) -> None:
    """Forget a schedule; the jobs that it has started stay."""
    _client().call("DELETE", f"/schedules/{schedule_id}")


@app.command()
def system(as_json: AsJson = False) -> None:
    """Show the system's own schedules, and what their last runs came to."""
    answer = _client().call("GET", "/schedules/system")
    if as_json:
        output.print_json(answer)
        return
    table = Table("schedule", "every", "last run", "well", "details", box=None)
    for one in answer["upkeep"]:
        run = one["last_run"] or {"time": "never", "ok": "", "details": ""}
        table.add_row(
            one["name"], f"{one['every_seconds']} s", run["time"], str(run["ok"]),
            str(run["details"]),
        )  # fmt: skip
    output.console.print(table)


def print_schedule(schedule: Mapping[str, Any], *, as_json: bool) -> None:
    """The facts of one schedule."""
    if as_json:
        output.print_json(schedule)
        return
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
