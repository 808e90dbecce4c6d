"""The pause flags: `job:pause:{id}` holds `attempt:generation:mode`, the newest one wins."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from redis.asyncio import Redis

from longhaul.adapters.redis.connection import Expendable
from longhaul.core.controls import Flag

# Longer than any chunk polls a flag; the row has the same mode for good.
TTL = timedelta(days=1)

_RAISE = """
local shown = redis.call('GET', KEYS[1])
if shown then
    local attempt, generation = string.match(shown, '^(%d+):(%d+):')
    attempt, generation = tonumber(attempt), tonumber(generation)
    local mine, newer = tonumber(ARGV[1]), tonumber(ARGV[2])
    if attempt > mine or (attempt == mine and generation >= newer) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
return 1
"""


class RedisFlags:
    """Raises flags, and reads those of many jobs at once."""

    def __init__(self, redis: Redis) -> None:
        self._redis = Expendable(redis)
        self._raise = redis.register_script(_RAISE)

    async def raise_flag(self, job_id: str, flag: Flag) -> None:
        """Show a flag, unless a newer one is shown already."""
        await self._redis.ask(
            lambda redis: self._raise(
                keys=[_key(job_id)],
                args=[
                    flag.attempt,
                    flag.generation,
                    str(flag),
                    int(TTL.total_seconds() * 1000),
                ],
                client=redis,
            )
        )

    async def read(self, job_ids: Sequence[str]) -> Sequence[Flag | None]:
        """The flags of several jobs, in one round trip; None where there is none."""
        keys = [_key(job_id) for job_id in job_ids]
        texts: Any = await self._redis.ask(lambda redis: redis.mget(keys))
        return [_flag(text) if text else None for text in texts or [None] * len(keys)]


def _flag(text: str) -> Flag | None:
    try:
        return Flag.parse(text)
    except ValueError:  # another release has written it; the row has the same
        return None


def _key(job_id: str) -> str:
    return f"job:pause:{job_id}"
