"""`longhaul reports …`: your own reports and their data sources."""

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import Annotated, Any

import typer
from rich.table import Table

from longhaul.cli import output
from longhaul.cli.asking import AsJson, Cursor, Limit, ask, given, show, show_audit
from longhaul.core.sources import SourceKind, kind_of_file

app = typer.Typer(no_args_is_help=True, help="Import reports and add their data sources.")

ReportId = Annotated[int, typer.Argument(help="the report's id")]


@app.command("import")
def import_form(
    form: Annotated[Path, typer.Argument(help="a CSV file; its first line names the columns")],
    name: Annotated[str, typer.Option(help="the report's")],
    cycle: Annotated[str, typer.Option(help="the cycle's name; a new one if there is none")],
    lob: Annotated[
        str | None, typer.Option(help="the line of business; that of your token if not given")
    ] = None,
    regulation: Annotated[str | None, typer.Option(help="such as FR Y-14M")] = None,
    source: Annotated[
        str | None,
        typer.Option(help="a file, relative to the server's folder of sources"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Import a report with its form into a cycle; the same form again changes nothing."""
    try:
        text = form.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise typer.BadParameter(f"{form} cannot be read as a text in UTF-8.") from None
    body = {"name": name, "cycle": cycle, "form": text, **given(lob=lob, regulation=regulation)}
    wanted = None if source is None else _source(source, None, None, None)
    answer = ask("POST", "/reports", body=body)
    if wanted is not None:
        path = f"/reports/{answer['report_id']}/sources"
        answer["source"] = ask("POST", path, body=wanted)
    show(answer, _print_imported, as_json=as_json)


@app.command("list")
def list_reports(limit: Limit = 100, cursor: Cursor = None, as_json: AsJson = False) -> None:
    """List reports, oldest first."""
    answer = ask("GET", "/reports", params=given(limit=limit, cursor=cursor))
    show(answer, _print_reports, as_json=as_json)


@app.command()
def attributes(
    report_id: ReportId,
    cycle_id: Annotated[int | None, typer.Option(help="the latest if not given")] = None,
    limit: Limit = 1_000,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """Show the form of a report, line by line."""
    params = given(cycle_id=cycle_id, limit=limit, cursor=cursor)
    answer = ask("GET", f"/reports/{report_id}/attributes", params=params)
    show(answer, _print_form, as_json=as_json)


@app.command()
def sources(report_id: ReportId, as_json: AsJson = False) -> None:
    """List the data sources of a report."""
    answer = ask("GET", f"/reports/{report_id}/sources")
    show(answer, lambda page: _print_sources(page["sources"]), as_json=as_json)


@app.command("add-source")
def add_source(
    report_id: ReportId,
    location: Annotated[
        str,
        typer.Argument(
            help="a file or folder, relative to the server's folder of sources; for a "
            "database a schema or schema.table"
        ),
    ] = "",
    kind: Annotated[
        SourceKind | None, typer.Option(help="the kind, if the file's name does not show it")
    ] = None,
    name: Annotated[str | None, typer.Option(help="the file's if not given")] = None,
    secret_ref: Annotated[
        str | None, typer.Option(help="for a database: the bound variable with its DSN")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a data source and add it to a report."""
    body = _source(location, kind, name, secret_ref)
    answer = ask("POST", f"/reports/{report_id}/sources", body=body)
    show(answer, _print_added, as_json=as_json)


@app.command("remove-source")
def remove_source(
    report_id: ReportId,
    source_id: Annotated[int, typer.Argument(help="the data source's id")],
    as_json: AsJson = False,
) -> None:
    """Remove a data source that nothing has come from yet."""
    ask("DELETE", f"/reports/{report_id}/sources/{source_id}")
    if as_json:
        output.print_json({"source_id": source_id, "removed": True})


@app.command()
def history(
    report_id: ReportId, limit: Limit = 100, cursor: Cursor = None, as_json: AsJson = False
) -> None:
    """Show who imported a report, and who added data sources to it."""
    show_audit(f"/reports/{report_id}", limit, cursor, as_json=as_json)


def _source(
    location: str, kind: SourceKind | None, name: str | None, secret_ref: str | None
) -> dict[str, Any]:
    """The body that adds a source; missing fields follow from the given ones."""
    guessed = SourceKind.POSTGRESQL if secret_ref else kind_of_file(location)
    kind = kind or guessed
    if kind is None:
        raise typer.BadParameter("give --kind or --secret-ref", param_hint="--kind")
    name = name or PurePath(location).name or secret_ref
    return {"location": location, "kind": kind, **given(name=name, secret_ref=secret_ref)}


def _print_imported(answer: Mapping[str, Any]) -> None:
    output.print_facts(
        {
            "report": f"{answer['report_id']} ({answer['name']}, {answer['lob']})",
            "cycle": f"{answer['cycle_id']} ({answer['cycle']})",
            "phases": ", ".join(f"{id} {name}" for name, id in answer["phase_ids"].items()),
            "attributes": str(answer["attributes"]),
            "new": "yes" if answer["created"] else "no, it existed already",
        }
    )
    if "source" in answer:
        _print_added(answer["source"])


def _print_added(source: Mapping[str, Any]) -> None:
    _print_sources([source])
    output.console.print(f"tables: {source['tables']}, columns: {source['columns']}")


def _print_reports(page: Mapping[str, Any]) -> None:
    table = Table("report", "name", "lob", "cycle", "attributes", "phases", "sources", box=None)
    for one in page["reports"]:
        sources = ", ".join(source["name"] for source in one["sources"])
        for cycle in one["cycles"]:
            table.add_row(
                str(one["report_id"]),
                one["name"],
                one["lob"],
                f"{cycle['cycle_id']} ({cycle['cycle']})",
                str(cycle["attributes"]),
                ", ".join(map(str, cycle["phase_ids"].values())),
                sources,
            )
    output.console.print(table)


def _print_form(page: Mapping[str, Any]) -> None:
    table = Table("line", "id", "attribute", "mdrm", "type", "format", "", "flags", box=None)
    for one in page["attributes"]:
        flags = [flag for flag in ("is_key", "is_cde", "has_issues") if one[flag]]
        table.add_row(
            *(str(one[name]) for name in ("line_no", "attribute_id", "name", "mdrm")),
            one["data_type"],
            one["format"],
            one["mandatory"],
            ", ".join(flags),
        )
    output.console.print(table)


def _print_sources(sources: Iterable[Mapping[str, Any]]) -> None:
    table = Table("source", "name", "kind", "location", "secret", box=None)
    for one in sources:
        secret = one["secret_ref"] or ""
        table.add_row(str(one["source_id"]), one["name"], one["kind"], one["location"], secret)
    output.console.print(table)
