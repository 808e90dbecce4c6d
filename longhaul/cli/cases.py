"""`longhaul cases …`: what people do with test cases."""

from pathlib import Path
from typing import Annotated

import typer

from longhaul.adapters.settings import Settings
from longhaul.cli import case_output as output
from longhaul.cli.asking import (
    AsJson,
    Cursor,
    Limit,
    Parameter,
    Parameters,
    ask,
    given,
    read_parameters,
    show,
    write_file,
)
from longhaul.cli.client import open_client
from longhaul.cli.evidence import give_document
from longhaul.core.cases import EvidenceKind, ExecutionOutcome
from longhaul.core.casework import CaseStatus, Verdict

app = typer.Typer(no_args_is_help=True, help="List test cases, attach evidence, review results.")

CaseId = Annotated[int, typer.Argument(help="the test case's id")]
Sample = Annotated[
    list[str] | None, typer.Option(help="all test cases of this sample id; repeatable")
]
CaseIds = Annotated[list[int] | None, typer.Argument(metavar="CASE...", help="their ids")]


@app.command("list")
def list_cases(
    cycle: Annotated[int | None, typer.Option(help="only of this cycle")] = None,
    report: Annotated[int | None, typer.Option(help="only of this report")] = None,
    attribute: Annotated[
        list[int] | None, typer.Option(help="only of this attribute id; repeatable")
    ] = None,
    sample: Annotated[
        list[str] | None, typer.Option(help="only of this sample id; repeatable")
    ] = None,
    status: Annotated[list[CaseStatus] | None, typer.Option(help="only these; repeatable")] = None,
    outcome: Annotated[
        list[ExecutionOutcome] | None, typer.Option(help="only these; repeatable")
    ] = None,
    evidence: Annotated[
        list[EvidenceKind] | None, typer.Option(help="only with this kind of evidence; repeatable")
    ] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List the active test cases, in the order of the form."""
    params = given(
        cycle_id=cycle,
        report_id=report,
        attribute_id=attribute,
        sample_id=sample,
        status=status,
        outcome=outcome,
        evidence=evidence,
        limit=limit,
        cursor=cursor,
    )
    answer = ask("GET", "/cases", params=params)
    show(answer, lambda page: output.print_cases(page["cases"]), as_json=as_json)


@app.command("show")
def show_case(case_id: CaseId, as_json: AsJson = False) -> None:
    """Show a test case with its evidence, its executions and their reviews."""
    show(ask("GET", f"/cases/{case_id}"), output.print_case, as_json=as_json)


@app.command("attach-document")
def attach_document(
    file: Annotated[Path, typer.Argument(help="a PDF or a text")],
    cases: CaseIds = None,
    sample: Sample = None,
    as_json: AsJson = False,
) -> None:
    """Attach a document to test cases as evidence."""
    wanted = _wanted(cases, sample)
    try:
        content = file.read_bytes()
    except OSError:
        raise typer.BadParameter(f"{file} cannot be read.") from None
    is_pdf = file.suffix.lower() == ".pdf" or content.startswith(b"%PDF-")
    with open_client(Settings()) as api:
        answer = give_document(
            api,
            wanted,
            content,
            content_type="application/pdf" if is_pdf else "text/plain",
            file_name=file.name,
        )
    show(answer, output.print_given, as_json=as_json)


@app.command("document")
def read_document(
    case_id: CaseId,
    document: Annotated[str, typer.Argument(help="its hash")],
    file: Annotated[Path, typer.Option("-o", help="the file to write")],
    as_json: AsJson = False,
) -> None:
    """Download a document that is evidence of a test case."""
    with open_client(Settings()) as api:
        content = api.page(f"/cases/{case_id}/documents/{document}")
    write_file(file, content)
    answer = {"file": str(file), "size": len(content)}
    show(answer, lambda done: typer.echo(f"{done['size']:,} bytes"), as_json=as_json)


@app.command("attach-query")
def attach_query(
    source: Annotated[str, typer.Option(help="the data source's name")],
    sql: Annotated[str, typer.Option(help="one SELECT, or @ and the name of a file")],
    cases: CaseIds = None,
    sample: Sample = None,
    parameter: Parameter = None,
    parameters: Parameters = "{}",
    as_json: AsJson = False,
) -> None:
    """Attach a query to test cases as evidence; it is run when they are executed."""
    first, *others = _wanted(cases, sample)
    body = {
        "data_source": source,
        "sql": _text(sql),
        "parameters": read_parameters(parameters, parameter or []),
        "also": others,
    }
    answer = ask("POST", f"/cases/{first}/queries", body=body)
    show(answer, output.print_given, as_json=as_json)


@app.command()
def review(
    case_id: CaseId,
    result: Annotated[Verdict, typer.Argument(help="the verdict")],
    reason: Annotated[str, typer.Option(help="required, except to pass a match")] = "",
    execution: Annotated[
        int | None, typer.Option(help="the number of the execution that you reviewed")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Review the latest execution of a test case."""
    body = {"result": result, "reason": reason, "execution": execution}
    answer = ask("POST", f"/cases/{case_id}/review", body=body)
    show(answer, output.print_case, as_json=as_json)


def _wanted(cases: list[int] | None, samples: list[str] | None) -> list[int]:
    wanted = list(cases or [])
    if samples:
        with open_client(Settings()) as api:
            wanted += [one["id"] for one in api.each("/cases", "cases", {"sample_id": samples})]
    if not wanted:
        raise typer.BadParameter("give ids of test cases, or --sample")
    return list(dict.fromkeys(wanted))


def _text(sql: str) -> str:
    if not sql.startswith("@"):
        return sql
    try:
        return Path(sql[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise typer.BadParameter(f"{sql[1:]} cannot be read.") from None
