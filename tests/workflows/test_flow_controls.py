"""Controls of a flow are passed on to its jobs.

With cached workflows only: a worker that caches none throws a workflow out whenever another
has something to do, and with it the local activity that writes a control. That the
controls replay is proved by replaying each history.
"""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from redis.asyncio import Redis
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.worker import Replayer

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.core.controls import Action, Control
from longhaul.core.errors import JobError
from longhaul.core.jobs import Counts, JobStatus, Outcome, RunMode
from longhaul.workflows.flow import Flow
from tests.engine import Engine, open_engine
from tests.flows import (
    approval,
    check_numbers_agree,
    child,
    children,
    echo,
    group,
    note,
    notes,
    retry,
    submit,
    waits_for_approval,
)
from tests.planning import asked_again
from tests.waiting import until
from tests.workflows.test_cancelling import has_done

RUNNING, PAUSED = JobStatus.RUNNING, JobStatus.PAUSED


@pytest.fixture
async def engine(
    temporal_client: Client, database: PostgresDatabase, redis_client: Redis
) -> AsyncIterator[Engine]:
    async with (
        open_engine(temporal_client, database, redis_client) as opened,
        opened.worker(),
        opened.dispatcher(),
    ):
        yield opened


async def check_replays(engine: Engine, job_id: str) -> None:
    history = await engine.handle(job_id).fetch_history()
    replayer = Replayer(workflows=[Flow], workflow_failure_exception_types=[JobError])
    await replayer.replay_workflow(history)


@pytest.mark.invariant("I4")
async def test_a_pause_and_a_resume_go_down_to_the_jobs(engine: Engine) -> None:
    engine.echo.gate = asyncio.Event()
    job_id = await submit(
        engine,
        group("both", echo("a", items=100), echo("b", items=100)),
        echo("then", items=1),
    )
    for step in ("both.a", "both.b"):
        await child(engine, job_id, step, RUNNING)

    await engine.workflows.control(job_id, Control(action=Action.PAUSE, by="u-1", reason="lunch"))
    for step in ("both.a", "both.b"):
        await child(engine, job_id, step, JobStatus.PAUSING, PAUSED)
    engine.echo.gate.set()
    paused = await engine.becomes(job_id, PAUSED)
    jobs = await children(engine, job_id)
    await engine.workflows.control(job_id, Control(action=Action.RESUME, by="u-1"))
    flow = await engine.ends(job_id)

    assert paused.pause is not None
    assert {job.status for job in jobs.values()} == {PAUSED}
    assert {job.pause.reason for job in jobs.values() if job.pause} == {"lunch"}
    assert flow.outcome is Outcome.SUCCEEDED
    await check_numbers_agree(engine, job_id)
    await check_replays(engine, job_id)


async def test_a_paused_flow_asks_nothing_and_starts_nothing(engine: Engine) -> None:
    engine.echo.gate = asyncio.Event()
    job_id = await submit(engine, echo("one", items=1), approval("ok"), echo("then", items=1))
    await child(engine, job_id, "one", RUNNING)
    await engine.workflows.control(job_id, Control(action=Action.PAUSE, mode=RunMode.DRAIN))
    await child(engine, job_id, "one", JobStatus.PAUSING)
    engine.echo.gate.set()

    paused = await engine.becomes(job_id, PAUSED)

    assert paused.waiting_for is None
    assert paused.counts == Counts(total=3, done=1)
    await engine.workflows.control(job_id, Control(action=Action.RESUME))
    await waits_for_approval(engine, job_id)


async def test_pausing_now_stops_an_action_which_runs_again_after_the_resume(
    engine: Engine,
) -> None:
    engine.note.gate = asyncio.Event()
    job_id = await submit(engine, note("slow"))

    async def has_started() -> bool:
        return bool(engine.note.started)

    await until(has_started, what="the action")
    await engine.workflows.control(job_id, Control(action=Action.PAUSE, mode=RunMode.NOW))
    paused = await engine.becomes(job_id, PAUSED)
    engine.note.gate.set()
    await engine.workflows.control(job_id, Control(action=Action.RESUME))
    flow = await engine.ends(job_id)

    assert paused.counts == Counts(total=1)
    assert len(engine.note.started) == 2
    assert flow.outcome is Outcome.SUCCEEDED
    assert await notes(engine, job_id) == 1
    await check_replays(engine, job_id)


async def test_a_cancel_ends_the_children_first(engine: Engine) -> None:
    engine.echo.gate = asyncio.Event()
    job_id = await submit(
        engine,
        group("both", echo("a", items=400), echo("b", items=400)),
        echo("then", items=1),
    )
    for step in ("both.a", "both.b"):
        await child(engine, job_id, step, RUNNING)

    await engine.workflows.cancel(job_id)
    flow = await engine.ends(job_id)
    jobs = await children(engine, job_id)

    assert flow.status is JobStatus.CANCELLED
    assert flow.counts == Counts(total=3)
    assert {job.status for job in jobs.values()} == {JobStatus.CANCELLED}
    assert all(job.completed_at <= flow.completed_at for job in jobs.values())  # type: ignore[operator]
    await check_numbers_agree(engine, job_id)
    await check_replays(engine, job_id)


