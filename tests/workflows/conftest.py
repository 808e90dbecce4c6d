from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from temporalio.client import Client

from longhaul.activities.chunk import ALONE_WITHIN
from longhaul.adapters.postgres.database import PostgresDatabase
from tests.engine import Engine, open_engine
from tests.worker_process import WorkerProcess, open_process


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


@pytest.fixture
async def process(
    request: pytest.FixtureRequest,
    temporal_client: Client,
    database: PostgresDatabase,
    redis_client: Redis,
) -> AsyncIterator[WorkerProcess]:
    """A process that runs single chunks; its parameter is how long a suspect waits."""
    async with (
        open_engine(temporal_client, database, redis_client) as engine,
        open_process(engine, alone_within=getattr(request, "param", ALONE_WITHIN)) as opened,
    ):
        yield opened
