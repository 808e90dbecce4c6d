"""Following a job over HTTP, while the API goes down and comes back."""

import signal
from datetime import timedelta
from io import StringIO

import pytest
import typer
from rich.console import Console

from longhaul.cli.client import ApiClient
from longhaul.cli.watch import watch
from longhaul.core.exit_codes import ExitCode
from tests.command import start
from tests.job_answers import job
from tests.stubs.job_server import GONE, serving

JOB = "0192f000-0000-7000-8000-000000000000"

RUNNING = (200, job(status="running"))
COMPLETED = (200, job(status="completed"))
AWAY = (503, {"detail": "The database did not answer."})


def paper() -> Console:
    return Console(file=StringIO(), width=200)


def said_on(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_an_api_that_is_started_anew_is_waited_for_and_that_is_said_once() -> None:
    console = paper()
    with serving(RUNNING, GONE, AWAY, RUNNING, COMPLETED) as server:
        ended = watch(ApiClient(server.url, None), JOB, console=console)

    assert ended["status"] == "completed"
    assert len(server.asked) == 5
    assert said_on(console).count("Cannot reach the API") == 1
    assert "trying again for a minute" in said_on(console)


def test_an_api_that_stays_away_is_not_waited_for_for_ever() -> None:
    console = paper()
    with serving(RUNNING, AWAY) as server, pytest.raises(typer.Exit) as left:
        watch(ApiClient(server.url, None), JOB, console=console, patience=timedelta(0))

    assert left.value.exit_code == ExitCode.CANNOT_REACH
    assert "The database did not answer." in said_on(console)


def test_what_is_wrong_with_the_request_ends_it_at_once() -> None:
    unknown = (404, {"detail": "There is no such job."})
    with serving(RUNNING, unknown) as server, pytest.raises(typer.Exit) as left:
        watch(ApiClient(server.url, None), JOB, console=paper())

    assert left.value.exit_code == ExitCode.WRONG_USAGE
    assert len(server.asked) == 2


async def test_ctrl_c_leaves_the_job_and_says_so_by_its_exit_code() -> None:
    with serving(RUNNING) as server:
        process = await start(*("jobs", "watch", JOB), LONGHAUL_API__PORT=str(server.server_port))
        assert process.stdout is not None
        line = await process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, said = await process.communicate()

    assert b"running" in line
    assert process.returncode == ExitCode.INTERRUPTED
    assert f"The job goes on: longhaul jobs watch {JOB}".encode() in said
