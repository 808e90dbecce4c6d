from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from temporalio.client import Client

from longhaul.adapters.postgres.database import PostgresDatabase
from tests.engine import Engine, open_engine


@pytest.fixture(params=[1_000, 0], ids=["cached", "uncached"])
async def engine(
    request: pytest.FixtureRequest,
    temporal_client: Client,
    database: PostgresDatabase,
    redis_client: Redis,
) -> AsyncIterator[Engine]:
    """An engine, once with cached workflows and once with a replay at every step."""
    async with open_engine(temporal_client, database, redis_client) as opened:
        opened.cached_workflows = request.param
        yield opened


@pytest.fixture
async def worker(engine: Engine) -> AsyncIterator[None]:
    async with engine.worker():
        yield
