"""Jobs that take long to list their items, and requests meanwhile."""

import asyncio

from longhaul.core.controls import Action, Control
from longhaul.core.jobs import Job, Pause, Requested, RunMode
from tests.engine import Engine
from tests.waiting import until


async def resumed_while_planning(engine: Engine) -> str:
    """Start a job that begins paused, and resume it before it has begun; returns its id."""
    engine.echo.planning = asyncio.Event()
    job_id = await engine.create(items=4, start=False)
    job = await engine.job(job_id)
    pause = Pause(mode=RunMode.DRAIN, by="u-1")
    async with engine.stores.database.begin() as tx:
        await engine.stores.jobs.update(tx, job, requested=Requested.PAUSE, pause=pause)
    await engine.start(job)
    await runs(engine, job_id)
    await engine.workflows.control(job_id, Control(action=Action.RESUME, by="u-1"))
    engine.echo.planning.set()
    await engine.ends(job_id)
    return job_id


async def asked_again(engine: Engine, job: Job) -> None:
    """Ask a flow to start a job that still lists its items, as the dispatcher does later."""
    assert job.parent_id is not None
    flow = engine.handle(job.parent_id)
    await runs(engine, job.id)
    await engine.start(job)

    async def has_come() -> bool:
        history = await flow.fetch_history()
        return any(
            event.workflow_execution_signaled_event_attributes.signal_name == "start_child"
            for event in history.events
        )

    await until(has_come, what="the request")
    await flow.query("progress")  # is answered once the signal was handled


async def runs(engine: Engine, job_id: str) -> None:
    async def is_there() -> bool:
        return await engine.workflows.describe(job_id) is not None

    await until(is_there, what="the job's workflow")
