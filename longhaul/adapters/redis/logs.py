"""The live tail of a job's log: `job:logs:{id}`, a capped stream."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic_core import from_json, to_json
from redis.asyncio import Redis

from longhaul.adapters.redis.connection import Expendable

MAX_LINES = 1_000
TTL = timedelta(days=1)


class RedisLogTail:
    """Appends lines in the background; what cannot be written is dropped."""

    def __init__(self, redis: Redis) -> None:
        self._redis = Expendable(redis)
        self._writing: set[asyncio.Task[object]] = set()

    def write(self, job_id: str, level: str, event: str, **fields: object) -> None:
        """Append a line without waiting for it."""
        line = {
            "time": datetime.now(UTC).isoformat(),
            "level": level,
            "event": event,
            "item_key": fields.pop("item_key", None),
            "fields": fields,
        }
        if len(self._writing) >= MAX_LINES:
            return
        task = asyncio.ensure_future(self._redis.ask(lambda redis: _append(redis, job_id, line)))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def read(self, job_id: str, limit: int) -> Sequence[Mapping[str, Any]]:
        """The newest lines, oldest first; empty when the tail cannot be read."""
        entries: Any = await self._redis.ask(
            lambda redis: redis.xrevrange(_key(job_id), count=limit)
        )
        return [from_json(fields["line"]) for _, fields in reversed(entries or [])]


async def _append(redis: Redis, job_id: str, line: Mapping[str, object]) -> None:
    async with redis.pipeline(transaction=False) as pipeline:
        pipeline.xadd(_key(job_id), {"line": to_json(line)}, maxlen=MAX_LINES, approximate=True)
        pipeline.expire(_key(job_id), TTL)
        await pipeline.execute()


def _key(job_id: str) -> str:
    return f"job:logs:{job_id}"
