"""Requests and answers about webhooks."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints
from typing_extensions import TypedDict

from longhaul.api.schemas import Request
from longhaul.core.notices import Event


class WebhookRequest(Request):
    """Asks for events of the caller's jobs; for all events if none are named."""

    url: Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
    events: list[Event] = Field(default_factory=lambda: list(Event), min_length=1)


class WebhookView(TypedDict):
    """One webhook, without its secret."""

    webhook_id: str
    owner: str
    url: str
    events: list[str]
    created_at: datetime


class CreatedWebhook(WebhookView):
    """A new webhook, with its secret, which is only shown now."""

    secret: str


class WebhookList(TypedDict):
    """Webhooks, oldest first."""

    webhooks: list[WebhookView]


class TryView(TypedDict):
    """One try of a delivery; `error` is null for an answer of 2xx."""

    time: datetime
    status_code: int | None
    error: str | None
    duration_ms: int


class DeliveryView(TypedDict):
    """One event for one webhook; a test has no job."""

    delivery_id: str
    event: str
    job_id: str | None
    state: str
    created_at: datetime
    next_try_at: datetime | None
    ended_at: datetime | None
    tries: list[TryView]


class DeliveryList(TypedDict):
    """One page of deliveries, newest first."""

    deliveries: list[DeliveryView]
    next_cursor: str | None
