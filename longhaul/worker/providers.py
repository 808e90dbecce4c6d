"""Joins the configured model provider with what protects it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from redis.asyncio import Redis
from temporalio.client import Client

from longhaul.activities.calls import Provider
from longhaul.adapters.llm.providers import open_client
from longhaul.adapters.redis.breaker import RedisBreaker
from longhaul.adapters.redis.limiter import RedisRateLimiter
from longhaul.adapters.redis.local_limiter import Quota
from longhaul.adapters.settings import LlmSettings
from longhaul.adapters.temporal.workers import count_workers
from longhaul.core.job_types import OFFLINE, Queue


@asynccontextmanager
async def open_providers(
    settings: LlmSettings, redis: Redis, client: Client
) -> AsyncIterator[Mapping[str, Provider]]:
    """Open the configured provider; none for the offline analyst."""
    if settings.provider == OFFLINE:
        yield {}
        return
    quota = Quota(
        requests_per_minute=settings.requests_per_minute,
        tokens_per_minute=settings.tokens_per_minute,
    )
    async with open_client(settings) as model:
        provider = Provider(
            client=model,
            limiter=RedisRateLimiter(
                redis,
                name=settings.provider,
                quota=quota,
                workers=lambda: count_workers(client, Queue.LLM),
            ),
            breaker=RedisBreaker(redis, name=settings.provider),
        )
        yield {settings.provider: provider}
