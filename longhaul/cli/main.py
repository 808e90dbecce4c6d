"""The `longhaul` command."""

import os
import sys
from functools import partial
from typing import Annotated

import typer
from pydantic import ValidationError

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.sample.report import SampleReport, load_sample, write_anomalies
from longhaul.adapters.settings import Settings
from longhaul.cli import (
    cases,
    decisions,
    jobs,
    mappings,
    output,
    reports,
    rules,
    schedules,
    webhooks,
)
from longhaul.cli.asking import AsJson
from longhaul.cli.client import sign_token, whoami
from longhaul.cli.demo import run_demo
from longhaul.cli.postgres import postgres_dsn, run_on_postgres
from longhaul.core.decisions import Kind
from longhaul.core.exit_codes import ExitCode
from longhaul.core.principals import Role

app = typer.Typer(no_args_is_help=True, help=__doc__, pretty_exceptions_enable=False)
app.add_typer(jobs.app, name="jobs")
app.add_typer(reports.app, name="reports")
app.add_typer(schedules.app, name="schedules")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(decisions.versions_app, name="versions")
app.add_typer(cases.app, name="cases")
for kind in Kind:
    entries = decisions.entries_app(kind)
    if kind is Kind.RULES:
        rules.add_commands(entries)
    if kind is Kind.MAPPINGS:
        mappings.add_commands(entries)
    app.add_typer(entries, name=kind)

Types = Annotated[list[str] | None, typer.Option(help="a module with job types; repeatable")]


def main() -> None:
    """Run the command; wrong settings are wrong usage."""
    try:
        app()
    except ValidationError as exc:
        typer.echo(f"The settings cannot be used:\n{exc}", err=True)
        sys.exit(ExitCode.WRONG_USAGE)


@app.command()
def up(types: Types = None) -> None:
    """Start everything on this machine and stay; Ctrl-C stops all."""
    _become("longhaul.local", types)


@app.command()
def api(types: Types = None) -> None:
    """Run one API process."""
    _become("longhaul.api", types)


@app.command()
def worker(types: Types = None) -> None:
    """Run one worker process."""
    _become("longhaul.worker", types)


@app.command()
def migrate(
    to: Annotated[str, typer.Option(help="a revision; `base` drops everything")] = "head",
    as_json: AsJson = False,
) -> None:
    """Bring the database's schema up to date."""
    # Alembic takes longer to load than most commands to run.
    from longhaul.adapters.postgres import migrate as schema  # noqa: PLC0415

    say = partial(typer.echo, err=True)
    try:
        revision = run_on_postgres(schema.migrate(postgres_dsn(Settings()), to=to, say=say))
    except schema.UnknownRevision as exc:
        raise typer.BadParameter(str(exc), param_hint="--to") from None
    if as_json:
        output.print_json({"revision": revision})


@app.command()
def token(
    sub: Annotated[str | None, typer.Option(help="user id; yours when not given")] = None,
    role: Annotated[list[str] | None, typer.Option(help="repeatable")] = None,
    lob: Annotated[
        str | None, typer.Option(help="restrict it to this line of business; all if not given")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print a token signed with the configured secret."""
    unknown = set(role or []) - set(Role)
    if unknown:
        known = ", ".join(Role)
        raise typer.BadParameter(f"unknown role {', '.join(sorted(unknown))}; known: {known}")
    signed = sign_token(Settings(), sub or whoami(), role or [], lob)
    if signed is None:
        typer.echo("There is no secret: set LONGHAUL_AUTH__SECRET, or `longhaul up`.", err=True)
        raise typer.Exit(ExitCode.WRONG_USAGE)
    if as_json:
        output.print_json({"token": signed})
    else:
        typer.echo(signed)


@app.command()
def seed(
    rows: Annotated[int, typer.Option(min=0, help="rows of the source table")] = 1000,
    attributes: Annotated[
        int | None, typer.Option(min=1, help="attributes; those of the form when not given")
    ] = None,
    random_seed: Annotated[int, typer.Option(help="the same seed, the same rows")] = 7,
    as_json: AsJson = False,
) -> None:
    """Load a sample report into the running system's database."""
    settings = Settings()
    seeding = _seed(postgres_dsn(settings), rows, attributes, random_seed)
    report = run_on_postgres(seeding)
    anomalies = settings.data_dir / "sample" / "anomalies.csv"
    write_anomalies(anomalies, report.anomalies)
    found = {
        "cycle_id": report.cycle_id,
        "report_id": report.report_id,
        "report_name": report.report_name,
        "table": report.table,
        "rows": report.rows,
        "phase_ids": dict(report.phase_ids),
        "attribute_ids": list(report.attribute_ids.values()),
        "anomalies": report.anomaly_count,
        "anomalies_file": str(anomalies),
    }
    if as_json:
        output.print_json(found)
        return
    for name, value in found.items():
        typer.echo(f"{name}: {value}")


@app.command()
def demo(as_json: AsJson = False) -> None:
    """Start everything, take the sample report through its full cycle, stop everything."""
    raise typer.Exit(run_demo(Settings(), as_json=as_json))


async def _seed(dsn: str, rows: int, attributes: int | None, random_seed: int) -> SampleReport:
    async with PostgresDatabase.open(dsn, connections=2) as database:
        return await load_sample(
            database, rows=rows, attributes=attributes, random_seed=random_seed
        )


def _become(module: str, types: list[str] | None) -> None:
    """Replace this process by another of ours, so that signals reach it directly."""
    options = [part for one in types or [] for part in ("--types", one)]
    os.execv(sys.executable, [sys.executable, "-m", module, *options])
