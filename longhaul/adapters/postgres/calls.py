"""The llm_call table: every paid request, noted before it is sent and after its answer."""

import asyncpg

from longhaul.core.calls import CallPlace, ModelReply, ModelRequest, SentCall
from longhaul.core.errors import Fenced, Unavailable
from longhaul.core.ports import CountChanges, Database, Jobs, Transaction

_PLACE = "job_id = $1 AND ordinal = $2 AND attempt = $3 AND step = $4"

_REUSABLE = f"""
SELECT reply, reply_model, input_tokens, output_tokens, cached_tokens, cost_usd
FROM llm_call WHERE {_PLACE} AND state = 'answered' AND fingerprint = $5
ORDER BY try DESC LIMIT 1
"""

_EARLIER = f"SELECT try, token, state FROM llm_call WHERE {_PLACE} ORDER BY try"

_SENT = """
INSERT INTO llm_call
    (job_id, ordinal, attempt, step, try, follows, token, provider, model, fingerprint, sent_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, clock_timestamp())
"""

_ANSWERED = f"""
UPDATE llm_call SET state = 'answered', reply = $6, reply_model = $7, input_tokens = $8,
    output_tokens = $9, cached_tokens = $10, cost_usd = $11, duration_ms = $12,
    ended_at = clock_timestamp()
WHERE {_PLACE} AND token = $5 AND state = 'sent'
"""

_FAILED = f"""
UPDATE llm_call SET state = 'failed', failure = $6, duration_ms = $7, ended_at = clock_timestamp()
WHERE {_PLACE} AND token = $5 AND state = 'sent'
"""


class PostgresCallJournal:
    """Journals calls and keeps the job's call counters in the same transactions."""

    def __init__(self, database: Database, jobs: Jobs) -> None:
        self._database = database
        self._jobs = jobs

    async def reusable(self, place: CallPlace, fingerprint: str) -> ModelReply | None:
        """The earlier answer to an equal request in this place, if there is one."""
        async with self._database.begin() as tx:
            rows = await tx.fetch(_REUSABLE, *_place(place), fingerprint)
        if not rows:
            return None
        (row,) = rows
        return ModelReply(
            text=row["reply"],
            model=row["reply_model"],
            input_tokens=row["input_tokens"],
            output_tokens=row["output_tokens"],
            cached_tokens=row["cached_tokens"],
            cost_usd=row["cost_usd"],
        )

    async def sent(self, call: SentCall, request: ModelRequest, fingerprint: str) -> None:
        """Commit that a request is about to be sent."""
        place = _place(call.place)
        async with self._database.begin() as tx:
            earlier = await tx.fetch(_EARLIER, *place)
            if any(str(row["token"]) == call.token for row in earlier):
                return
            last_try = earlier[-1]["try"] if earlier else 0
            last_state = earlier[-1]["state"] if earlier else None
            try:
                await tx.execute(
                    _SENT,
                    *place,
                    last_try + 1,
                    last_state,
                    call.token,
                    request.provider,
                    request.model,
                    fingerprint,
                )
            except asyncpg.UniqueViolationError as exc:
                # A frozen worker woke up and calls for the same item at the same moment.
                raise Unavailable("Two workers called for one item; one tries again.") from exc
            counted = await self._count(
                tx,
                call,
                CountChanges(
                    calls_made=1,
                    calls_repeated=int(last_state == "sent"),
                    calls_retried=int(last_state == "failed"),
                ),
            )
            if not counted:
                raise Fenced

    async def answered(self, call: SentCall, reply: ModelReply, duration_ms: int) -> None:
        """Commit the answer, its tokens and its cost."""
        async with self._database.begin() as tx:
            written = await tx.execute(
                _ANSWERED,
                *_place(call.place),
                call.token,
                reply.text,
                reply.model,
                reply.input_tokens,
                reply.output_tokens,
                reply.cached_tokens,
                reply.cost_usd,
                duration_ms,
            )
            if written:
                # The answer is stored even when the epoch has moved on: it was paid for. The
                # totals then leave it out, until `finish` adds up the whole journal.
                await self._count(
                    tx,
                    call,
                    CountChanges(
                        input_tokens=reply.input_tokens,
                        output_tokens=reply.output_tokens,
                        cost_usd=reply.cost_usd,
                    ),
                )

    async def failed(self, call: SentCall, reason: str, duration_ms: int) -> None:
        """Commit that the provider gave no answer."""
        async with self._database.begin() as tx:
            await tx.execute(_FAILED, *_place(call.place), call.token, reason, duration_ms)

    async def _count(self, tx: Transaction, call: SentCall, changes: CountChanges) -> bool:
        place = call.place
        return await self._jobs.count(tx, place.job_id, place.epoch, changes) is not None


def _place(place: CallPlace) -> tuple[str, int, int, str]:
    return place.job_id, place.ordinal, place.attempt, place.step
