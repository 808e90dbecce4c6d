"""`longhaul up`: one stack a folder, nothing left behind, everything back afterwards."""

import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.job_types.echo import CREATE_TABLE
from tests.repository import ROOT
from tests.servers import connected
from tests.stack import LocalStack, local_stack
from tests.waiting import until

UP = "longhaul up --types tests.job_types.echo"

ITEMS = 80


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[LocalStack]:
    # The shell may have variables of another Temporal.
    elsewhere = {"TEMPORAL_NAMESPACE": "elsewhere", "TEMPORAL_TLS": "true"}
    async with local_stack(tmp_path, **elsewhere) as opened:
        await opened.start(UP, cwd=ROOT)
        await opened.fetch(CREATE_TABLE)
        yield opened


def gate(stack: LocalStack) -> Path:
    return stack.data.with_name("gate")


async def submit(stack: LocalStack) -> str:
    """Start a job, and wait until it is on its way to the middle, where the gate holds it."""
    held = {"held_from": ITEMS // 2, "gate": str(gate(stack))}
    body = {
        "job_type": "echo",
        "parameters": {"items": ITEMS, "seconds": 0.1, **held},
        "options": {"concurrency": 4},
    }
    async with stack.http() as client:
        job_id = str((await client.post("/jobs", json=body)).json()["job_id"])

    async def some_done() -> bool:
        (row,) = await stack.fetch("SELECT done FROM job WHERE id = $1", job_id)
        return bool(row["done"] >= 10)

    await until(some_done, what="some items")
    return job_id


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
async def test_a_stack_that_ends_leaves_no_process_and_loses_no_job(
    stack: LocalStack, number: signal.Signals
) -> None:
    job_id = await submit(stack)
    before = dict(stack.addresses)
    names = " ".join(stack.processes().values())

    code = await stack.end(number)
    await stack.is_gone()
    gate(stack).touch()
    await stack.start(UP, cwd=ROOT)
    (row,) = await stack.fetch("SELECT done FROM job WHERE id = $1", job_id)
    job = await stack.becomes(job_id, "completed", "failed", "cancelled")

    assert code == (-signal.SIGKILL if number is signal.SIGKILL else 0)
    for part in ("postgres", "redis-server", "temporal", "longhaul.api", "longhaul.worker"):
        assert part in names
    assert row["done"] >= 10
    assert (job["outcome"], job["attempt"]) == ("succeeded", 1)
    assert job["progress"]["succeeded"] == ITEMS
    (rows,) = await stack.fetch("SELECT count(*) AS n FROM echo WHERE job_id = $1", job_id)
    assert rows["n"] == ITEMS
    servers = {"postgres_dsn", "redis_port", "temporal_port", "temporal_ui"}
    assert {name: stack.addresses[name] for name in servers} == {
        name: before[name] for name in servers
    }


async def test_a_second_stack_on_the_same_folder_is_refused_and_the_first_goes_on(
    stack: LocalStack,
) -> None:
    refused = await stack.run("longhaul up")
    async with stack.http() as client:
        still_there = await client.get("/jobs")

    (sentence,) = refused.output.splitlines()
    assert refused.code == 2
    assert sentence.startswith("Another `longhaul up`")
    assert str(stack.data) in sentence
    assert "LONGHAUL_DATA_DIR" in sentence
    assert still_there.status_code == 200


async def test_a_process_of_the_stack_that_dies_is_started_again_with_a_line_that_says_so(
    stack: LocalStack,
) -> None:
    job_id = await submit(stack)

    stack.kill("longhaul.worker")
    stack.kill("redis-server")
    gate(stack).touch()
    job = await stack.becomes(job_id, "completed", "failed", "cancelled")

    assert job["progress"]["succeeded"] == ITEMS
    assert "Worker ended with code -9; starting it again" in stack.output
    assert "Redis ended with code -9; starting it again" in stack.output


async def test_the_commands_speak_to_the_stack_of_their_folder(stack: LocalStack) -> None:
    token = await stack.run("longhaul token --role Admin")
    listed = await stack.run("longhaul jobs list")
    (stack.data / "elsewhere").mkdir()
    nowhere = await stack.run(f"LONGHAUL_DATA_DIR={stack.data}/elsewhere longhaul token")
    async with stack.http() as client:
        client.headers["Authorization"] = f"Bearer {token.output.strip()}"
        answer = await client.get("/jobs")

    assert (token.code, listed.code, nowhere.code) == (0, 0, 2)
    assert answer.status_code == 200


async def test_the_stack_prints_the_address_at_which_temporal_answers(stack: LocalStack) -> None:
    (address,) = re.findall(r"^Temporal   (\S+)$", stack.output, re.MULTILINE)
    client = await connected(address)

    assert await client.service_client.check_health()
