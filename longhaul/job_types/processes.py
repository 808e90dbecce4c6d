"""Common parts of API and worker processes: their arguments, and the servers they need."""

import argparse
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

import uvloop
from pydantic import ValidationError
from redis.asyncio import Redis

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.redis.connection import open_redis
from longhaul.adapters.settings import Settings

Run = Callable[[Settings, Sequence[str]], Coroutine[Any, Any, int | None]]


def run_process(name: str, description: str | None, run: Run) -> int:
    """Run a process until SIGTERM or SIGINT, and return its exit code.

    That is what `run` answers, 0 for nothing, and 2 when the settings are wrong.
    """
    parser = argparse.ArgumentParser(prog=f"longhaul {name}", description=description)
    parser.add_argument("--types", action="append", default=[], help="module with job types")
    arguments = parser.parse_args()
    try:
        return uvloop.run(run(Settings(), arguments.types)) or 0
    except (ValidationError, ValueError) as exc:
        print(exc, file=sys.stderr)  # noqa: T201 - logging is not set up yet
        return 2


@asynccontextmanager
async def open_servers(
    settings: Settings, *, connections: int
) -> AsyncIterator[tuple[PostgresDatabase, Redis]]:
    """Open PostgreSQL and Redis; both may still be down.

    Raises:
        ValueError: The settings do not have their addresses.
    """
    dsn, url = settings.postgres.dsn, settings.redis.url
    if dsn is None or url is None:
        raise ValueError(
            "Set LONGHAUL_POSTGRES__DSN and LONGHAUL_REDIS__URL, or start everything with "
            "`longhaul up`."
        )
    async with (
        PostgresDatabase.open(dsn.get_secret_value(), connections=connections) as database,
        open_redis(url.get_secret_value()) as redis,
    ):
        yield database, redis
