"""Common parts of commands that call the API."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from longhaul.adapters.settings import Settings
from longhaul.cli.client import open_client
from longhaul.cli.output import print_audit, print_json


def _job_id(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not the id of a job.") from None


def _key(text: str | None) -> str | None:
    if text is not None and not text.isascii():
        raise typer.BadParameter("use ASCII characters only")
    return text


JobId = Annotated[str, typer.Argument(help="the job's id", callback=_job_id)]
IdempotencyKey = Annotated[
    str | None,
    typer.Option(help="one job for each key, however often it is submitted", callback=_key),
]
AsJson = Annotated[bool, typer.Option("--json", help="print the API's answer as JSON")]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="at most this many")]
Cursor = Annotated[str | None, typer.Option(help="continue after a page")]
Parameter = Annotated[
    list[str] | None, typer.Option("-p", help="key=value, the value as JSON or as text")
]
Parameters = Annotated[str, typer.Option(help="all parameters as one JSON object")]
Metadata = Annotated[str, typer.Option(help="your own metadata, as one JSON object")]
Concurrency = Annotated[int | None, typer.Option(help="items in flight at once")]
Priority = Annotated[int | None, typer.Option(min=0, max=10, help="higher starts first")]
StopLoss = Annotated[
    float | None, typer.Option(help="pause when more than this share of the latest items failed")
]
Deadline = Annotated[
    float | None, typer.Option(help="give up this many seconds after the attempt has started")
]


def ask(
    method: str, path: str, *, params: Mapping[str, Any] | None = None, body: Any = None
) -> Any:
    """Call the API of the settings once; exit with 2 or 3 on an error."""
    with open_client(Settings()) as api:
        return api.call(method, path, params=params, body=body)


def given(**values: Any) -> dict[str, Any]:
    """The given options; the API has defaults for the others."""
    return {name: value for name, value in values.items() if value not in (None, [])}


def show(answer: Any, printed: Callable[[Any], None], *, as_json: bool) -> None:
    """Print an answer as JSON, or for people with the way to its next page."""
    if as_json:
        print_json(answer)
        return
    printed(answer)
    if answer.get("next_cursor"):
        typer.echo(f"more: --cursor {answer['next_cursor']}")


def show_audit(path: str, limit: int, cursor: str | None, *, as_json: bool) -> None:
    """Show one page of who did what to a thing."""
    answer = ask("GET", f"{path}/history", params=given(limit=limit, cursor=cursor))
    show(answer, lambda page: print_audit(page["audit"]), as_json=as_json)


def read_parameters(whole: str, pairs: list[str]) -> dict[str, Any]:
    """Parameters from one JSON object and from additional pairs."""
    parameters = read_object(whole, "--parameters")
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"-p {pair}: write key=value")
        try:
            parameters[key] = json.loads(value)
        except ValueError:
            parameters[key] = value
    return parameters


def read_object(text: str, option: str) -> dict[str, Any]:
    """The JSON object that an option holds."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise typer.BadParameter(f"{option} must be a JSON object")
    return found


def write_file(file: Path, content: bytes) -> None:
    """Write a file, making its folders."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    except OSError as exc:
        raise typer.BadParameter(f"{file} cannot be written: {exc.strerror}.") from None
