"""Jobs controlled with the `temporal` command, and what the API shows of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from redis.asyncio import Redis
from temporalio.client import Client

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.local import temporal
from tests.api.test_controls import ENDED, becomes, read, submit
from tests.conftest import Servers
from tests.engine import Engine, open_engine
from tests.waiting import until


class TemporalCommand:
    """The real command, pointed at the session's server."""

    def __init__(self, binary: str, address: str) -> None:
        self._binary = binary
        self._address = address

    async def __call__(self, *arguments: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *(self._binary, *arguments, "--address", self._address, "--output", "json"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, complaint = await process.communicate()
        assert process.returncode == 0, complaint.decode()
        return output.decode()


@pytest.fixture
async def command(servers: Servers) -> TemporalCommand:
    binary = await temporal.find_binary(lambda line: None)
    return TemporalCommand(str(binary), servers.temporal_address)


@pytest.fixture
async def engine(
    temporal_client: Client, database: PostgresDatabase, redis_client: Redis
) -> AsyncIterator[Engine]:
    async with open_engine(temporal_client, database, redis_client) as opened, opened.worker():
        yield opened


@pytest.fixture
async def job_id(engine: Engine, client: httpx2.AsyncClient) -> AsyncIterator[str]:
    """A job of twenty items with four of them in flight, until the gate opens."""
    engine.echo.gate = asyncio.Event()
    created = await submit(client, items=20, concurrency=4)

    async def started() -> bool:
        return len(engine.echo.started) >= 4

    await until(started, what="items to start")
    yield created
    open_gate(engine)


def open_gate(engine: Engine) -> None:
    assert engine.echo.gate is not None
    engine.echo.gate.set()


async def audit(client: httpx2.AsyncClient, job_id: str, action: str) -> list[dict[str, Any]]:
    history = (await client.get(f"/jobs/{job_id}/history")).json()
    return [line for line in history["audit"] if line["action"] == action]


async def test_signals_pause_and_resume_a_job(
    command: TemporalCommand, engine: Engine, client: httpx2.AsyncClient, job_id: str
) -> None:
    message = json.dumps({"mode": "now", "by": "ops", "reason": "maintenance"})

    await command(
        "workflow", "signal", "--workflow-id", job_id, "--name", "pause", "--input", message
    )
    paused = await becomes(client, job_id, "paused")
    open_gate(engine)
    await command("workflow", "signal", "--workflow-id", job_id, "--name", "resume")
    ended = await becomes(client, job_id, *ENDED)

    assert paused["pause"] == {
        "mode": "now", "by": "ops", "reason": "maintenance", "until": None,
    }  # fmt: skip
    assert (ended["outcome"], ended["progress"]["succeeded"]) == ("succeeded", 20)
    assert [line["by"] for line in await audit(client, job_id, "pause")] == ["ops"]


async def test_a_signal_without_a_word_drains(
    command: TemporalCommand, engine: Engine, client: httpx2.AsyncClient, job_id: str
) -> None:
    await command("workflow", "signal", "--workflow-id", job_id, "--name", "pause")
    pausing = await becomes(client, job_id, "pausing")
    await until(lambda: _heard(engine, job_id), what="the chunks to see the flag")
    open_gate(engine)
    paused = await becomes(client, job_id, "paused")

    assert pausing["pause"]["mode"] == "drain"
    assert paused["progress"]["succeeded"] == 4


async def _heard(engine: Engine, job_id: str) -> bool:
    return job_id in engine.flags.heard


async def test_the_control_update_answers_and_a_wrong_one_is_refused(
    command: TemporalCommand, engine: Engine, client: httpx2.AsyncClient, job_id: str
) -> None:
    async def control(**message: str) -> Any:
        answer = await command(
            *("workflow", "update", "execute", "--workflow-id", job_id, "--name", "control"),
            *("--input", json.dumps(message)),
        )
        return json.loads(answer)["result"]

    paused = await control(action="pause", mode="now", by="ops")
    with pytest.raises(AssertionError, match="drain"):
        await control(action="pause", mode="later")
    shown = await becomes(client, job_id, "paused")
    open_gate(engine)
    running = await control(action="resume")
    ended = await becomes(client, job_id, *ENDED)

    assert paused["status"] in ("pausing", "paused")
    assert shown["pause"]["by"] == "ops"
    assert running["status"] == "running"
    assert ended["progress"]["succeeded"] == 20


async def test_the_progress_query_shows_where_the_job_is(
    command: TemporalCommand, engine: Engine, client: httpx2.AsyncClient, job_id: str
) -> None:
    answer = await command("workflow", "query", "--workflow-id", job_id, "--name", "progress")

    (progress,) = json.loads(answer)["queryResult"]
    assert progress["status"] == (await read(client, job_id))["status"] == "running"
    assert progress["counts"]["total"] == 20
    assert sum(last - first + 1 for first, last in progress["in_flight"]) >= 4


async def test_a_cancel_ends_the_job_as_cancelled(
    command: TemporalCommand, engine: Engine, client: httpx2.AsyncClient, job_id: str
) -> None:
    await command("workflow", "cancel", "--workflow-id", job_id)

    job = await becomes(client, job_id, *ENDED)
    assert (job["status"], job["outcome"]) == ("cancelled", "cancelled")


async def test_a_terminated_workflow_ends_the_job_as_failed(
    command: TemporalCommand, engine: Engine, client: httpx2.AsyncClient, job_id: str
) -> None:
    await command("workflow", "terminate", "--workflow-id", job_id, "--reason", "by hand")
    # A control that finds no workflow makes the reconciler check at once.
    await client.post(f"/jobs/{job_id}/pause")

    job = await becomes(client, job_id, *ENDED)
    assert job["status"] == "failed"
    assert job["error_detail"]["code"] == "terminated"
