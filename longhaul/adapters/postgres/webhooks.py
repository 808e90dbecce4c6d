"""Webhooks, and the outbox of their deliveries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from longhaul.adapters.postgres.object_audit import Audited, note_change
from longhaul.adapters.postgres.outbox import TIME
from longhaul.core.errors import NotFound
from longhaul.core.notices import TEST_EVENT
from longhaul.core.ports import Database, Row
from longhaul.core.principals import Principal
from longhaul.core.webhooks import Try

# Longer than any delivery takes; after that the lease of a process that died expires.
LEASE = timedelta(seconds=30)

# A slow target must leave room for the others.
AT_ONCE_TO_ONE = 4

_ADD = """
INSERT INTO webhook (id, owner, roles, lob, url, events, sealed_secret, created_at)
SELECT $1, $2, $3, $4, $5, $6, $7, clock_timestamp()
WHERE (SELECT count(*) FROM webhook WHERE owner = $2) < $8 RETURNING *
"""

_DUE = "state = 'pending' AND due_at <= statement_timestamp()"

# A few of each webhook at most, and the webhooks take turns: those with least in flight first.
# What another process has leased since is looked at again under the lock.
_LEASE = f"""
WITH chosen AS (
    SELECT due.id
    FROM webhook
    LEFT JOIN unnest($3::uuid[], $4::integer[]) AS busy (id, in_flight) USING (id)
    CROSS JOIN LATERAL (
        SELECT id, due_at, row_number() OVER (ORDER BY due_at) AS number FROM (
            SELECT id, due_at FROM webhook_delivery
            WHERE webhook_id = webhook.id AND {_DUE}
            ORDER BY due_at LIMIT greatest(0, $5 - coalesce(busy.in_flight, 0))
        ) AS first
    ) AS due
    ORDER BY coalesce(busy.in_flight, 0) + due.number, due.due_at LIMIT $1
), leased AS (
    UPDATE webhook_delivery SET due_at = clock_timestamp() + $2, tries = tries + 1
    WHERE id IN (
        SELECT id FROM webhook_delivery WHERE id IN (SELECT id FROM chosen) AND {_DUE}
        FOR UPDATE SKIP LOCKED
    )
    RETURNING *
)
SELECT leased.id, leased.webhook_id, leased.payload, leased.tries,
    webhook.url, webhook.sealed_secret
FROM leased JOIN webhook ON webhook.id = leased.webhook_id
"""

_LOG = """
INSERT INTO webhook_try (delivery_id, time, status_code, error, duration_ms)
SELECT id, clock_timestamp(), $2, $3, $4 FROM webhook_delivery WHERE id = $1
"""

_DELIVERED = """
UPDATE webhook_delivery SET state = 'delivered', ended_at = clock_timestamp()
WHERE id = $1 AND state = 'pending'
"""

# Not if the lease was lost: then another process decides.
_NOT_DELIVERED = """
UPDATE webhook_delivery SET
    state = CASE WHEN $3::interval IS NULL THEN 'failed' ELSE state END,
    ended_at = CASE WHEN $3 IS NULL THEN clock_timestamp() END,
    due_at = coalesce(clock_timestamp() + $3, due_at)
WHERE id = $1 AND tries = $2 AND state = 'pending'
"""

_REDELIVER = """
UPDATE webhook_delivery SET state = 'pending', tries = 0, due_at = clock_timestamp(),
    ended_at = NULL
WHERE id = $1 AND webhook_id = $2 RETURNING *
"""

_TEST = f"""
INSERT INTO webhook_delivery (id, webhook_id, event, payload, due_at, created_at)
SELECT gen_random_uuid(), $1, '{TEST_EVENT}', jsonb_build_object(
    'event', '{TEST_EVENT}', 'time', {TIME}, 'job', NULL, 'details', '{{}}'::jsonb), t, t
