"""What a workflow writes about pauses when Temporal repeats a task with more requests."""

from dataclasses import replace

import pytest
from redis.asyncio import Redis

from longhaul.activities.control import ControlActivities
from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.jobs import PostgresJobs
from longhaul.adapters.postgres.ledger import PostgresLedger
from longhaul.adapters.redis.board import RedisJobBoard
from longhaul.adapters.redis.flags import RedisFlags
from longhaul.core.controls import Action, Control
from longhaul.core.jobs import Counts, Job, JobStatus, Pause, RunMode
from longhaul.core.messages import ControlWrite
from longhaul.core.ports import Stores
from tests.factories import make_new_job

LUNCH = Control(action=Action.PAUSE, mode=RunMode.NOW, by="u-1", reason="lunch")
BACK = Control(action=Action.RESUME, by="u-1")
DINNER = replace(LUNCH, reason="dinner")


class Desk:
    """One running job, written to as a workflow does."""

    def __init__(self, stores: Stores, flags: RedisFlags, job: Job) -> None:
        self._stores = stores
        self._activities = ControlActivities(stores=stores, flags=flags)
        self._job = job

    async def write(self, generation: int, *controls: Control, cancel: bool = False) -> Job:
        """Write the result of the controls; returns the row."""
        last = controls[-1] if controls else None
        pause = last.as_pause() if last and last.action is Action.PAUSE else None
        await self._activities.write_control(
            ControlWrite(
                job_id=self._job.id,
                attempt=self._job.attempt,
                epoch=self._job.epoch,
                generation=generation,
                mode=pause.mode if pause else RunMode.RUN,
                status=JobStatus.PAUSED if pause else JobStatus.RUNNING,
                pause=pause,
                cancel=cancel,
                controls=list(controls),
            )
        )
        return await self.row()

    async def row(self) -> Job:
        async with self._stores.database.begin() as tx:
            job = await self._stores.jobs.read(tx, self._job.id)
        assert job is not None
        return job

    async def audited(self) -> list[tuple[str, str | None]]:
        """What was asked for, and why, in its order."""
        async with self._stores.database.begin() as tx:
            rows = await tx.fetch(
                """SELECT action, details ->> 'reason' AS reason FROM job_audit
                   WHERE job_id = $1 AND action IN ('pause', 'resume') ORDER BY id""",
                self._job.id,
            )
        return [(row["action"], row["reason"]) for row in rows]


@pytest.fixture
async def desk(database: PostgresDatabase, redis_client: Redis) -> Desk:
    jobs = PostgresJobs()
    stores = Stores(
        database=database,
        jobs=jobs,
        ledger=PostgresLedger(database),
        board=RedisJobBoard(redis_client, worker="test"),
    )
    new = make_new_job()
    async with database.begin() as tx:
        job = await jobs.insert(tx, new)
        assert job is not None
        job = await jobs.update(
            tx, job, status=JobStatus.RUNNING, counts=Counts(total=9), epoch=1, planned=True
        )
    return Desk(stores, RedisFlags(redis_client), job)


async def test_the_same_write_twice_is_one(desk: Desk) -> None:
    once = await desk.write(1, LUNCH)

    assert await desk.write(1, LUNCH) == once
    assert (once.status, once.pause) == (JobStatus.PAUSED, LUNCH.as_pause())
    assert await desk.audited() == [("pause", "lunch")]


async def test_a_step_done_again_with_more_requests_holds(desk: Desk) -> None:
    await desk.write(1, LUNCH)

    again = await desk.write(1, LUNCH, BACK, DINNER)

    assert (again.status, again.generation) == (JobStatus.PAUSED, 2)
    assert again.pause == Pause(mode=RunMode.NOW, by="u-1", reason="dinner")
    assert await desk.audited() == [("pause", "lunch"), ("resume", ""), ("pause", "dinner")]


async def test_a_step_done_again_may_end_the_other_way(desk: Desk) -> None:
    await desk.write(1, LUNCH)

    again = await desk.write(1, LUNCH, BACK)

    assert (again.status, again.pause, again.mode) == (JobStatus.RUNNING, None, RunMode.RUN)


async def test_no_generation_has_two_modes(desk: Desk) -> None:
    once = await desk.write(1, BACK)

    again = await desk.write(1, BACK, LUNCH)

    assert (once.mode, again.mode) == (RunMode.RUN, RunMode.NOW)
    assert again.generation > once.generation
    assert await desk.write(1, BACK, LUNCH) == again


async def test_what_comes_late_of_a_step_that_was_done_again_changes_nothing(desk: Desk) -> None:
    held = await desk.write(1, LUNCH, BACK)

    assert await desk.write(1, LUNCH) == held


async def test_what_comes_late_of_a_step_before_changes_nothing(desk: Desk) -> None:
    await desk.write(1, LUNCH)
    held = await desk.write(2, BACK)

    assert await desk.write(1, LUNCH) == held
    assert await desk.write(1, LUNCH, BACK) == held


@pytest.mark.invariant("I4")
async def test_steps_done_again_as_one_hold_what_was_asked_for_since(desk: Desk) -> None:
    await desk.write(1, LUNCH)
    await desk.write(2, BACK)

    again = await desk.write(1, LUNCH, BACK, DINNER)

    assert (again.status, again.generation) == (JobStatus.PAUSED, 3)
    assert again.pause == DINNER.as_pause()
    assert await desk.audited() == [("pause", "lunch"), ("resume", ""), ("pause", "dinner")]
    assert await desk.write(1, LUNCH, BACK, DINNER) == again


async def test_a_cancel_found_when_a_step_is_done_again_is_noted(desk: Desk) -> None:
    await desk.write(1, BACK)

    row = await desk.write(1, cancel=True)

    assert row.requested == "cancel"
