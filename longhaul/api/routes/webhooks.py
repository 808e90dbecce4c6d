"""The webhook routes, mounted under /api/v1/webhooks."""

from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Depends

from longhaul.adapters.postgres.object_audit import Audited
from longhaul.api.routes.dependencies import Caller, Cursor, Limit, Serving, uuid_or_absent
from longhaul.api.schemas import ObjectHistory
from longhaul.api.webhook_schemas import (
    CreatedWebhook,
    DeliveryList,
    DeliveryView,
    WebhookList,
    WebhookRequest,
    WebhookView,
)

router = APIRouter()


def webhook_id_of(webhook_id: str) -> str:
    """The id of a webhook."""
    return uuid_or_absent(webhook_id, "There is no such webhook.")


def delivery_id_of(delivery_id: str) -> str:
    """The id of a delivery."""
    return uuid_or_absent(delivery_id, "The webhook has no such delivery.")


WebhookId = Annotated[str, Depends(webhook_id_of)]
DeliveryId = Annotated[str, Depends(delivery_id_of)]


@router.post("", status_code=HTTPStatus.CREATED)
async def create_webhook(body: WebhookRequest, caller: Caller, serving: Serving) -> CreatedWebhook:
    """Create a webhook for your jobs. The answer has the secret, which is not shown again."""
    return await serving.webhooks.create(caller, body.url, body.events)


@router.get("")
async def list_webhooks(caller: Caller, serving: Serving) -> WebhookList:
    """The caller's webhooks; an Admin's list has everyone's."""
    return await serving.webhooks.list(caller)


@router.get("/{webhook_id}")
async def read_webhook(webhook_id: WebhookId, caller: Caller, serving: Serving) -> WebhookView:
    """One webhook, without its secret."""
    return await serving.webhooks.show(caller, webhook_id)


@router.post("/{webhook_id}/test", status_code=HTTPStatus.ACCEPTED)
async def test_webhook(webhook_id: WebhookId, caller: Caller, serving: Serving) -> DeliveryView:
    """Send the event `webhook.test`, whatever events the webhook listens to."""
    return await serving.webhooks.test(caller, webhook_id)


@router.get("/{webhook_id}/history")
async def read_webhook_history(
    webhook_id: WebhookId,
    caller: Caller,
    serving: Serving,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> ObjectHistory:
    """The audit of a webhook, oldest first, also of a deleted one."""
    return await serving.object_audit.of(
        caller, Audited.WEBHOOK, webhook_id, limit=limit, cursor=cursor
    )


@router.delete("/{webhook_id}", status_code=HTTPStatus.NO_CONTENT)
async def delete_webhook(webhook_id: WebhookId, caller: Caller, serving: Serving) -> None:
    """Delete a webhook and its deliveries."""
    await serving.webhooks.delete(caller, webhook_id)


@router.get("/{webhook_id}/deliveries")
async def list_deliveries(
    webhook_id: WebhookId,
    caller: Caller,
    serving: Serving,
    state: Literal["pending", "delivered", "failed"] | None = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> DeliveryList:
    """The deliveries, newest first, with every try."""
    return await serving.webhooks.deliveries(caller, webhook_id, state, limit=limit, cursor=cursor)


@router.post(
    "/{webhook_id}/deliveries/{delivery_id}/redeliver",
    status_code=HTTPStatus.ACCEPTED,
)
async def redeliver(
    webhook_id: WebhookId, delivery_id: DeliveryId, caller: Caller, serving: Serving
) -> DeliveryView:
    """Send a delivery again, under its id."""
    return await serving.webhooks.redeliver(caller, webhook_id, delivery_id)
