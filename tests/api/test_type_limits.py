"""A job that is held back by the limit of its type shows that, and starts in its turn."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from longhaul.adapters.settings import Settings
from tests.api.conftest import make_settings, open_api
from tests.conftest import Servers
from tests.engine import Engine
from tests.waiting import until


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, servers: Servers, dsn: str) -> Settings:
    return make_settings(monkeypatch, servers, dsn, LONGHAUL_LIMITS__MAX_RUNNING="echo=1")


async def test_a_job_waits_for_its_turn_and_two_dispatchers_keep_to_it(
    settings: Settings, engine: Engine
) -> None:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(engine.worker())
        api = await stack.enter_async_context(open_api(settings))
        await stack.enter_async_context(open_api(settings))
        client = await stack.enter_async_context(api.client())
        engine.echo.gate = asyncio.Event()
        body = {"job_type": "echo", "parameters": {"items": 2}}
        ids = [(await client.post("/jobs", json=body)).json()["job_id"] for _ in range(4)]
        seen: list[set[str]] = []
        waits: set[str | None] = set()

        async def all_ended() -> bool:
            jobs = [(await client.get(f"/jobs/{job_id}")).json() for job_id in ids]
            seen.append({job["job_id"] for job in jobs if job["status"] == "running"})
            waits.update(job["waiting_for"] for job in jobs if job["status"] == "pending")
            return all(job["status"] == "completed" for job in jobs)

        async def one_waits() -> bool:
            return not await all_ended() and "rate_limit" in waits

        await until(one_waits, what="a job to wait for another", every=0.1)
        engine.echo.gate.set()
        await until(all_ended, what="four jobs, one after the other", every=0.1)

    assert max(len(running) for running in seen) == 1
