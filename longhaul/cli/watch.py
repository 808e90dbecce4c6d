"""Follows a job to its end: a progress bar on a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)

from longhaul.cli.client import ApiClient, Away
from longhaul.cli.output import console
from longhaul.core.exit_codes import ExitCode

TERMINAL = ("completed", "failed", "cancelled")

LOOK_EVERY = 0.25
LINE_EVERY = 2.0

# An API that restarts, or whose database does, is back within this time.
PATIENCE = timedelta(minutes=1)
TRY_EVERY = 1.0

Job = Mapping[str, Any]


def watch(
    client: ApiClient,
    job_id: str,
    *,
    console: Console = console,
    patience: timedelta = PATIENCE,
) -> Job:
    """Show a job's progress until it has ended, and return it then.

    Args:
        patience: How long the API may be down; then exit with 3.
    """
    jobs = _looks(client, job_id, console, patience)
    return _bar(jobs, console) if console.is_terminal else _lines(jobs, console)


def exit_code(job: Job) -> ExitCode:
    """The command's exit code for a finished job."""
    return ExitCode.DONE if job["status"] == "completed" else ExitCode.FAILED


def _looks(client: ApiClient, job_id: str, console: Console, patience: timedelta) -> Iterator[Job]:
    while True:
        job = _look(client, job_id, console, patience)
        yield job
        if job["status"] in TERMINAL:
            return
        time.sleep(LOOK_EVERY)


def _look(client: ApiClient, job_id: str, console: Console, patience: timedelta) -> Job:
    away_since: float | None = None
    while True:
        try:
            job: Job = client.look(f"/jobs/{job_id}")
        except Away as exc:
            now = time.monotonic()
            if away_since is None:
                away_since = now
                console.print(f"{exc}\nThe job goes on without it; trying again for a minute.")
            if now - away_since >= patience.total_seconds():
                console.print("It still does not answer.")
                raise typer.Exit(ExitCode.CANNOT_REACH) from None
            time.sleep(TRY_EVERY)
        else:
            return job


def _bar(jobs: Iterator[Job], console: Console) -> Job:
    columns = [
        SpinnerColumn(),
        TextColumn("{task.fields[status]:9}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[step]}", markup=False),
    ]
    job: Job = {}
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", status="", step="", total=None)
        for job in jobs:
            progress.update(
                task,
                completed=job["completed_steps"],
                total=job["total_steps"] or None,
                status=job["status"],
                step=_step(job),
            )
    return job


def _lines(jobs: Iterator[Job], console: Console) -> Job:
    job: Job = {}
    last, said_at = "", 0.0
    for job in jobs:
        line = f"{job['status']:9} {job['completed_steps']}/{job['total_steps']} {_step(job)}"
        is_due = time.monotonic() - said_at >= LINE_EVERY
        if line != last and (is_due or job["status"] not in last):
            console.print(line)
            last, said_at = line, time.monotonic()
    return job


def _step(job: Job) -> str:
    if job["waiting_for"]:
        return f"waiting for {job['waiting_for']}"
    return str(job["current_step"])
