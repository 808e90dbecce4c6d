"""Deletes everything that Redis has of a job; all of it would also expire."""

from collections.abc import Sequence

from redis.asyncio import Redis

from longhaul.adapters.redis.connection import Expendable

_KEYS = ("job:meta:", "job:pause:", "job:logs:", "job:events:")


class RedisTraces:
    """Deletes keys by the ids of jobs."""

    def __init__(self, redis: Redis) -> None:
        self._redis = Expendable(redis)

    async def forget(self, job_ids: Sequence[str]) -> None:
        """Delete the keys of some jobs."""
        keys = [prefix + job_id for job_id in job_ids for prefix in _KEYS]
        if keys:
            await self._redis.ask(lambda redis: redis.delete(*keys))
