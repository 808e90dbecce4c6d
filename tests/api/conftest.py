"""The application over real servers, asked through its ASGI interface."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI
from redis.asyncio import Redis
from temporalio.client import Client
from typer.testing import CliRunner

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.settings import Settings
from longhaul.adapters.telemetry.logs import LoggedErrors
from longhaul.adapters.telemetry.metrics import ApiMetrics
from longhaul.api.app import create_app
from longhaul.api.main import open_services
from longhaul.cli.main import app
from longhaul.core.principals import Role
from longhaul.local import redis as local_redis
from tests.api.people import People
from tests.conftest import Servers, end_workflows
from tests.engine import Engine, open_engine
from tests.ports import new_port
from tests.servers import connected
from tests.tokens import SECRET, token
from tests.waiting import until

HOST = "127.0.0.1"


@dataclass
class Api:
    """The application, and clients that speak to it as different people."""

    app: FastAPI

    def client(self, sub: str = "u-1", *roles: str, **claims: Any) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            transport=httpx2.ASGITransport(self.app, raise_app_exceptions=False),
            base_url="http://longhaul/api/v1",
            headers={"Authorization": f"Bearer {token(sub, *roles, **claims)}"},
        )


def make_settings(
    monkeypatch: pytest.MonkeyPatch, servers: Servers, dsn: str, **variables: str
) -> Settings:
    """Settings as a process would read them."""
    values: Mapping[str, str] = {
        "LONGHAUL_POSTGRES__DSN": dsn,
        "LONGHAUL_REDIS__URL": local_redis.url(servers.redis_port),
        "LONGHAUL_AUTH__SECRET": SECRET,
        "TEMPORAL_ADDRESS": servers.temporal_address,
        **variables,
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return Settings()


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, servers: Servers, dsn: str) -> Settings:
    return make_settings(monkeypatch, servers, dsn)


@asynccontextmanager
async def open_api(settings: Settings) -> AsyncIterator[Api]:
    metrics, errors = ApiMetrics(), LoggedErrors()
    types = ["tests.job_types.echo", "tests.job_types.flows"]
    try:
        async with open_services(settings, types, metrics, errors) as services:
            yield Api(create_app(services, metrics, errors))
    finally:
        client = await connected(os.environ["TEMPORAL_ADDRESS"])
        async with PostgresDatabase.open(
            os.environ["LONGHAUL_POSTGRES__DSN"], connections=1
        ) as database:
            await end_workflows(client, database)


@pytest.fixture
async def api(settings: Settings) -> AsyncIterator[Api]:
    async with open_api(settings) as opened:
        yield opened


@pytest.fixture
async def engine(
    temporal_client: Client, database: PostgresDatabase, redis_client: Redis
) -> AsyncIterator[Engine]:
    async with open_engine(temporal_client, database, redis_client) as opened:
        yield opened


@pytest.fixture
async def worker(engine: Engine) -> AsyncIterator[None]:
    async with engine.worker():
        yield


@pytest.fixture
async def client(api: Api) -> AsyncIterator[httpx2.AsyncClient]:
    async with api.client() as opened:
        yield opened


@pytest.fixture
async def people(api: Api) -> AsyncIterator[People]:
    async with AsyncExitStack() as stack:

        async def client(sub: str, *roles: str, lob: str = "Mortgage") -> httpx2.AsyncClient:
            return await stack.enter_async_context(api.client(sub, *roles, lob=lob))

        yield People(
            tester=await client("tess", Role.TESTER),
            owner=await client("olga", Role.REPORT_OWNER),
            admin=await client("boss", Role.ADMIN, lob="IT"),
            reader=await client("rita", Role.DATA_OWNER),
            stranger=await client("sam", Role.TESTER, Role.REPORT_OWNER, lob="Cards"),
        )


@dataclass(frozen=True)
class Terminal:
    """Runs the command as somebody who has a token and an address."""

    url: str
    roles: tuple[str, ...] = ("Admin",)

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        env = {
            "LONGHAUL_CLI__URL": self.url,
            "LONGHAUL_CLI__TOKEN": token("u-1", *self.roles, lob="Mortgage"),
        }
        ran = await asyncio.to_thread(CliRunner().invoke, app, arguments, env=env)
        return ran.exit_code, ran.stdout, ran.stderr

    async def text(self, *arguments: str) -> str:
        code, out, err = await self.run(*arguments)
        assert code == 0, err
        return out

    async def json(self, *arguments: str) -> Any:
        return json.loads(await self.text(*arguments, "--json"))


@pytest.fixture
async def terminal(api: Api) -> AsyncIterator[Terminal]:
    port = new_port()
    config = uvicorn.Config(api.app, host=HOST, port=port, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())

    async def is_up() -> bool:
        return server.started

    await until(is_up, what="the API")
    yield Terminal(f"http://{HOST}:{port}")
    server.should_exit = True
    await serving
