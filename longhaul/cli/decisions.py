"""`longhaul versions …`, `rules …` and the like: what people decide between jobs."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from longhaul.cli import decision_output as output
from longhaul.cli.asking import AsJson, Cursor, Limit, ask, given, show
from longhaul.core.approvers import Decision
from longhaul.core.decisions import EntryStatus, Kind, Reviewer
from longhaul.core.versions import VersionStatus

Reason = Annotated[str, typer.Option(help="for people; needed to reject")]
VersionId = Annotated[str, typer.Argument(help="the version's id")]

versions_app = typer.Typer(
    no_args_is_help=True,
    help="List, submit, approve and reject versions of rules, recommendations and samples.",
)


@versions_app.command("list")
def list_versions(
    cycle: Annotated[int | None, typer.Option(help="only of this cycle")] = None,
    report: Annotated[int | None, typer.Option(help="only of this report")] = None,
    kind: Annotated[list[Kind] | None, typer.Option(help="only these; repeatable")] = None,
    status: Annotated[
        list[VersionStatus] | None, typer.Option(help="only these; repeatable")
    ] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List versions, newest first."""
    params = given(
        cycle_id=cycle, report_id=report, kind=kind, status=status, limit=limit, cursor=cursor
    )
    answer = ask("GET", "/versions", params=params)
    show(answer, lambda page: output.print_versions(page["versions"]), as_json=as_json)


@versions_app.command("show")
def show_version(version_id: VersionId, as_json: AsJson = False) -> None:
    """Show one version and how its entries stand."""
    show(ask("GET", f"/versions/{version_id}"), _print_version, as_json=as_json)


@versions_app.command()
def submit(version_id: VersionId, reason: Reason = "", as_json: AsJson = False) -> None:
    """Submit a draft to the report owner."""
    _take(version_id, "submit", reason, as_json=as_json)


@versions_app.command()
def approve(version_id: VersionId, reason: Reason = "", as_json: AsJson = False) -> None:
    """Approve a submitted version; the one approved before is superseded."""
    _take(version_id, "approve", reason, as_json=as_json)


@versions_app.command()
def reject(version_id: VersionId, reason: Reason = "", as_json: AsJson = False) -> None:
    """Reject a submitted version as a whole."""
    _take(version_id, "reject", reason, as_json=as_json)


@versions_app.command("history")
def version_history(
    version_id: VersionId, limit: Limit = 100, cursor: Cursor = None, as_json: AsJson = False
) -> None:
    """Show who did what to a version and its entries."""
    _print_history(f"/versions/{version_id}/history", limit, cursor, as_json=as_json)


def entries_app(kind: Kind) -> typer.Typer:
    """The commands to list the entries of one kind and to decide on them."""
    owner = _owner_of(kind)
    app = typer.Typer(no_args_is_help=True, help=f"List the {kind} of a {owner}; decide on them.")
    app.command("list", help=f"List the {kind} of a {owner}, in the order of the form.")(
        _list_entries(kind)
    )
    app.command(
        "decide", help=f"Approve or reject {kind}: the named, those of attributes, or all."
    )(_decide(kind))
    app.command("history", help=f"Show who decided what on the {kind} of a {owner}.")(
        _history(kind)
    )
    return app


def _list_entries(kind: Kind) -> Callable[..., None]:
    def list_entries(
        of: Annotated[str, _owner_id(kind)],
        status: Annotated[
            list[EntryStatus] | None, typer.Option(help="only these; repeatable")
        ] = None,
        attribute: Annotated[
            list[int] | None, typer.Option(help="only of this attribute id; repeatable")
        ] = None,
        waiting_for: Annotated[
            Reviewer | None, typer.Option(help="only what waits for this reviewer")
        ] = None,
        limit: Limit = 100,
        cursor: Cursor = None,
        as_json: AsJson = False,
    ) -> None:
        params = given(
            status=status,
            attribute_id=attribute,
            waiting_for=waiting_for,
            limit=limit,
            cursor=cursor,
        )
        answer = ask("GET", _path(kind, of), params=params)
        show(answer, lambda page: output.print_entries(kind, page["entries"]), as_json=as_json)

    return list_entries


def _decide(kind: Kind) -> Callable[..., None]:
    def decide(
        of: Annotated[str, _owner_id(kind)],
        decision: Annotated[Decision, typer.Argument(help="the decision")],
        entry: Annotated[
            list[str] | None, typer.Option("--id", help="id of an entry; repeatable")
        ] = None,
        attribute: Annotated[
            list[int] | None, typer.Option(help="what waits for you of this attribute; repeatable")
        ] = None,
        everything: Annotated[
            bool, typer.Option("--all", help="everything that waits for you")
        ] = False,
        reason: Reason = "",
        reviewer: Annotated[
            Reviewer | None, typer.Option("--as", help="as whom, if you may decide as both")
        ] = None,
        as_json: AsJson = False,
    ) -> None:
        body = {
            "decision": decision,
            "reason": reason,
            "as": reviewer,
            "ids": entry or None,
            "attribute_ids": attribute or None,
            "all": everything,
        }
        answer = ask("POST", f"{_path(kind, of)}/decisions", body=body)
        show(answer, output.print_decided, as_json=as_json)

    return decide


def _history(kind: Kind) -> Callable[..., None]:
    def history(
        of: Annotated[str, _owner_id(kind)],
        entry: Annotated[str | None, typer.Option("--id", help="only of this one")] = None,
        limit: Limit = 100,
        cursor: Cursor = None,
        as_json: AsJson = False,
    ) -> None:
        where = _path(kind, of) if kind is Kind.MAPPINGS else f"/versions/{of}"
        _print_history(f"{where}/history", limit, cursor, as_json=as_json, entry_id=entry)

    return history


def _owner_of(kind: Kind) -> str:
    """What entries of a kind belong to."""
    return "phase" if kind is Kind.MAPPINGS else "version"


def _owner_id(kind: Kind) -> Any:
    owner = _owner_of(kind)
    return typer.Argument(metavar=owner.upper(), help=f"the {owner}'s id")


def _path(kind: Kind, owner_id: str) -> str:
    return f"/{_owner_of(kind)}s/{owner_id}/{kind}"


def _take(version_id: str, step: str, reason: str, *, as_json: bool) -> None:
    answer = ask("POST", f"/versions/{version_id}/{step}", body={"reason": reason})
    show(answer, _print_version, as_json=as_json)


def _print_version(version: Any) -> None:
    output.print_versions([version])
    output.print_counts(version["counts"])


def _print_history(
    path: str, limit: int, cursor: str | None, *, as_json: bool, entry_id: str | None = None
) -> None:
    params = given(limit=limit, cursor=cursor, entry_id=entry_id)
    answer = ask("GET", path, params=params)
    show(answer, lambda page: output.print_decision_audit(page["audit"]), as_json=as_json)
