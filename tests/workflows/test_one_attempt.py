"""One attempt, undisturbed: how items end, and how jobs end."""

import asyncio
from datetime import timedelta

import pytest

from longhaul.core.jobs import Counts, JobStatus, Outcome
from tests.engine import Engine
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("worker")


async def test_a_job_does_every_item_once(engine: Engine) -> None:
    job_id = await engine.create(items=40)

    job = await engine.ends(job_id)

    assert (job.status, job.outcome) == (JobStatus.COMPLETED, Outcome.SUCCEEDED)
    assert job.counts == Counts(total=40, done=40)
    assert await engine.echoes(job_id) == list(range(40))
    assert len(engine.echo.started) == 40
    await engine.check_numbers_agree(job_id)


@pytest.mark.invariant("I6")
async def test_one_bad_item_fails_one_item(engine: Engine) -> None:
    job_id = await engine.create(items=12, failing=[3], breaking=[5], unstorable=[7], leaking=[9])

    job = await engine.ends(job_id)

    assert (job.status, job.outcome) == (JobStatus.COMPLETED, Outcome.PARTIAL)
    assert job.counts == Counts(total=12, done=8, failed=4)
    codes = {row["ordinal"]: row["error_code"] for row in await engine.items(job_id)}
    assert {n: code for n, code in codes.items() if code} == {
        3: "no_echo",
        5: "item_error",
        7: "not_storable",
        9: "item_error",
    }
    await engine.check_numbers_agree(job_id)


@pytest.mark.invariant("I7")
async def test_a_job_with_no_success_is_failed(engine: Engine) -> None:
    job_id = await engine.create(items=3, failing=[0, 1, 2])

    job = await engine.ends(job_id)

    assert (job.status, job.outcome) == (JobStatus.FAILED, Outcome.FAILED)
    assert job.fault is not None
    assert job.fault.code == "all_items_failed"


@pytest.mark.invariant("I7")
async def test_a_job_without_items_is_failed(engine: Engine) -> None:
    job_id = await engine.create(items=0)

    job = await engine.ends(job_id)

    assert job.status is JobStatus.FAILED
    assert job.fault is not None
    assert job.fault.code == "no_items"


async def test_skipped_items_count_as_ended_and_the_job_as_succeeded(engine: Engine) -> None:
    job_id = await engine.create(items=5, skipped=[1, 2])

    job = await engine.ends(job_id)

    assert job.outcome is Outcome.SUCCEEDED
    assert job.counts == Counts(total=5, done=3, skipped=2)
    assert job.counts.sentence == "3 done, 2 skipped"


async def test_an_item_that_hangs_ends_at_its_time_out(engine: Engine) -> None:
    engine.echo.item_timeout = timedelta(seconds=0.5)  # type: ignore[misc]
    job_id = await engine.create(items=4, hanging=[2])

    job = await engine.ends(job_id)

    assert job.counts == Counts(total=4, done=3, failed=1)
    assert (await engine.items(job_id))[2]["error_code"] == "item_timeout"


async def test_parameters_that_no_longer_parse_fail_the_job_and_not_the_worker(
    engine: Engine,
) -> None:
    job_id = await engine.create(items="many")

    job = await engine.ends(job_id)

    assert job.status is JobStatus.FAILED
    assert job.fault is not None
    assert job.fault.code == "plan_failed"


async def test_a_broken_summary_does_not_keep_a_job_from_ending(engine: Engine) -> None:
    job_id = await engine.create(items=2, summary_breaks=True)

    job = await engine.ends(job_id)

    assert job.outcome is Outcome.SUCCEEDED
    assert job.result is not None
    assert set(job.result) == {"summary_error"}


@pytest.mark.invariant("I7")
async def test_a_summary_that_refuses_its_numbers_does_not_keep_a_job_from_ending(
    engine: Engine,
) -> None:
    job_id = await engine.create(items=2, summary_refuses=True)

    job = await engine.ends(job_id)

    assert job.outcome is Outcome.SUCCEEDED
    assert job.result is not None
    assert set(job.result) == {"summary_error"}


async def test_an_ending_of_the_types_own_that_breaks_leaves_the_usual_one(
    engine: Engine,
) -> None:
    job_id = await engine.create(items=2, failing=[1], ending_breaks=True)

    assert (await engine.ends(job_id)).outcome is Outcome.PARTIAL


async def test_completed_at_is_when_it_ended(engine: Engine) -> None:
    job_id = await engine.create(items=2)

    job = await engine.ends(job_id)

    assert job.completed_at == job.updated_at
    assert job.started_at is not None
    assert job.created_at < job.started_at < job.completed_at


async def test_a_job_past_its_deadline_fails_and_keeps_what_is_done(engine: Engine) -> None:
    engine.echo.gate = asyncio.Event()
    job_id = await engine.create(items=8, concurrency=2, held_from=2, deadline=3.0)

    job = await engine.ends(job_id)

    assert job.status is JobStatus.FAILED
    assert job.fault is not None
    assert job.fault.code == "deadline_exceeded"
    assert job.counts.done == 2
    await engine.check_numbers_agree(job_id)


async def test_the_workflow_closes_as_the_row_says(engine: Engine) -> None:
    good = await engine.create(items=2)
    bad = await engine.create(items=1, failing=[0])
    await engine.ends(good)
    await engine.ends(bad)

    async def status_of(job_id: str) -> str | None:
        described = await engine.handle(job_id).describe()
        return described.status.name if described.status else None

    async def both_closed() -> bool:
        return [await status_of(good), await status_of(bad)] == ["COMPLETED", "FAILED"]

    await until(both_closed, what="both workflows to close")


async def test_a_second_start_while_one_runs_is_refused(engine: Engine) -> None:
    engine.echo.gate = asyncio.Event()
    job_id = await engine.create(items=4)
    await engine.becomes(job_id, JobStatus.RUNNING)

    started = await engine.start(await engine.job(job_id))

    assert not started
    engine.echo.gate.set()
    assert (await engine.ends(job_id)).counts.done == 4


async def test_a_run_that_is_not_the_jobs_ends_without_effect(engine: Engine) -> None:
    job_id = await engine.create(items=3)
    ended = await engine.ends(job_id)
    await engine.handle(job_id).result()

    assert await engine.start(ended)
    await engine.handle(job_id).result()

    assert await engine.job(job_id) == ended
