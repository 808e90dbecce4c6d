"""`longhaul jobs …`: the parts of a job: steps, items, log lines and report."""

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from longhaul.adapters.settings import Settings
from longhaul.cli import output
from longhaul.cli.asking import AsJson, Cursor, JobId, Limit, ask, given, show, write_file
from longhaul.cli.client import open_client


def add_commands(app: typer.Typer) -> None:
    """Add the commands to those that submit and control jobs."""
    for command in (children, approvals, approve, items, item, logs, history, report):
        app.command()(command)


def children(
    job_id: JobId, limit: Limit = 100, cursor: Cursor = None, as_json: AsJson = False
) -> None:
    """List the jobs of a flow's steps."""
    params = given(limit=limit, cursor=cursor)
    answer = ask("GET", f"/jobs/{job_id}/children", params=params)
    show(answer, lambda page: output.print_children(page["jobs"]), as_json=as_json)


def approvals(job_id: JobId, as_json: AsJson = False) -> None:
    """List the approvals of a flow."""
    answer = ask("GET", f"/jobs/{job_id}/approvals")
    show(answer, lambda found: output.print_approvals(found["approvals"]), as_json=as_json)


def approve(
    job_id: JobId,
    step: Annotated[str | None, typer.Option(help="required if more than one waits")] = None,
    reject: Annotated[bool, typer.Option("--reject", help="reject instead")] = False,
    reason: Annotated[str, typer.Option(help="shown to people")] = "",
    as_json: AsJson = False,
) -> None:
    """Approve a step that waits for a person, or reject it."""
    decision = "rejected" if reject else "approved"
    body = {"step": step, "decision": decision, "reason": reason}
    answer = ask("POST", f"/jobs/{job_id}/approve", body=body)
    show(answer, output.print_job, as_json=as_json)


def items(
    job_id: JobId,
    state: Annotated[list[str] | None, typer.Option(help="only these; repeatable")] = None,
    error_code: Annotated[str | None, typer.Option(help="only with this error code")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List a job's items."""
    params = given(state=state, error_code=error_code, limit=limit, cursor=cursor)
    answer = ask("GET", f"/jobs/{job_id}/items", params=params)
    show(answer, lambda page: output.print_items(page["items"]), as_json=as_json)


def item(
    job_id: JobId,
    item_key: Annotated[str, typer.Argument(help="the item's key")],
    as_json: AsJson = False,
) -> None:
    """Show one item with its output and its model calls."""
    answer = ask("GET", f"/jobs/{job_id}/items/{quote(item_key, safe='')}")
    show(answer, output.print_item, as_json=as_json)


def logs(
    job_id: JobId,
    tail: Limit = 100,
    level: Annotated[str, typer.Option(help="debug, info, warning or error")] = "debug",
    cursor: Annotated[str | None, typer.Option(help="the first lines after these")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the newest log lines of a job, or those after a cursor; the last line has the next."""
    params = given(tail=tail, level=level, cursor=cursor)
    answer = ask("GET", f"/jobs/{job_id}/logs", params=params)
    show(answer, lambda page: output.print_logs(page["logs"]), as_json=as_json)


def history(job_id: JobId, as_json: AsJson = False) -> None:
    """Show a job's attempts and its audit, also of a purged job."""
    answer = ask("GET", f"/jobs/{job_id}/history")
    show(answer, output.print_history, as_json=as_json)


def report(
    job_id: JobId,
    html: Annotated[Path | None, typer.Option(help="write the page into this file")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the quality report of a job that has executed rules."""
    where = f"/jobs/{job_id}/report"
    if html is not None:
        with open_client(Settings()) as api:
            page = api.page(where, params={"format": "html"})
        write_file(html, page)
        if not as_json:
            typer.echo(str(html))
            return
    answer = ask("GET", where, params={"format": "json"})
    show(answer, output.print_report, as_json=as_json)
