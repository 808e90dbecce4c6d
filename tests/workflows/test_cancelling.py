"""Cancel, terminate, and late writers."""

import asyncio

import pytest

from longhaul.core.controls import Action, Control
from longhaul.core.jobs import Counts, JobStatus, Outcome, Requested
from tests.engine import Engine
from tests.waiting import until
from tests.workflows.test_pausing import pause, started

pytestmark = pytest.mark.usefixtures("worker")


async def has_done(engine: Engine, job_id: str, count: int) -> None:
    async def enough() -> bool:
        return (await engine.job(job_id)).counts.done >= count

    await until(enough, what=f"{count} items")


async def test_cancel_stops_at_once_and_keeps_what_is_done(engine: Engine) -> None:
    engine.echo.gate = asyncio.Event()
    job_id = await engine.create(items=30, concurrency=2, held_from=7)
    await has_done(engine, job_id, 7)

    assert await engine.workflows.cancel(job_id)
    job = await engine.ends(job_id)

    assert (job.status, job.outcome) == (JobStatus.CANCELLED, Outcome.CANCELLED)
    assert job.counts == Counts(total=30, done=7)
    assert job.result == {"echoes": job.counts.done}
    await engine.check_numbers_agree(job_id)


async def test_a_paused_job_can_be_cancelled(engine: Engine) -> None:
    engine.echo.gate = asyncio.Event()
    job_id = await engine.create(items=30, concurrency=2)
    await started(engine, job_id, 2)
    await pause(engine, job_id)
    await engine.becomes(job_id, JobStatus.PAUSING)
    engine.echo.gate.set()
    await engine.becomes(job_id, JobStatus.PAUSED)

    await engine.workflows.cancel(job_id)

    assert (await engine.ends(job_id)).status is JobStatus.CANCELLED


async def test_a_cancel_that_stood_in_the_row_closes_the_workflow_without_a_fault(
    engine: Engine,
) -> None:
    job_id = await engine.create(items=4, start=False)
    async with engine.stores.database.begin() as tx:
        job = await engine.stores.jobs.lock(tx, job_id)
        assert job is not None
        job = await engine.stores.jobs.update(tx, job, requested=Requested.CANCEL)
    await engine.start(job)

    assert (await engine.ends(job_id)).status is JobStatus.CANCELLED
    closed = await engine.handle(job_id).result()
    assert closed["status"] == "cancelled"


async def test_a_cancel_that_finds_nothing_open_completes(engine: Engine) -> None:
    engine.echo.gate = asyncio.Event()
    job_id = await engine.create(items=2, concurrency=2)
    await started(engine, job_id, 2)
    engine.echo.gate.set()

    await has_done(engine, job_id, 2)
    await engine.workflows.cancel(job_id)

    assert (await engine.ends(job_id)).status is JobStatus.COMPLETED


async def test_the_workflow_of_a_cancelled_job_is_cancelled(engine: Engine) -> None:
    engine.echo.gate = asyncio.Event()
    job_id = await engine.create(items=30)
    await started(engine, job_id, 2)

    await engine.workflows.cancel(job_id)
    await engine.ends(job_id)

    async def closed() -> bool:
        status = (await engine.handle(job_id).describe()).status
        return status is not None and status.name == "CANCELED"

    await until(closed, what="the workflow to close")


async def test_a_cancel_asked_for_before_planning_is_found_by_the_plan(engine: Engine) -> None:
    job_id = await engine.create(items=5, start=False)
    async with engine.stores.database.begin() as tx:
        row = await engine.stores.jobs.lock(tx, job_id)
        assert row is not None
        row = await engine.stores.jobs.update(tx, row, requested=Requested.CANCEL)

    await engine.start(row)

    job = await engine.ends(job_id)
    assert job.status is JobStatus.CANCELLED
    assert job.counts == Counts(total=5)


async def test_controls_of_a_closed_workflow_find_nobody(engine: Engine) -> None:
    job_id = await engine.create(items=1)
    await engine.ends(job_id)
    await engine.handle(job_id).result()

    assert not await engine.workflows.control(job_id, Control(action=Action.PAUSE))


async def test_controls_of_a_job_that_was_never_started_find_nobody(engine: Engine) -> None:
    job_id = await engine.create(items=1, start=False)

    assert not await engine.workflows.control(job_id, Control(action=Action.PAUSE))
    assert not await engine.workflows.cancel(job_id)
    assert await engine.workflows.describe(job_id) is None
