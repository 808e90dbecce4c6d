"""The job_item table: one row per item, frozen when the job is planned."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import asyncpg

from longhaul.core.chunks import Span
from longhaul.core.errors import InvalidInput
from longhaul.core.items import Done, Failed, Item, ItemOutcome, NewItem, Skipped
from longhaul.core.jobs import CallTotals, Counts
from longhaul.core.messages import Page
from longhaul.core.ports import Database, Row, Transaction

# Limits of one page of spans: its size in the message, and the rows that are read.
PAGE_SPANS = 500
PAGE_ORDINALS = 200_000

# The type lists its items in the same transaction, so COPY runs in parts.
COPY_ITEMS = 5_000

# For statements over all rows of a job: after a time-out they would only start again.
WHOLE_JOB = timedelta(minutes=10)

_OPEN_PAGE = """
SELECT min(ordinal) AS first, max(ordinal) AS last
FROM (
    SELECT ordinal, ordinal - row_number() OVER (ORDER BY ordinal) AS island
    FROM job_item WHERE job_id = $1 AND ordinal >= $2 AND state = 'open'
    ORDER BY ordinal LIMIT $3
) AS open
GROUP BY island ORDER BY first LIMIT $4
"""

_OPEN_ITEMS = """
SELECT ordinal, item_key, label, payload, losses FROM job_item
WHERE job_id = $1 AND ordinal BETWEEN $2 AND $3 AND state = 'open'
ORDER BY ordinal LIMIT $4
"""

# The ordinals are sorted, so that two writers of the same rows hardly ever deadlock; if they do,
# one of them gets an error and writes again. The job's id is hidden in the CTE because the
# server, without statistics of a new job's rows, would read the whole job for a batch.
_END = """
WITH e AS MATERIALIZED (
    SELECT $1::uuid AS job_id, *
    FROM unnest($2::integer[], $3::text[], $4::text[], $5::text[], $6::jsonb[], $7::integer[],
                $8::smallint[])
        AS e (ordinal, state, error_code, error_message, output, duration_ms, tries)
)
UPDATE job_item AS i
SET state = e.state, error_code = e.error_code, error_message = e.error_message,
    output = e.output, duration_ms = e.duration_ms, attempts = i.attempts + e.tries,
    updated_at = clock_timestamp()
FROM e WHERE i.job_id = e.job_id AND i.ordinal = e.ordinal AND i.state = 'open'
RETURNING i.ordinal
"""

_COUNT = """
SELECT count(*) AS total,
       count(*) FILTER (WHERE state = 'done') AS done,
       count(*) FILTER (WHERE state = 'failed') AS failed,
       count(*) FILTER (WHERE state = 'skipped') AS skipped
FROM job_item WHERE job_id = $1
"""

# The call before may have ended after this one was sent: its worker only seemed dead.
_CALLS = """
SELECT count(*) AS made,
       count(*) FILTER (WHERE before = 'sent') AS repeated,
       count(*) FILTER (WHERE before = 'failed') AS retried,
       coalesce(sum(input_tokens), 0) AS input_tokens,
       coalesce(sum(output_tokens), 0) AS output_tokens,
       sum(cost_usd) AS cost_usd
FROM (
    SELECT *, coalesce(follows, lag(state) OVER (PARTITION BY attempt, ordinal, step ORDER BY try))
                  AS before
    FROM llm_call WHERE job_id = $1
) AS calls
"""

_REOPEN_FAILED = """
UPDATE job_item SET state = 'open', error_code = NULL, error_message = NULL, output = NULL,
    losses = 0, updated_at = clock_timestamp()
