"""`longhaul jobs …`: what the API can do, from a terminal."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from longhaul.adapters.settings import Settings
from longhaul.cli import output
from longhaul.cli.client import ApiClient, ExitCode, open_client
from longhaul.cli.watch import exit_code, watch

app = typer.Typer(no_args_is_help=True, help="Submit, list, watch and steer jobs.")

JobId = Annotated[str, typer.Argument(help="the job's id")]
AsJson = Annotated[bool, typer.Option("--json", help="print what the API answers")]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="at most so many")]


def _client() -> ApiClient:
    return open_client(Settings())


@app.command()
def submit(
    job_type: Annotated[str, typer.Argument(help="job type, alias or older task name")],
    parameter: Annotated[
        list[str] | None, typer.Option("-p", help="key=value, the value as JSON or as text")
    ] = None,
    parameters: Annotated[str, typer.Option(help="all parameters as one JSON object")] = "{}",
    concurrency: Annotated[int, typer.Option(help="items in flight at once")] = 16,
    priority: Annotated[int, typer.Option(min=0, max=10, help="higher is sooner")] = 5,
    description: Annotated[str, typer.Option(help="for people")] = "",
    idempotency_key: Annotated[str | None, typer.Option(help="the same key, the same job")] = None,
    validate_only: Annotated[bool, typer.Option(help="start nothing")] = False,
    wait: Annotated[bool, typer.Option(help="follow the job to its end")] = False,
    as_json: AsJson = False,
) -> None:
    """Start a job."""
    client = _client()
    body = {
        "job_type": job_type,
        "parameters": read_parameters(parameters, parameter or []),
        "priority": priority,
        "description": description,
        "options": {"concurrency": concurrency},
    }
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
    answer = client.call(
        "POST",
        "/jobs",
        params={"validate_only": True} if validate_only else None,
        body=body,
        headers=headers,
    )
    if validate_only:
        output.print_json(answer)
        return
    if wait:
        answer = _follow(client, answer["job_id"], as_json=as_json)
        raise typer.Exit(exit_code(answer))
    _print_job(answer, as_json=as_json)


@app.command("list")
def list_jobs(
    status: Annotated[list[str] | None, typer.Option(help="only these; repeatable")] = None,
    job_type: Annotated[list[str] | None, typer.Option(help="only these; repeatable")] = None,
    owner: Annotated[str | None, typer.Option(help="only theirs")] = None,
    waiting_for: Annotated[
        Literal["approval"] | None, typer.Option(help="only flows that wait for a person")
    ] = None,
    limit: Limit = 20,
    cursor: Annotated[str | None, typer.Option(help="go on after a page")] = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first."""
    wanted = {
        "status": status,
        "job_type": job_type,
        "owner": owner,
        "waiting_for": waiting_for,
        "limit": limit,
        "cursor": cursor,
    }
    params = {name: value for name, value in wanted.items() if value}
    answer = _client().call("GET", "/jobs", params=params)
    if as_json:
        output.print_json(answer)
        return
    output.print_jobs(answer["jobs"])
    if answer["next_cursor"]:
        typer.echo(f"more: --cursor {answer['next_cursor']}")


@app.command()
def show(job_id: JobId, as_json: AsJson = False) -> None:
    """Show one job."""
    _print_job(_client().call("GET", f"/jobs/{job_id}"), as_json=as_json)


@app.command("watch")
def watch_job(job_id: JobId, as_json: AsJson = False) -> None:
    """Follow a job to its end."""
    raise typer.Exit(exit_code(_follow(_client(), job_id, as_json=as_json)))


@app.command()
def pause(
    job_id: JobId,
    mode: Annotated[str, typer.Option(help="drain or now")] = "drain",
    reason: Annotated[str, typer.Option(help="for people")] = "",
    until: Annotated[str | None, typer.Option(help="resume by itself then; RFC 3339")] = None,
    as_json: AsJson = False,
) -> None:
    """Pause a job."""
    body = {"mode": mode, "reason": reason, "until": until}
    answer = _client().call("POST", f"/jobs/{job_id}/pause", body=body)
    _print_job(answer, as_json=as_json)


@app.command()
def resume(job_id: JobId, as_json: AsJson = False) -> None:
    """Let a paused job go on."""
    _print_job(_client().call("POST", f"/jobs/{job_id}/resume"), as_json=as_json)


@app.command()
def cancel(job_id: JobId, as_json: AsJson = False) -> None:
    """Stop a job for good."""
    _print_job(_client().call("POST", f"/jobs/{job_id}/cancel"), as_json=as_json)


@app.command()
def retry(
    job_id: JobId,
    item: Annotated[list[str] | None, typer.Option(help="only these failed items")] = None,
    as_json: AsJson = False,
) -> None:
    """Run what failed or is still open again."""
    body = {"items": item or "failed"}
    _print_job(_client().call("POST", f"/jobs/{job_id}/retry", body=body), as_json=as_json)


