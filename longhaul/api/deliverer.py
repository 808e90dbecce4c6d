"""Sends the deliveries of the outbox: a task in every API process, each delivery leased by one."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from pydantic_core import to_json

from longhaul.adapters.http.webhook_sender import WebhookSender
from longhaul.adapters.postgres.webhooks import LeasedDelivery, PostgresWebhooks
from longhaul.adapters.sealing import CannotOpen, Sealer
from longhaul.core.errors import Unavailable
from longhaul.core.ports import ErrorReporter
from longhaul.core.tasks import cancel_and_wait
from longhaul.core.webhooks import WAITS, Try, signed_headers

AT_ONCE = 16
LOOK_EVERY = timedelta(seconds=1)

# So that deliveries that failed together are not tried again together.
_JITTER = 0.1


class Deliverer:
    """Delivers at least once; receivers know a repeated delivery by its id.

    Args:
        waits: How long to wait after each failed try; after the last, the delivery has failed.
    """

    def __init__(
        self,
        *,
        webhooks: PostgresWebhooks,
        sender: WebhookSender,
        sealer: Sealer,
        errors: ErrorReporter,
        waits: Sequence[timedelta] = WAITS,
    ) -> None:
        self._webhooks = webhooks
        self._sender = sender
        self._sealer = sealer
        self._errors = errors
        self._waits = waits
        self._due = asyncio.Event()
        self._sending: dict[asyncio.Task[None], str] = {}

    def wake(self) -> None:
        """Look for due deliveries now."""
        self._due.set()

    async def run(self) -> None:
        """Send what is due until cancelled."""
        try:
            while True:
                self._due.clear()
                try:
                    await self._start_due()
                except Unavailable:
                    pass
                except Exception as exc:  # noqa: BLE001 - one bad delivery must not stop all
                    self._errors.file(exc, step="deliver")
                try:
                    async with asyncio.timeout(LOOK_EVERY.total_seconds()):
                        await self._due.wait()
                except TimeoutError:
                    continue
        finally:
            await cancel_and_wait(list(self._sending))

    async def _start_due(self) -> None:
        room = AT_ONCE - len(self._sending)
        if not room:
            return
        for delivery in await self._webhooks.lease(room, Counter(self._sending.values())):
            task = asyncio.create_task(self._deliver(delivery))
            self._sending[task] = delivery.webhook_id
            task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        del self._sending[task]
        # There was no room, or none for this target, until now.
        self._due.set()

    async def _deliver(self, delivery: LeasedDelivery) -> None:
        result = await self._try(delivery)
        try:
            await self._webhooks.record(delivery, result, self._again_in(delivery, result))
        except Unavailable:
            # The lease runs out, and the same delivery is sent again.
            return
        except Exception as exc:  # noqa: BLE001 - as above
            self._errors.file(exc, step="deliver")

    async def _try(self, delivery: LeasedDelivery) -> Try:
        try:
            return await self._send(delivery)
        except Exception as exc:  # noqa: BLE001 - an internal fault counts as a try, or it repeats for ever
            self._errors.file(exc, step="deliver")
            return Try(error="fault")

    async def _send(self, delivery: LeasedDelivery) -> Try:
        try:
            secret = self._sealer.open(delivery.sealed_secret, delivery.webhook_id)
        except CannotOpen:
            return Try(error="secret_lost", is_final=True)
        body = to_json({"id": delivery.id, **delivery.payload})
        headers = signed_headers(secret, delivery.id, int(time.time()), body)
        return await self._sender.send(delivery.url, headers, body)

    def _again_in(self, delivery: LeasedDelivery, result: Try) -> timedelta | None:
        if result.is_final or delivery.number > len(self._waits):
            return None
        return self._waits[delivery.number - 1] * random.uniform(1 - _JITTER, 1 + _JITTER)