FROM (SELECT clock_timestamp() AS t) AS now
RETURNING *
"""

_TRIES = "SELECT * FROM webhook_try WHERE delivery_id = ANY ($1) ORDER BY id"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasedDelivery:
    """A delivery for this process to send.

    Attributes:
        number: Which try this is, from 1.
    """

    id: str
    webhook_id: str
    url: str
    sealed_secret: bytes
    payload: dict[str, Any]
    number: int


class PostgresWebhooks:
    """Stores webhooks, leases their deliveries, and stores the results."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self,
        *,
        webhook_id: str,
        owner: Principal,
        url: str,
        events: Sequence[str],
        sealed: bytes,
        at_most: int,
    ) -> Row | None:
        """Store a webhook; None when the owner has the allowed number."""
        async with self._database.begin() as tx:
            # One at a time for each owner, or two at once could exceed the limit.
            await tx.execute("SELECT pg_advisory_xact_lock(hashtext($1))", f"webhook:{owner.sub}")
            rows = await tx.fetch(
                _ADD,
                webhook_id,
                owner.sub,
                sorted(owner.roles),
                owner.lob,
                url,
                list(events),
                sealed,
                at_most,
            )
            if not rows:
                return None
            details = {"events": list(events), "host": urlsplit(url).hostname}
            await note_change(tx, Audited.WEBHOOK, rows[0], "created", owner.sub, details)
        return rows[0]

    async def of_owner(self, owner: str | None) -> Sequence[Row]:
        """The webhooks of one owner, or of everybody."""
        async with self._database.begin() as tx:
            return await tx.fetch(
                "SELECT * FROM webhook WHERE $1::text IS NULL OR owner = $1 "
                "ORDER BY created_at, id",
                owner,
            )

    async def read(self, webhook_id: str) -> Row | None:
        """One webhook."""
        async with self._database.begin() as tx:
            rows = await tx.fetch("SELECT * FROM webhook WHERE id = $1", webhook_id)
        return rows[0] if rows else None

    async def delete(self, webhook_id: str, by: str) -> None:
        """Delete a webhook with its deliveries."""
        async with self._database.begin() as tx:
            rows = await tx.fetch("DELETE FROM webhook WHERE id = $1 RETURNING *", webhook_id)
            for row in rows:
                await note_change(tx, Audited.WEBHOOK, row, "deleted", by, {})
            await tx.execute("DELETE FROM webhook_delivery WHERE webhook_id = $1", webhook_id)

    async def test(self, webhook: Row, by: str) -> Row:
        """Queue a test event for a webhook, whatever its events."""
        async with self._database.begin() as tx:
            (delivery,) = await tx.fetch(_TEST, webhook["id"])
            await note_change(tx, Audited.WEBHOOK, webhook, "tested", by, {})
        return delivery

    async def deliveries(
        self, webhook_id: str, state: str | None, *, limit: int, after: tuple[datetime, str] | None
    ) -> list[tuple[Row, list[Row]]]:
        """One page of deliveries, newest first, each with its tries."""
        time, last = after or (None, None)
        async with self._database.begin() as tx:
            rows = await tx.fetch(
                "SELECT * FROM webhook_delivery WHERE webhook_id = $1 "
                "AND ($2::text IS NULL OR state = $2) "
                "AND ($3::timestamptz IS NULL OR (created_at, id) < ($3, $4::uuid)) "
                "ORDER BY created_at DESC, id DESC LIMIT $5",
                webhook_id,
                state,
                time,
                last,
                limit,
            )
            tries = await tx.fetch(_TRIES, [row["id"] for row in rows])
        return [(row, [one for one in tries if one["delivery_id"] == row["id"]]) for row in rows]

    async def redeliver(self, webhook: Row, delivery_id: str, by: str) -> tuple[Row, list[Row]]:
        """Queue a delivery again, with a full number of tries.

        Raises:
            NotFound: The webhook has no such delivery.
        """
        async with self._database.begin() as tx:
            rows = await tx.fetch(_REDELIVER, delivery_id, webhook["id"])
            if not rows:
                raise NotFound("The webhook has no such delivery.")
            details = {"delivery_id": delivery_id}
            await note_change(tx, Audited.WEBHOOK, webhook, "redelivered", by, details)
            return rows[0], list(await tx.fetch(_TRIES, [rows[0]["id"]]))

    async def lease(
        self, limit: int, in_flight: Mapping[str, int] = MappingProxyType({})
    ) -> list[LeasedDelivery]:
        """Take due deliveries.

        Args:
            in_flight: How many the caller is sending, by webhook; with these none gets more
                than `AT_ONCE_TO_ONE`.
        """
        busy = [list(in_flight), list(in_flight.values())]
        async with self._database.begin() as tx:
            rows = await tx.fetch(_LEASE, limit, LEASE, *busy, AT_ONCE_TO_ONE)
        return [
            LeasedDelivery(
                id=str(row["id"]),
                webhook_id=str(row["webhook_id"]),
                url=row["url"],
                sealed_secret=row["sealed_secret"],
                payload=row["payload"],
                number=row["tries"],
            )
            for row in rows
        ]

    async def record(
        self, delivery: LeasedDelivery, result: Try, again_in: timedelta | None
    ) -> None:
        """Log a try, and end the delivery or make it due again."""
        async with self._database.begin() as tx:
            await tx.execute(
                _LOG, delivery.id, result.status_code, result.error, result.duration_ms
            )
            if result.error is None:
                await tx.execute(_DELIVERED, delivery.id)
            else:
                await tx.execute(_NOT_DELIVERED, delivery.id, delivery.number, again_in)
