"""`longhaul mappings set|missing`: map attributes by hand, and list those without a column."""

from typing import Annotated

import typer

from longhaul.cli.asking import AsJson, Cursor, Limit, ask, given, show
from longhaul.cli.decision_output import print_entries, print_unmapped
from longhaul.core.decisions import Kind
from longhaul.core.mappings import Level, MappingType, SecurityClass


def add_commands(app: typer.Typer) -> None:
    """Add the commands to those that list mappings and decide on them."""
    app.command("set")(set_mapping)
    app.command("missing")(list_missing)


def list_missing(
    phase: Annotated[int, typer.Argument(help="the phase's id")],
    limit: Limit = 100,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List the attributes without a column, in the order of the form."""
    params = given(limit=limit, cursor=cursor)
    answer = ask("GET", f"/phases/{phase}/mappings/missing", params=params)
    show(answer, lambda page: print_unmapped(page["attributes"]), as_json=as_json)


def set_mapping(
    phase: Annotated[int, typer.Argument(help="the phase's id")],
    attribute: Annotated[int, typer.Argument(help="the attribute's id")],
    source: Annotated[str, typer.Option(help="the data source's name")],
    table: Annotated[str, typer.Option(help="as the source names it, such as schema.table")],
    column: Annotated[str, typer.Option(help="as the table names it")],
    mapping_type: Annotated[
        MappingType, typer.Option("--type", help="how it becomes what is reported")
    ] = MappingType.DIRECT,
    business_process: Annotated[str | None, typer.Option(help="what makes the data")] = None,
    security: Annotated[SecurityClass | None, typer.Option(help="who may see the values")] = None,
    criticality: Annotated[Level | None, typer.Option(help="how critical they are")] = None,
    risk: Annotated[Level | None, typer.Option(help="how risky they are")] = None,
    regulatory: Annotated[
        bool | None, typer.Option(help="whether a regulator looks at the values")
    ] = None,
    pii: Annotated[bool | None, typer.Option(help="whether they tell who a person is")] = None,
    reason: Annotated[str, typer.Option(help="why this column, for people")] = "",
    as_json: AsJson = False,
) -> None:
    """Map an attribute to a column; this approves the mapping as tester."""
    body = given(
        data_source=source,
        table=table,
        column=column,
        mapping_type=mapping_type,
        business_process=business_process,
        information_security_classification=security,
        criticality=criticality,
        risk=risk,
        regulatory_flag=regulatory,
        pii_flag=pii,
        reason=reason,
    )
    answer = ask("PUT", f"/phases/{phase}/mappings/{attribute}", body=body)
    show(answer, lambda entry: print_entries(Kind.MAPPINGS, [entry]), as_json=as_json)
