"""Limits of job types, leased by several dispatchers at once."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.dispatch import PostgresDispatchQueue
from longhaul.adapters.postgres.jobs import PostgresJobs
from longhaul.core.jobs import Job, JobStatus, Outcome
from longhaul.core.limits import TypeLimit
from tests.factories import make_new_job

JOBS = PostgresJobs()


async def make_jobs(database: PostgresDatabase, job_type: str, count: int) -> list[Job]:
    async with database.begin() as tx:
        made = [
            await JOBS.insert(
                tx,
                make_new_job(
                    job_type=job_type,
                    priority=number % 3,
                ),
            )
            for number in range(count)
        ]
    return [job for job in made if job is not None]


async def move(database: PostgresDatabase, job: Job, status: JobStatus, **more: Any) -> Job:
    async with database.begin() as tx:
        return await JOBS.update(tx, job, status=status, **more)


async def lease_by_many(queues: Sequence[PostgresDispatchQueue]) -> list[Job]:
    leased = await asyncio.gather(*(queue.lease(32) for queue in queues))
    return [job for jobs in leased for job in jobs]


@pytest.mark.parametrize("round_", range(5))
async def test_no_more_than_so_many_run_however_many_dispatchers_there_are(
    database: PostgresDatabase, round_: int
) -> None:
    limits = [TypeLimit(job_type="few", max_running=3)]
    queues = [PostgresDispatchQueue(database, limits) for _ in range(6)]
    await make_jobs(database, "few", 20)
    await make_jobs(database, "many", 10)

    leased = await lease_by_many(queues)
    again = await lease_by_many(queues)

    few = [job for job in leased if job.job_type == "few"]
    assert len(few) == 3
    assert len([job for job in leased if job.job_type == "many"]) == 10
    assert [job.priority for job in few] == [2, 2, 2]
    assert again == []


async def test_a_place_is_free_when_its_job_has_ended_and_not_while_it_is_paused(
    database: PostgresDatabase,
) -> None:
    queue = PostgresDispatchQueue(database, [TypeLimit(job_type="few", max_running=1)])
    await make_jobs(database, "few", 3)
    (first,) = await queue.lease(32)
    first = await move(database, first, JobStatus.RUNNING)
    first = await move(database, first, JobStatus.PAUSED)

    while_paused = await queue.lease(32)
    first = await move(database, first, JobStatus.FAILED, outcome=Outcome.FAILED)
    (second,) = await queue.lease(32)
    retried = await move(database, first, JobStatus.PENDING, attempt=2)
    while_second_runs = await queue.lease(32)

    assert while_paused == []
    assert second.id != first.id
    assert retried.dispatched_at is None
    assert while_second_runs == []


async def test_what_was_leased_keeps_its_place_and_comes_back(database: PostgresDatabase) -> None:
    queue = PostgresDispatchQueue(database, [TypeLimit(job_type="few", max_running=1)])
    await make_jobs(database, "few", 2)
    (job,) = await queue.lease(32)

    await queue.defer(job, timedelta(0))
    (again,) = await queue.lease(32)

    assert again.id == job.id
    assert again.dispatched_at == job.dispatched_at
    assert again.version == job.version


async def test_no_more_than_so_many_start_in_a_minute(database: PostgresDatabase) -> None:
    limits = [TypeLimit(job_type="slow", starts_per_minute=4)]
    queues = [PostgresDispatchQueue(database, limits) for _ in range(4)]
    await make_jobs(database, "slow", 10)

    leased = await lease_by_many(queues)
    for job in leased:
        await move(database, job, JobStatus.FAILED, outcome=Outcome.FAILED)
    in_the_same_minute = await lease_by_many(queues)
    async with database.begin() as tx:
        await tx.execute("UPDATE job_start SET time = time - interval '61 seconds'")
    a_minute_later = await lease_by_many(queues)

    assert len(leased) == 4
    assert in_the_same_minute == []
    assert len(a_minute_later) == 4


async def test_what_is_held_back_is_not_due(database: PostgresDatabase) -> None:
    queue = PostgresDispatchQueue(database, [TypeLimit(job_type="few", max_running=1)])
    await make_jobs(database, "few", 2)
    (job,) = await queue.lease(32)
    await move(database, job, JobStatus.RUNNING)

    held_back = await queue.next_due()
    await make_jobs(database, "many", 1)

    assert held_back is None
    assert await queue.next_due() == timedelta(0)
