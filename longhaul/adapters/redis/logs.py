"""The live tail of a job's log: `job:logs:{id}`, a capped stream."""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from pydantic_core import from_json, to_json
from redis.asyncio import Redis

from longhaul.adapters.redis.connection import Expendable

MAX_LINES = 1_000
TTL = timedelta(days=1)

_AT_ONCE = 200


class RedisLogTail:
    """Appends lines in the background; what cannot be written is dropped.

    Lines that come together are sent in one round trip: a connection for each would leave none
    for the pause flags.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = Expendable(redis)
        self._waiting: deque[tuple[str, bytes]] = deque(maxlen=MAX_LINES)
        self._writer: asyncio.Task[None] | None = None

    def write(self, job_id: str, level: str, event: str, **fields: object) -> None:
        """Append a line without waiting for it."""
        line = {
            "time": datetime.now(UTC).isoformat(),
            "level": level,
            "event": event,
            "item_key": fields.pop("item_key", None),
            "fields": fields,
        }
        self._waiting.append((job_id, to_json(line, serialize_unknown=True)))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_waiting())

    async def _write_waiting(self) -> None:
        while self._waiting:
            count = min(_AT_ONCE, len(self._waiting))
            lines = [self._waiting.popleft() for _ in range(count)]
            await self._redis.ask(partial(_append, lines=lines))

    async def read(self, job_id: str, limit: int) -> Sequence[Mapping[str, Any]]:
        """The newest lines, oldest first; empty when the tail cannot be read."""
        entries: Any = await self._redis.ask(
            lambda redis: redis.xrevrange(_key(job_id), count=limit)
        )
        return [from_json(fields["line"]) for _, fields in reversed(entries or [])]


async def _append(redis: Redis, lines: Sequence[tuple[str, bytes]]) -> None:
    async with redis.pipeline(transaction=False) as pipeline:
        for job_id, line in lines:
            pipeline.xadd(_key(job_id), {"line": line}, maxlen=MAX_LINES, approximate=True)
        for job_id in {job_id for job_id, _ in lines}:
            pipeline.expire(_key(job_id), TTL)
        await pipeline.execute()


def _key(job_id: str) -> str:
    return f"job:logs:{job_id}"
