"""Webhooks for people: create, list, delete; list deliveries and repeat them."""

from collections.abc import Callable, Sequence
from uuid import uuid4

from longhaul.adapters.postgres.webhooks import PostgresWebhooks
from longhaul.adapters.sealing import Sealer
from longhaul.api.cursors import cut, read_job_cursor
from longhaul.api.webhook_schemas import (
    CreatedWebhook,
    DeliveryList,
    DeliveryView,
    WebhookList,
    WebhookView,
)
from longhaul.core.errors import InvalidInput, NotFound
from longhaul.core.ports import Row
from longhaul.core.principals import Principal
from longhaul.core.webhooks import check_url, new_secret

MAX_OF_ONE_OWNER = 20


class Webhooks:
    """The webhooks of each person, for that person.

    Args:
        wake: Tells the deliverer that a delivery is due.
    """

    def __init__(
        self,
        *,
        store: PostgresWebhooks,
        sealer: Sealer,
        allow_private: bool,
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self._sealer = sealer
        self._allow_private = allow_private
        self._wake = wake

    async def create(self, principal: Principal, url: str, events: Sequence[str]) -> CreatedWebhook:
        """Store a webhook; its secret is only shown now.

        Raises:
            InvalidInput: The address is not allowed, or the caller has the most webhooks.
        """
        check_url(url, allow_private=self._allow_private)
        if not self._sealer.can_seal:
            raise InvalidInput(
                "This installation has no key to encrypt secrets: set LONGHAUL_WEBHOOKS__KEYS."
            )
        webhook_id, secret = str(uuid4()), new_secret()
        row = await self._store.add(
            webhook_id=webhook_id,
            owner=principal,
            url=url,
            events=events,
            sealed=self._sealer.seal(secret, webhook_id),
            at_most=MAX_OF_ONE_OWNER,
        )
        if row is None:
            raise InvalidInput(f"You have {MAX_OF_ONE_OWNER} webhooks; delete one first.")
        return {**_webhook(row), "secret": secret}

    async def list(self, principal: Principal) -> WebhookList:
        """The caller's webhooks; an Admin's list has everyone's."""
        owner = None if principal.is_admin else principal.sub
        return {"webhooks": [_webhook(row) for row in await self._store.of_owner(owner)]}

    async def show(self, principal: Principal, webhook_id: str) -> WebhookView:
        """One webhook.

        Raises:
            NotFound: The caller has no such webhook.
        """
        return _webhook(await self._find(principal, webhook_id))

    async def test(self, principal: Principal, webhook_id: str) -> DeliveryView:
        """Send a test event, without a job.

        Raises:
            NotFound: The caller has no such webhook.
        """
        webhook = await self._find(principal, webhook_id)
        row = await self._store.test(webhook, principal.sub)
        self._wake()
        return _delivery(row, ())

    async def delete(self, principal: Principal, webhook_id: str) -> None:
        """Delete a webhook with its deliveries.

        Raises:
            NotFound: The caller has no such webhook.
        """
        await self._find(principal, webhook_id)
        await self._store.delete(webhook_id, principal.sub)

    async def deliveries(
        self,
        principal: Principal,
        webhook_id: str,
        state: str | None,
        *,
        limit: int,
        cursor: str | None,
    ) -> DeliveryList:
        """One page of a webhook's deliveries, newest first.

        Raises:
            NotFound: The caller has no such webhook.
            MalformedRequest: The cursor cannot be read.
        """
        after = read_job_cursor(cursor)
        await self._find(principal, webhook_id)
        found = await self._store.deliveries(webhook_id, state, limit=limit + 1, after=after)
        page, next_cursor = cut(found, limit, lambda one: (one[0]["created_at"], one[0]["id"]))
        return {
            "deliveries": [_delivery(row, tries) for row, tries in page],
            "next_cursor": next_cursor,
        }

    async def redeliver(
        self, principal: Principal, webhook_id: str, delivery_id: str
    ) -> DeliveryView:
        """Send a delivery again, under its id.

        Raises:
            NotFound: The caller has no such webhook, or it has no such delivery.
        """
        webhook = await self._find(principal, webhook_id)
        row, tries = await self._store.redeliver(webhook, delivery_id, principal.sub)
        self._wake()
        return _delivery(row, tries)

    async def _find(self, principal: Principal, webhook_id: str) -> Row:
        row = await self._store.read(webhook_id)
        if row is None or not (principal.is_admin or row["owner"] == principal.sub):
            raise NotFound("There is no such webhook.")
        return row


def _webhook(row: Row) -> WebhookView:
    return {
        "webhook_id": str(row["id"]),
        "owner": row["owner"],
        "url": row["url"],
        "events": row["events"],
        "created_at": row["created_at"],
    }


def _delivery(row: Row, tries: Sequence[Row]) -> DeliveryView:
    return {
        "delivery_id": str(row["id"]),
        "event": row["event"],
        "job_id": str(row["job_id"]) if row["job_id"] else None,
        "state": row["state"],
        "created_at": row["created_at"],
        "next_try_at": row["due_at"] if row["state"] == "pending" else None,
        "ended_at": row["ended_at"],
        "tries": [
            {
                "time": one["time"],
                "status_code": one["status_code"],
                "error": one["error"],
                "duration_ms": one["duration_ms"],
            }
            for one in tries
        ],
    }
