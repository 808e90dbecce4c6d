"""Retries that arrive at the moment when an attempt ends."""

import asyncio
from collections import Counter
from typing import Any

import httpx2
import pytest

from tests.api.test_controls import read, submit
from tests.engine import Engine
from tests.waiting import until

JOBS = 40
AT_ONCE = 8
PEOPLE = 2


@pytest.mark.usefixtures("worker")
async def test_a_retry_in_the_moment_of_finish_makes_exactly_one_new_attempt(
    client: httpx2.AsyncClient, engine: Engine
) -> None:
    turn = asyncio.Semaphore(AT_ONCE)

    async def one_job() -> None:
        async with turn:
            job_id = await submit(client, items=3, failing_once=[1])
            accepted = await asyncio.gather(
                *(ask_until_it_has_succeeded(client, job_id) for _ in range(PEOPLE))
            )
            await check(client, engine, job_id, sum(accepted))

    async with asyncio.TaskGroup() as jobs:
        for _ in range(JOBS):
            jobs.create_task(one_job())


async def ask_until_it_has_succeeded(client: httpx2.AsyncClient, job_id: str) -> int:
    """Ask for a retry repeatedly, through two ends; returns how often it was accepted."""
    accepted = 0

    async def has_succeeded() -> bool:
        nonlocal accepted
        answer = await client.post(f"/jobs/{job_id}/retry")
        assert answer.status_code in (202, 400), answer.text
        accepted += answer.status_code == 202
        return "nothing to retry" in answer.text

    # Often, but leaving time for the end.
    await until(has_succeeded, what=f"{job_id} to succeed", every=0.005)
    return accepted


async def check(client: httpx2.AsyncClient, engine: Engine, job_id: str, accepted: int) -> None:
    job = await seen_completed(client, job_id)
    history = (await client.get(f"/jobs/{job_id}/history")).json()
    done = Counter(ordinal for started, ordinal in engine.echo.started if started == job_id)

    assert accepted == 1
    assert job["outcome"] == "succeeded"
    assert [attempt["attempt"] for attempt in history["attempts"]] == [1, 2]
    assert [line["action"] for line in history["audit"]] == [
        "created", "started", "finished", "retried", "started", "finished",
    ]  # fmt: skip
    assert done == {0: 1, 1: 2, 2: 1}
    await engine.check_numbers_agree(job_id)


async def seen_completed(client: httpx2.AsyncClient, job_id: str) -> dict[str, Any]:
    """The job once reads show its second end too: they may trail the row by a moment."""
    job: dict[str, Any] = {}

    async def is_shown() -> bool:
        nonlocal job
        job = await read(client, job_id)
        return (job["status"], job["attempt"]) == ("completed", 2)

    await until(is_shown, what=f"{job_id} to be shown as completed")
    return job
