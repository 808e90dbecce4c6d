"""`longhaul jobs …`: submit, list, follow and control jobs."""

from typing import Annotated, Any, Literal

import typer

from longhaul.adapters.settings import Settings
from longhaul.cli import job_details, output
from longhaul.cli.asking import (
    AsJson,
    Concurrency,
    Cursor,
    Deadline,
    IdempotencyKey,
    JobId,
    Limit,
    Metadata,
    Parameter,
    Parameters,
    Priority,
    StopLoss,
    ask,
    given,
    read_object,
    read_parameters,
    show,
)
from longhaul.cli.client import ApiClient, open_client
from longhaul.cli.watch import exit_code, watch
from longhaul.core.exit_codes import ExitCode
from longhaul.core.jobs import TERMINAL, JobStatus

app = typer.Typer(no_args_is_help=True, help="Submit, list, watch and control jobs.")

_ACTIVE = [status for status in JobStatus if status not in TERMINAL]


@app.command()
def submit(
    job_type: Annotated[str, typer.Argument(help="job type, alias or older task name")],
    parameter: Parameter = None,
    parameters: Parameters = "{}",
    metadata: Metadata = "{}",
    concurrency: Concurrency = None,
    stop_loss: StopLoss = None,
    deadline: Deadline = None,
    priority: Priority = None,
    description: Annotated[str, typer.Option(help="shown to people")] = "",
    start_at: Annotated[
        str | None, typer.Option(help="start not before this time; RFC 3339")
    ] = None,
    delay: Annotated[float | None, typer.Option(help="start not before this many seconds")] = None,
    idempotency_key: IdempotencyKey = None,
    validate_only: Annotated[bool, typer.Option(help="only check; start nothing")] = False,
    wait: Annotated[bool, typer.Option(help="follow the job to its end")] = False,
    as_json: AsJson = False,
) -> None:
    """Start a job."""
    body = {
        "job_type": job_type,
        "parameters": read_parameters(parameters, parameter or []),
        "metadata": read_object(metadata, "--metadata"),
        "description": description,
        "options": _options(concurrency, stop_loss, deadline),
        **given(priority=priority, start_at=start_at, start_delay_seconds=delay),
    }
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
    params = {"validate_only": True} if validate_only else None
    with open_client(Settings()) as api:
        answer = api.call("POST", "/jobs", params=params, body=body, headers=headers)
        if wait and not validate_only:
            raise typer.Exit(exit_code(_follow(api, answer["job_id"], as_json=as_json)))
    if validate_only:
        output.print_json(answer)
    else:
        _print_job(answer, as_json=as_json)