async def test_a_cancelled_flow_can_be_retried_and_does_nothing_twice(engine: Engine) -> None:
    engine.echo.gate = asyncio.Event()
    job_id = await submit(
        engine, echo("a", items=100, held_from=4), echo("b", items=1, held_from=1)
    )
    job = await child(engine, job_id, "a", RUNNING)
    await has_done(engine, job.id, 4)
    await engine.workflows.cancel(job_id)
    await engine.ends(job_id)
    engine.echo.gate.set()

    await retry(engine, job_id)
    flow = await engine.becomes(job_id, JobStatus.COMPLETED)

    assert flow.outcome is Outcome.SUCCEEDED
    async with engine.stores.database.begin() as tx:
        (row,) = await tx.fetch(
            "SELECT count(DISTINCT attempt) AS attempts FROM echo WHERE job_id = $1", job.id
        )
    assert row["attempts"] == 2
    await check_numbers_agree(engine, job_id)
    await check_replays(engine, job_id)


async def test_a_waiting_flow_can_be_cancelled(engine: Engine) -> None:
    job_id = await submit(engine, approval("ok"), echo("then", items=1))
    await waits_for_approval(engine, job_id)

    await engine.workflows.cancel(job_id)
    flow = await engine.ends(job_id)

    assert flow.status is JobStatus.CANCELLED
    assert flow.waiting_for is None


async def test_a_job_that_is_cancelled_by_itself_fails_its_step(engine: Engine) -> None:
    engine.echo.gate = asyncio.Event()
    job_id = await submit(engine, echo("a", items=100), echo("b", items=1))
    job = await child(engine, job_id, "a", RUNNING)

    await engine.workflows.cancel(job.id)
    flow = await engine.ends(job_id)

    assert flow.status is JobStatus.FAILED
    assert (await engine.items(job_id))[0]["error_code"] == "step_cancelled"


async def child_starts(engine: Engine, job_id: str) -> int:
    """How many jobs the current run of a flow has started."""
    history = await engine.handle(job_id).fetch_history()
    return sum(
        event.event_type == EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED
        for event in history.events
    )


@pytest.mark.parametrize("rolling", [False, True], ids=["one_run", "continued_as_new"])
async def test_a_job_that_plans_for_long_is_not_started_over_and_over(
    engine: Engine, rolling: bool
) -> None:
    engine.echo.planning = asyncio.Event()
    job_id = await submit(engine, echo("a", items=1), rolling=rolling)
    job = await child(engine, job_id, "a", JobStatus.PENDING)
    if rolling:
        await new_run(engine, job_id)
    await asked_again(engine, job)
    starts = await child_starts(engine, job_id)
    engine.echo.planning.set()
    flow = await engine.ends(job_id)

    assert starts <= 1
    assert flow.outcome is Outcome.SUCCEEDED


async def test_a_paused_flow_with_nothing_left_to_do_can_be_cancelled(engine: Engine) -> None:
    job_id = await submit(engine, approval("ok"))
    await waits_for_approval(engine, job_id)
    await engine.workflows.control(job_id, Control(action=Action.PAUSE))
    await engine.becomes(job_id, PAUSED)
    await engine.handle(job_id).execute_update("decide", {"step": "ok", "decision": "approved"})

    await engine.workflows.cancel(job_id)
    flow = await engine.ends(job_id)

    assert (flow.status, flow.outcome) == (JobStatus.COMPLETED, Outcome.SUCCEEDED)
    await check_replays(engine, job_id)


async def new_run(engine: Engine, job_id: str) -> None:
    """Return once a flow has continued as new, after many looks."""
    first = (await engine.handle(job_id).describe()).run_id

    async def has_rolled() -> bool:
        await engine.handle(job_id).signal("look")
        return (await engine.handle(job_id).describe()).run_id != first

    await until(has_rolled, what="a new run")


async def test_a_flow_whose_jobs_drain_for_long_continues_as_new(engine: Engine) -> None:
    engine.echo.gate = asyncio.Event()
    # More than are in flight at once: a job with nothing left to do would end, not pause.
    job_id = await submit(engine, echo("a", items=40), rolling=True)
    await child(engine, job_id, "a", RUNNING)
    await until(lambda: has_started(engine, 16), what="the items in flight")
    await engine.workflows.control(job_id, Control(action=Action.PAUSE))
    await child(engine, job_id, "a", JobStatus.PAUSING)

    await new_run(engine, job_id)
    pausing = await engine.job(job_id)
    engine.echo.gate.set()
    await engine.becomes(job_id, PAUSED)
    await engine.workflows.control(job_id, Control(action=Action.RESUME))
    flow = await engine.ends(job_id)

    assert pausing.status is JobStatus.PAUSING
    assert flow.counts == Counts(total=1, done=1)
    await check_numbers_agree(engine, job_id)


async def has_started(engine: Engine, count: int) -> bool:
    return len(engine.echo.started) >= count


async def test_a_flow_whose_jobs_take_long_to_end_continues_as_new(
    engine: Engine, dsn: str
) -> None:
    job_id = await submit(engine, echo("a", items=400, seconds=0.2), rolling=True)
    job = await child(engine, job_id, "a", RUNNING)
    connection = await asyncpg.connect(dsn)
    async with connection.transaction():
        await connection.execute("LOCK TABLE echo")  # nor can the job be summed up
        await engine.workflows.cancel(job_id)
        await new_run(engine, job_id)
        alive = await engine.job(job.id)
    await connection.close()
    flow = await engine.ends(job_id)

    assert not alive.status.is_terminal
    assert flow.status is JobStatus.CANCELLED
    assert (await engine.job(job.id)).status is JobStatus.CANCELLED
