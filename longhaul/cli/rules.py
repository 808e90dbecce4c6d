"""`longhaul rules run|edit|export|import`: check data by a suite, change rules, move suites."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from longhaul.adapters.settings import Settings
from longhaul.adapters.sources.rule_evaluator import SourceRuleEvaluator
from longhaul.adapters.sources.sessions import SourceSessions
from longhaul.cli import output
from longhaul.cli.asking import AsJson, ask, given, read_object, show, write_file
from longhaul.cli.decision_output import print_entries
from longhaul.core.decisions import Kind
from longhaul.core.errors import ItemFailed
from longhaul.core.exit_codes import ExitCode
from longhaul.core.expectations import BadExpectation
from longhaul.core.rule_execution import Fault, Judged, TableRule
from longhaul.core.sources import SUFFIXES, DataSource, SourceKind, kind_of_file
from longhaul.core.suite_files import BadSuite, SuiteRule, check_shape, read_suite
from longhaul.job_types.resources import source_access

VersionId = Annotated[str, typer.Argument(help="the rule version's id")]

CANNOT_RUN = 2

_SECRET = "--source"


def add_commands(app: typer.Typer) -> None:
    """Add the commands to those that list rules and decide on them."""
    app.command("run")(run)
    app.command("edit")(edit)
    app.command("export")(export)
    app.command("import")(import_suite)


def run(
    source: Annotated[
        str,
        typer.Option(help="a CSV, Parquet or Excel file, or a PostgreSQL DSN; then #table"),
    ],
    rules: Annotated[Path, typer.Option(help="a suite file, or a list of {type, kwargs}")],
    as_json: AsJson = False,
) -> None:
    """Check a table by rules, without a job: 1 when a rule fails, 2 when one cannot run."""
    suite = _read_rules(rules)
    place, table, secrets = _source(source)
    # The user of the command reads with their own rights.
    access = replace(source_access(Settings()), folders=None, secrets=None)
    sessions = SourceSessions(access, secrets=secrets)
    asked = [
        TableRule(id=str(number), expectation=rule.type, kwargs=rule.kwargs)
        for number, rule in enumerate(suite)
    ]
    faults = _unfit(suite)
    fit = [rule for rule in asked if rule.id not in faults]
    try:
        found = asyncio.run(SourceRuleEvaluator(sessions).evaluate(place, table, fit))
    except ItemFailed as exc:
        typer.echo(exc.sentence, err=True)
        is_away = exc.item_code == "source_unreachable"
        raise typer.Exit(ExitCode.CANNOT_REACH if is_away else CANNOT_RUN) from None
    judged = {one.rule_id: one for one in found.judged} | faults
    shown = [_shown(rule, judged[rule.id]) for rule in asked]
    if as_json:
        output.print_json({"table": found.table, "rows": found.rows, "rules": shown})
    else:
        output.print_verdicts(found.table, found.rows, shown)
    raise typer.Exit(_exit_code(shown))


def edit(
    version_id: VersionId,
    rule_id: Annotated[str, typer.Argument(help="the rule's id")],
    expectation: Annotated[str | None, typer.Option("--type", help="its name")] = None,
    kwargs: Annotated[str | None, typer.Option(help="all its arguments, as JSON")] = None,
    name: Annotated[str | None, typer.Option(help="shown to people")] = None,
    description: Annotated[str | None, typer.Option(help="shown to people")] = None,
    rule_type: Annotated[str | None, typer.Option(help="completeness, validity, …")] = None,
    severity: Annotated[str | None, typer.Option(help="low, medium, high or critical")] = None,
    rationale: Annotated[str | None, typer.Option(help="why it should hold")] = None,
    reference: Annotated[str | None, typer.Option(help="the place in the regulation")] = None,
    order: Annotated[int | None, typer.Option(help="when it is executed")] = None,
    as_json: AsJson = False,
) -> None:
    """Change a rule of a draft; this approves it as tester."""
    change = given(
        type=expectation,
        kwargs=None if kwargs is None else read_object(kwargs, "--kwargs"),
        name=name,
        description=description,
        rule_type=rule_type,
        severity=severity,
        rationale=rationale,
        regulatory_reference=reference,
        execution_order=order,
    )
    if not change:
        raise typer.BadParameter("give what to change, such as --severity or --kwargs")
    answer = ask("PATCH", f"/versions/{version_id}/rules/{rule_id}", body=change)
    show(answer, lambda rule: print_entries(Kind.RULES, [rule]), as_json=as_json)


def export(
    version_id: VersionId,
    file: Annotated[
        Path | None, typer.Option("-o", help="the file to write; printed if absent")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Export the rules of a version as a Great Expectations suite."""
    suite = ask("GET", f"/versions/{version_id}/suite")
    text = json.dumps(suite, indent=2, ensure_ascii=False) + "\n"
    if file is not None:
        write_file(file, text.encode())
    if file is None or as_json:
        typer.echo(text, nl=False)


