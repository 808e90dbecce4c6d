"""`longhaul webhooks …`: servers that get events of jobs."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer
from rich.table import Table

from longhaul.cli import output
from longhaul.cli.asking import AsJson, Cursor, Limit, ask, given, show, show_audit
from longhaul.core.notices import Event

app = typer.Typer(no_args_is_help=True, help="Send events of your jobs to a server.")

WebhookId = Annotated[str, typer.Argument(help="the webhook's id")]


@app.command()
def create(
    url: Annotated[str, typer.Argument(help="the address to send to, as https://…")],
    event: Annotated[
        list[Event] | None, typer.Option(help="only these; repeatable; all when not given")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create a webhook. Its secret is only shown now."""
    answer = ask("POST", "/webhooks", body={"url": url, **given(events=event)})
    show(answer, _print_webhook, as_json=as_json)


@app.command("list")
def list_webhooks(as_json: AsJson = False) -> None:
    """List webhooks, oldest first."""
    show(ask("GET", "/webhooks"), _print_list, as_json=as_json)


@app.command("show")
def show_webhook(webhook_id: WebhookId, as_json: AsJson = False) -> None:
    """Show one webhook."""
    show(ask("GET", f"/webhooks/{webhook_id}"), _print_webhook, as_json=as_json)


@app.command("test")
def send_test(webhook_id: WebhookId, as_json: AsJson = False) -> None:
    """Send the event `webhook.test`; `deliveries` shows the result."""
    answer = ask("POST", f"/webhooks/{webhook_id}/test")
    show(answer, lambda one: _print_deliveries([one]), as_json=as_json)


@app.command()
def deliveries(
    webhook_id: WebhookId,
    state: Annotated[str | None, typer.Option(help="pending, delivered or failed")] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List deliveries, newest first."""
    params = given(state=state, limit=limit, cursor=cursor)
    answer = ask("GET", f"/webhooks/{webhook_id}/deliveries", params=params)
    show(answer, lambda page: _print_deliveries(page["deliveries"]), as_json=as_json)


@app.command()
def redeliver(
    webhook_id: WebhookId,
    delivery_id: Annotated[str, typer.Argument(help="the delivery's id")],
    as_json: AsJson = False,
) -> None:
    """Send a delivery again, under its id."""
    where = f"/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver"
    show(ask("POST", where), lambda one: _print_deliveries([one]), as_json=as_json)


@app.command()
def history(
    webhook_id: WebhookId, limit: Limit = 100, cursor: Cursor = None, as_json: AsJson = False
) -> None:
    """Show the audit of a webhook, also of a deleted one."""
    show_audit(f"/webhooks/{webhook_id}", limit, cursor, as_json=as_json)


@app.command()
def delete(webhook_id: WebhookId, as_json: AsJson = False) -> None:
    """Delete a webhook with its deliveries."""
    ask("DELETE", f"/webhooks/{webhook_id}")
    if as_json:
        output.print_json({"webhook_id": webhook_id, "deleted": True})


def _print_webhook(webhook: Mapping[str, Any]) -> None:
    output.print_facts(
        {
            "webhook": webhook["webhook_id"],
            "url": webhook["url"],
            "events": ", ".join(webhook["events"]),
            "owner": webhook["owner"],
            "created": output.short_time(webhook["created_at"]),
            "secret": webhook.get("secret"),
        }
    )


def _print_list(answer: Mapping[str, Any]) -> None:
    table = Table("webhook", "url", "events", "created", "owner", box=None)
    for one in answer["webhooks"]:
        created = output.short_time(one["created_at"])
        events = ", ".join(one["events"])
        table.add_row(one["webhook_id"], one["url"], events, created, one["owner"])
    output.console.print(table)


def _print_deliveries(deliveries: Iterable[Mapping[str, Any]]) -> None:
    table = Table("delivery", "event", "job", "state", "created", "tries", "last", box=None)
    for one in deliveries:
        last = one["tries"][-1] if one["tries"] else {}
        table.add_row(
            one["delivery_id"],
            one["event"],
            one["job_id"] or "",
            output.styled(one["state"]),
            output.short_time(one["created_at"]),
            str(len(one["tries"])),
            " ".join(str(last[name]) for name in ("status_code", "error") if last.get(name)),
        )
    output.console.print(table)