WHERE job_id = $1 AND state = 'failed'
"""

_REOPEN = f"""
WITH reopened AS (
    {_REOPEN_FAILED} AND item_key = ANY ($2::text[])
    RETURNING item_key
)
SELECT item_key FROM reopened
UNION ALL
SELECT item_key FROM job_item WHERE job_id = $1 AND state = 'open' AND item_key = ANY ($2)
"""

_FIND = """
SELECT ordinal, item_key, label, payload, losses FROM job_item WHERE job_id = $1 AND item_key = $2
"""

_NOTE_LOSSES = """
UPDATE job_item SET losses = $3 WHERE job_id = $1 AND ordinal = $2 AND state = 'open'
"""


_TAKE_LOSS_BACK = """
UPDATE job_item SET losses = losses - 1
WHERE job_id = $1 AND ordinal = $2 AND losses = $3 AND state = 'open'
"""


class PostgresLedger:
    """Keeps the items of jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def hold_plan(self, tx: Transaction, job_id: str) -> None:
        """Keep other planners of the job out until the transaction ends."""
        await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", job_id)

    async def add(self, tx: Transaction, job_id: str, items: AsyncIterator[NewItem]) -> int:
        """Store the items of a job in their order and return how many there are."""
        count = 0
        batch: list[tuple[object, ...]] = []
        async for item in items:
            batch.append((job_id, count, item.key, item.label, item.payload))
            count += 1
            if len(batch) == COPY_ITEMS:
                await _copy(tx, batch)
                batch = []
        await _copy(tx, batch)
        return count

    async def open_page(self, tx: Transaction, job_id: str, after: int) -> Page:
        """The open spans from ordinal `after` on, as many as fit into one message."""
        rows = await tx.fetch(_OPEN_PAGE, job_id, after, PAGE_ORDINALS, PAGE_SPANS)
        spans = [Span(row["first"], row["last"]) for row in rows]
        seen = sum(span.size for span in spans)
        cut_off = len(spans) == PAGE_SPANS or seen == PAGE_ORDINALS
        return Page(spans=spans, after=spans[-1].last + 1 if cut_off else None)

    async def open_items(
        self, job_id: str, first: int, last: int, limit: int | None
    ) -> Sequence[Item]:
        """The open items between two ordinals, in order."""
        async with self._database.begin() as tx:
            rows = await tx.fetch(_OPEN_ITEMS, job_id, first, last, limit)
        return [_item(row) for row in rows]

    async def end(self, tx: Transaction, job_id: str, ended: Sequence[ItemOutcome]) -> set[int]:
        """Write results over open items and return the ordinals that were still open."""
        ended = sorted(ended, key=lambda one: one.item.ordinal)
        rows = await tx.fetch(
            _END,
            job_id,
            [one.item.ordinal for one in ended],
            [one.state for one in ended],
            [one.result.code if isinstance(one.result, Failed) else None for one in ended],
            [_message(one) for one in ended],
            [one.result.output if isinstance(one.result, Done) else None for one in ended],
            [one.duration_ms for one in ended],
            [one.tries for one in ended],
        )
        return {row["ordinal"] for row in rows}

    async def count(self, tx: Transaction, job_id: str) -> tuple[Counts, CallTotals]:
        """Count the items of a job by state, and add up its calls."""
        counts = await self.count_items(tx, job_id)
        (calls,) = await tx.fetch(_CALLS, job_id, within=WHOLE_JOB)
        return counts, CallTotals(**calls)

    async def count_items(self, tx: Transaction, job_id: str) -> Counts:
        """Count the items of a job by state."""
        (items,) = await tx.fetch(_COUNT, job_id, within=WHOLE_JOB)
        return Counts(**items)

    async def reopen_failed(self, tx: Transaction, job_id: str) -> int:
        """Open all failed items again and return how many there were."""
        return await tx.execute(_REOPEN_FAILED, job_id, within=WHOLE_JOB)

    async def reopen(self, tx: Transaction, job_id: str, keys: Sequence[str]) -> Sequence[str]:
        """Open the named failed items again.

        Returns:
            Their keys, and those of named items that are already open.
        """
        rows = await tx.fetch(_REOPEN, job_id, keys)
        return [row["item_key"] for row in rows]

    async def find(self, tx: Transaction, job_id: str, key: str) -> Item | None:
        """An item, whatever its state."""
        rows = await tx.fetch(_FIND, job_id, key)
        return _item(rows[0]) if rows else None

    async def note_losses(self, job_id: str, ordinal: int, losses: int) -> None:
        """Note how often a worker may have died over an item, if it is still open."""
        async with self._database.begin() as tx:
            await tx.execute(_NOTE_LOSSES, job_id, ordinal, losses)

    async def take_loss_back(self, job_id: str, ordinal: int, losses: int) -> None:
        """Count one loss less, if it is still `losses`."""
        async with self._database.begin() as tx:
            await tx.execute(_TAKE_LOSS_BACK, job_id, ordinal, losses)


async def _copy(tx: Transaction, batch: list[tuple[object, ...]]) -> None:
    try:
        await tx.copy("job_item", ["job_id", "ordinal", "item_key", "label", "payload"], batch)
    except asyncpg.UniqueViolationError:
        raise InvalidInput(
            "Two items of the job have the same key; the job type must list each once."
        ) from None


def _message(ended: ItemOutcome) -> str | None:
    match ended.result:
        case Failed(sentence=sentence):
            return sentence
        case Skipped(reason=reason):
            return reason
        case Done():
            return None


def _item(row: Row) -> Item:
    return Item(
        ordinal=row["ordinal"],
        key=row["item_key"],
        label=row["label"],
        payload=row["payload"] or {},
        losses=row["losses"],
    )