@app.command("list")
def list_jobs(
    status: Annotated[list[str] | None, typer.Option(help="only these; repeatable")] = None,
    active: Annotated[bool, typer.Option(help="only those that have not ended")] = False,
    job_type: Annotated[list[str] | None, typer.Option(help="only these; repeatable")] = None,
    owner: Annotated[str | None, typer.Option(help="only jobs of this owner")] = None,
    waiting_for: Annotated[
        Literal["approval"] | None, typer.Option(help="only flows that wait for a person")
    ] = None,
    cycle: Annotated[int | None, typer.Option(help="only of this cycle")] = None,
    report: Annotated[int | None, typer.Option(help="only of this report")] = None,
    created_after: Annotated[str | None, typer.Option(help="RFC 3339")] = None,
    created_before: Annotated[str | None, typer.Option(help="RFC 3339")] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first."""
    if active and status:
        raise typer.BadParameter("--active and --status exclude each other")
    params = given(
        status=_ACTIVE if active else status,
        job_type=job_type,
        owner=owner,
        waiting_for=waiting_for,
        cycle_id=cycle,
        report_id=report,
        created_after=created_after,
        created_before=created_before,
        limit=limit,
        cursor=cursor,
    )
    answer = ask("GET", "/jobs", params=params)
    show(answer, lambda page: output.print_jobs(page["jobs"]), as_json=as_json)


@app.command()
def types(
    job_type: Annotated[str | None, typer.Argument(help="show the parameters of this one")] = None,
    as_json: AsJson = False,
) -> None:
    """List the job types, or show the parameters of one."""
    answer = ask("GET", "/jobs/types")
    if job_type is None:
        show(answer, lambda found: output.print_job_types(found["job_types"]), as_json=as_json)
        return
    for one in answer["job_types"]:
        if job_type in (one["job_type"], one["task_name"], *one["aliases"]):
            output.print_json(one if as_json else one["parameters"])
            return
    raise typer.BadParameter(f"There is no job type {job_type!r}.")


@app.command("show")
def show_job(job_id: JobId, as_json: AsJson = False) -> None:
    """Show one job."""
    _print_job(ask("GET", f"/jobs/{job_id}"), as_json=as_json)


@app.command("watch")
def watch_job(job_id: JobId, as_json: AsJson = False) -> None:
    """Follow a job to its end."""
    with open_client(Settings()) as api:
        raise typer.Exit(exit_code(_follow(api, job_id, as_json=as_json)))


@app.command()
def pause(
    job_id: JobId,
    mode: Annotated[str, typer.Option(help="drain or now")] = "drain",
    reason: Annotated[str, typer.Option(help="shown to people")] = "",
    until: Annotated[
        str | None, typer.Option(help="resume automatically at this time; RFC 3339")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Pause a job."""
    body = {"mode": mode, "reason": reason, "until": until}
    _print_job(ask("POST", f"/jobs/{job_id}/pause", body=body), as_json=as_json)


@app.command()
def resume(job_id: JobId, as_json: AsJson = False) -> None:
    """Resume a paused job."""
    _print_job(ask("POST", f"/jobs/{job_id}/resume"), as_json=as_json)


@app.command()
def cancel(job_id: JobId, as_json: AsJson = False) -> None:
    """Stop a job for good."""
    _print_job(ask("POST", f"/jobs/{job_id}/cancel"), as_json=as_json)


@app.command()
def retry(
    job_id: JobId,
    item: Annotated[list[str] | None, typer.Option(help="only these failed items")] = None,
    concurrency: Concurrency = None,
    stop_loss: StopLoss = None,
    deadline: Deadline = None,
    as_json: AsJson = False,
) -> None:
    """Run failed and open items again."""
    body = {"items": item or "failed", "options": _options(concurrency, stop_loss, deadline)}
    _print_job(ask("POST", f"/jobs/{job_id}/retry", body=body), as_json=as_json)


@app.command("set")
def change(
    job_id: JobId,
    concurrency: Concurrency = None,
    priority: Priority = None,
    description: Annotated[str | None, typer.Option(help="shown to people")] = None,
    as_json: AsJson = False,
) -> None:
    """Change a running job's options."""
    body = given(concurrency=concurrency, priority=priority, description=description)
    if not body:
        raise typer.BadParameter("give what to change: --concurrency, --priority, --description")
    _print_job(ask("PATCH", f"/jobs/{job_id}", body=body), as_json=as_json)


@app.command()
def purge(
    job_id: JobId,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a job that has ended; only its audit stays. Without a yes nothing is done: code 2."""
    if not (yes or _confirmed(f"Delete job {job_id} with its items and calls?")):
        typer.echo("Nothing was deleted.", err=True)
        raise typer.Exit(ExitCode.WRONG_USAGE)
    ask("POST", f"/jobs/{job_id}/purge")
    if as_json:
        output.print_json({"job_id": job_id, "purged": True})


job_details.add_commands(app)


def _options(
    concurrency: int | None, stop_loss: float | None, deadline: float | None
) -> dict[str, Any]:
    return given(
        concurrency=concurrency, stop_after_failure_ratio=stop_loss, deadline_seconds=deadline
    )


def _follow(api: ApiClient, job_id: str, *, as_json: bool) -> Any:
    try:
        job = watch(api, job_id, console=output.aside if as_json else output.console)
    except KeyboardInterrupt:
        typer.echo(f"The job goes on: longhaul jobs watch {job_id}", err=True)
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    _print_job(job, as_json=as_json)
    return job


def _confirmed(question: str) -> bool:
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:  # Ctrl-C, or no terminal to answer from
        return False


def _print_job(job: Any, *, as_json: bool) -> None:
    show(job, output.print_job, as_json=as_json)
