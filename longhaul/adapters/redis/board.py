"""The hot copy of job rows: `job:meta:{id}`, replaced only by a newer version."""

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError
from redis.asyncio import Redis

from longhaul.adapters.redis.connection import Expendable
from longhaul.core.jobs import Job
from longhaul.core.ports import Live, Shown

TTL = timedelta(seconds=5)

_POST = """
local shown = redis.call('HGET', KEYS[1], 'version')
if shown and tonumber(shown) >= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'job', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""

# Each worker has its own field, so that workers do not overwrite each other. It
# must not keep an old row alive, so only a hash without a row gets its time from here.
_POST_LIVE = """
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if redis.call('HEXISTS', KEYS[1], 'version') == 0 then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return 1
"""

_JOB = TypeAdapter(Job)
_LIVE = TypeAdapter(Live)
_Value = TypeVar("_Value")
_LIVE_PREFIX = "live:"


class RedisJobBoard:
    """Shows job rows to clients that poll.

    Args:
        worker: The id of this process among those that work on a job.
    """

    def __init__(self, redis: Redis, *, worker: str) -> None:
        self._redis = Expendable(redis)
        self._post = redis.register_script(_POST)
        self._post_live = redis.register_script(_POST_LIVE)
        self._field = _LIVE_PREFIX + worker
        self._ttl = int(TTL.total_seconds() * 1000)

    async def post(self, job: Job) -> None:
        """Show a row, unless a newer one is shown already."""
        await self._redis.ask(
            lambda redis: self._post(
                keys=[_key(job.id)],
                args=[job.version, _JOB.dump_json(job), self._ttl],
                client=redis,
            )
        )

    async def post_live(self, job_id: str, live: Live) -> None:
        """Show what this worker does for a job."""
        value = f"{int(time.time() * 1000)}:".encode() + _LIVE.dump_json(live)
        await self._redis.ask(
            lambda redis: self._post_live(
                keys=[_key(job_id)], args=[self._field, value, self._ttl], client=redis
            )
        )

    async def read(self, job_id: str) -> Shown:
        """What is shown of a job."""
        fields = await self._redis.ask(lambda redis: _hgetall(redis, job_id))
        return _shown(fields)

    async def read_live(self, job_ids: Sequence[str]) -> Sequence[Shown]:
        """What is shown of several jobs, in one round trip."""
        if not job_ids:
            return []

        async def read_all(redis: Redis) -> list[Mapping[str, str]]:
            async with redis.pipeline(transaction=False) as pipeline:
                for job_id in job_ids:
                    pipeline.hgetall(_key(job_id))
                answers: list[Mapping[str, str]] = await pipeline.execute()
                return answers

        answers = await self._redis.ask(read_all)
        if answers is None:
            return [Shown(known=False)] * len(job_ids)
        return [_shown(fields) for fields in answers]


def _key(job_id: str) -> str:
    return f"job:meta:{job_id}"


async def _hgetall(redis: Redis, job_id: str) -> Mapping[str, str]:
    fields: Any = await redis.hgetall(_key(job_id))
    return cast("Mapping[str, str]", fields)


def _read(kind: TypeAdapter[_Value], text: str) -> _Value | None:
    try:
        return kind.validate_json(text)
    except ValidationError:  # another release has written it
        return None


def _shown(fields: Mapping[str, str] | None) -> Shown:
    if fields is None:
        return Shown(known=False)
    oldest = (time.time() - TTL.total_seconds()) * 1000
    live = []
    for name, value in fields.items():
        if name.startswith(_LIVE_PREFIX):
            at, _, text = value.partition(":")
            one = _read(_LIVE, text) if at.isdecimal() and int(at) >= oldest else None
            if one is not None:
                live.append(one)
    job = _read(_JOB, fields["job"]) if "job" in fields else None
    return Shown(known=True, job=job, live=tuple(live))