def import_suite(
    version_id: VersionId,
    file: Annotated[Path, typer.Argument(help="a suite file, or a list of {type, kwargs}")],
    as_json: AsJson = False,
) -> None:
    """Import the rules of a suite into a draft version as proposals."""
    _read_rules(file)
    body = json.loads(file.read_text(encoding="utf-8"))
    if isinstance(body, list):
        body = {"expectations": body}
    answer = ask("POST", f"/versions/{version_id}/suite", body=body)
    show(answer, _print_added, as_json=as_json)


def _print_added(answer: Mapping[str, Any]) -> None:
    typer.echo(f"{answer['added']} rules added, {answer['known']} there already.")


def _read_rules(path: Path) -> Sequence[SuiteRule]:
    try:
        suite = read_suite(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        raise typer.BadParameter(f"{path} cannot be read.") from None
    except BadSuite as exc:
        raise typer.BadParameter(str(exc)) from None
    if not suite:
        raise typer.BadParameter("There are no rules in the file.")
    return suite


def _source(text: str) -> tuple[DataSource, str | None, Mapping[str, str]]:
    if urlsplit(text).scheme in ("postgresql", "postgres"):
        dsn, _, table = text.partition("#")
        place = DataSource(
            name="source", kind=SourceKind.POSTGRESQL, location="", secret_ref=_SECRET
        )
        return place, table or None, {_SECRET: dsn}
    # A file's name may contain a "#".
    is_plain = "#" not in text or Path(text).exists()
    path, _, table = (text, "", "") if is_plain else text.rpartition("#")
    kind = kind_of_file(path)
    if kind is None:
        known = ", ".join(sorted(chain(*SUFFIXES.values())))
        raise typer.BadParameter(f"--source must be a file ({known}) or a postgresql:// DSN.")
    return DataSource(name="source", kind=kind, location=path), table or None, {}


def _unfit(suite: Sequence[SuiteRule]) -> dict[str, Judged]:
    """The rules that fit no table."""
    faults = {}
    for number, rule in enumerate(suite):
        try:
            check_shape(rule)
        except BadExpectation as exc:
            fault = Fault(code="bad_rule", sentence=str(exc))
            faults[str(number)] = Judged(rule_id=str(number), outcome=fault)
    return faults


def _shown(rule: TableRule, judged: Judged) -> dict[str, Any]:
    shown: dict[str, Any] = {"type": rule.expectation, "kwargs": rule.kwargs}
    outcome = judged.outcome
    if isinstance(outcome, Fault):
        nothing = dict.fromkeys(("total", "considered", "failed", "success", "observed"))
        error = {"code": outcome.code, "message": outcome.sentence}
        return {**shown, **nothing, "failing_rows": [], "error": error}
    return {
        **shown,
        "total": outcome.total,
        "considered": outcome.considered,
        "failed": outcome.failed,
        "success": outcome.success,
        "observed": outcome.observed,
        "failing_rows": list(outcome.examples),
        "error": None,
    }


def _exit_code(shown: Sequence[Mapping[str, Any]]) -> int:
    if any(rule["error"] for rule in shown):
        return CANNOT_RUN
    return int(not all(rule["success"] for rule in shown))