@app.command()
def children(
    job_id: JobId,
    limit: Limit = 100,
    cursor: Annotated[str | None, typer.Option(help="go on after a page")] = None,
    as_json: AsJson = False,
) -> None:
    """List the jobs of a flow's steps."""
    params = {"limit": limit, **({"cursor": cursor} if cursor else {})}
    answer = _client().call("GET", f"/jobs/{job_id}/children", params=params)
    if as_json:
        output.print_json(answer)
        return
    output.print_children(answer["jobs"])
    if answer["next_cursor"]:
        typer.echo(f"more: --cursor {answer['next_cursor']}")


@app.command()
def approvals(job_id: JobId, as_json: AsJson = False) -> None:
    """List what a flow has asked people."""
    answer = _client().call("GET", f"/jobs/{job_id}/approvals")
    if as_json:
        output.print_json(answer)
    else:
        output.print_approvals(answer["approvals"])


@app.command()
def approve(
    job_id: JobId,
    step: Annotated[str | None, typer.Option(help="needed while more than one waits")] = None,
    reject: Annotated[bool, typer.Option("--reject", help="reject instead")] = False,
    reason: Annotated[str, typer.Option(help="for people")] = "",
    as_json: AsJson = False,
) -> None:
    """Approve a step that waits for a person, or reject it."""
    decision = "rejected" if reject else "approved"
    body = {"step": step, "decision": decision, "reason": reason}
    _print_job(_client().call("POST", f"/jobs/{job_id}/approve", body=body), as_json=as_json)


@app.command()
def items(
    job_id: JobId,
    state: Annotated[list[str] | None, typer.Option(help="only these; repeatable")] = None,
    limit: Limit = 100,
    cursor: Annotated[str | None, typer.Option(help="go on after a page")] = None,
    as_json: AsJson = False,
) -> None:
    """List a job's items."""
    params = {
        name: value
        for name, value in {"state": state, "limit": limit, "cursor": cursor}.items()
        if value
    }
    answer = _client().call("GET", f"/jobs/{job_id}/items", params=params)
    if as_json:
        output.print_json(answer)
        return
    output.print_items(answer["items"])
    if answer["next_cursor"]:
        typer.echo(f"more: --cursor {answer['next_cursor']}")


@app.command()
def logs(
    job_id: JobId,
    tail: Limit = 100,
    level: Annotated[str, typer.Option(help="debug, info, warning or error")] = "debug",
    as_json: AsJson = False,
) -> None:
    """Show the newest log lines of a job."""
    params = {"tail": tail, "level": level}
    answer = _client().call("GET", f"/jobs/{job_id}/logs", params=params)
    if as_json:
        output.print_json(answer)
    else:
        output.print_logs(answer["logs"])


@app.command()
def history(job_id: JobId, as_json: AsJson = False) -> None:
    """Show a job's attempts, and who did what."""
    answer = _client().call("GET", f"/jobs/{job_id}/history")
    if as_json:
        output.print_json(answer)
    else:
        output.print_history(answer)


@app.command()
def report(
    job_id: JobId,
    html: Annotated[Path | None, typer.Option(help="write the page into this file")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the quality report of a job that has executed rules."""
    client = _client()
    where = f"/jobs/{job_id}/report"
    if html is not None:
        page = client.page(where, params={"format": "html"})
        html.parent.mkdir(parents=True, exist_ok=True)
        html.write_bytes(page)
    if as_json:
        output.print_json(client.call("GET", where, params={"format": "json"}))
    elif html is not None:
        typer.echo(str(html))
    else:
        output.print_report(client.call("GET", where, params={"format": "json"}))


@app.command()
def purge(
    job_id: JobId,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    as_json: AsJson = False,
) -> None:
    """Forget a job that has ended; only its audit stays. Without a yes nothing is done: code 2."""
    if not (yes or _confirmed(f"Delete job {job_id} with its items and calls?")):
        typer.echo("Nothing was deleted.", err=True)
        raise typer.Exit(ExitCode.WRONG_USAGE)
    answer = _client().call("POST", f"/jobs/{job_id}/purge")
    if as_json:
        output.print_json(answer)


def read_parameters(whole: str, pairs: list[str]) -> dict[str, Any]:
    """Parameters from one JSON object, and from pairs that add to it."""
    try:
        parameters = json.loads(whole)
    except ValueError:
        parameters = None
    if not isinstance(parameters, dict):
        raise typer.BadParameter("--parameters must be a JSON object")
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"-p {pair}: write key=value")
        try:
            parameters[key] = json.loads(value)
        except ValueError:
            parameters[key] = value
    return parameters


def _follow(client: ApiClient, job_id: str, *, as_json: bool) -> Any:
    try:
        job = watch(client, job_id, console=output.aside if as_json else output.console)
    except KeyboardInterrupt:
        typer.echo(f"The job goes on: longhaul jobs watch {job_id}", err=True)
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    _print_job(job, as_json=as_json)
    return job


def _confirmed(question: str) -> bool:
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:  # Ctrl-C, or nobody is there to answer
        return False


def _print_job(job: Any, *, as_json: bool) -> None:
    if as_json:
        output.print_json(job)
    else:
        output.print_job(job)
