"""Records the histories that every later release must be able to replay.

    make record-history                    every kind
    make record-history KIND=pause_now     one kind

Each kind is a small job on real servers; its history goes to
`tests/replay/histories/<version>/<kind>.json`. A recorded history is never edited, and those
of earlier versions are never recorded again.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from temporalio.client import Client

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.core.controls import Action, Control
from longhaul.core.jobs import JobStatus, RunMode
from longhaul.core.tasks import cancel_and_wait
from longhaul.local import redis
from tests import flows
from tests.cluster import Cluster
from tests.engine import Engine, open_engine
from tests.planning import asked_again, resumed_while_planning
from tests.refusals import Refusals
from tests.replay.histories import HISTORIES
from tests.waiting import until

Kind = Callable[[Engine], Awaitable[str]]

NOW = Control(action=Action.PAUSE, mode=RunMode.NOW)
DRAIN = Control(action=Action.PAUSE, mode=RunMode.DRAIN)
RESUME = Control(action=Action.RESUME)


async def plain(engine: Engine) -> str:
    """Every item is done."""
    job_id = await engine.create(items=40, concurrency=4)
    await engine.ends(job_id)
    return job_id


async def partial(engine: Engine) -> str:
    """Some items fail, and some are skipped."""
    job_id = await engine.create(items=12, failing=[3], skipped=[4])
    await engine.ends(job_id)
    return job_id


async def failed(engine: Engine) -> str:
    """No item can be done."""
    job_id = await engine.create(items=3, failing=[0, 1, 2])
    await engine.ends(job_id)
    return job_id


async def no_items(engine: Engine) -> str:
    """There is nothing to do."""
    job_id = await engine.create(items=0)
    await engine.ends(job_id)
    return job_id


async def plan_failed(engine: Engine) -> str:
    """The items cannot be listed."""
    job_id = await engine.create(items="many")
    await engine.ends(job_id)
    return job_id


async def pause_now(engine: Engine) -> str:
    """Paused at once with chunks in flight, then resumed."""
    return await _paused(engine, NOW)


async def pause_drain(engine: Engine) -> str:
    """Paused by draining, then resumed."""
    return await _paused(engine, DRAIN)


async def pause_tightened(engine: Engine) -> str:
    """A drain that becomes a pause at once."""
    job_id = await engine.create(items=20, concurrency=2, seconds=0.3)
    await _started(engine, job_id, 2)
    await engine.workflows.control(job_id, DRAIN)
    await engine.becomes(job_id, JobStatus.PAUSING)
    await engine.workflows.control(job_id, NOW)
    await engine.becomes(job_id, JobStatus.PAUSED)
    await engine.workflows.control(job_id, RESUME)
    await engine.ends(job_id)
    return job_id


async def control_update(engine: Engine) -> str:
    """Paused and resumed by the update."""
    job_id = await engine.create(items=30, concurrency=2, seconds=0.05)
    await _started(engine, job_id, 2)
    handle = engine.handle(job_id)
    await handle.execute_update("control", {"action": "pause", "mode": "now"})
    await engine.becomes(job_id, JobStatus.PAUSED)
    await handle.execute_update("control", {"action": "resume"})
    await engine.ends(job_id)
    return job_id


async def cancelled(engine: Engine) -> str:
    """Cancelled with chunks in flight."""
    job_id = await engine.create(items=30, concurrency=2, seconds=0.1)
    await _started(engine, job_id, 4)
    await engine.workflows.cancel(job_id)
    await engine.ends(job_id)
    return job_id


async def cancelled_while_paused(engine: Engine) -> str:
    """Cancelled at rest."""
    job_id = await engine.create(items=30, concurrency=2, seconds=0.1)
    await _started(engine, job_id, 2)
    await engine.workflows.control(job_id, NOW)
    await engine.becomes(job_id, JobStatus.PAUSED)
    await engine.workflows.cancel(job_id)
    await engine.ends(job_id)
    return job_id


async def deadline(engine: Engine) -> str:
    """The deadline passes with items open."""
    job_id = await engine.create(items=20, concurrency=2, seconds=0.3, deadline=1.0)
    await engine.ends(job_id)
    return job_id


async def stop_loss(engine: Engine) -> str:
    """Pauses itself because most items fail, is resumed and cancelled."""
    job_id = await engine.create(
        items=100, concurrency=4, seconds=0.01, failing=list(range(100)), stop_ratio=0.5
    )
    await engine.becomes(job_id, JobStatus.PAUSED)
    await engine.workflows.control(job_id, RESUME)
    await engine.workflows.cancel(job_id)
    await engine.ends(job_id)
    return job_id


async def provider_rejected(engine: Engine) -> str:
    """Pauses itself because the provider refuses us."""
    job_id = await engine.create(items=10, concurrency=2, rejected=[4])
    await engine.becomes(job_id, JobStatus.PAUSED)
    await engine.workflows.cancel(job_id)
    await engine.ends(job_id)
    return job_id


async def late_stop(engine: Engine) -> str:
    """Resumed while a chunk that the provider refused still has an item in flight."""
    refusals = Refusals(engine)
    job_id = await refusals.create()
    await engine.becomes(job_id, JobStatus.PAUSING)
    refusals.is_over = True
    await engine.workflows.control(job_id, RESUME)
    await engine.becomes(job_id, JobStatus.RUNNING)
    refusals.gate.set()
    await engine.ends(job_id)
    return job_id


async def lost_chunks(engine: Engine) -> str:
    """An item kills its worker again and again, until it is given up."""
    job_id = await engine.create(items=6, concurrency=2, killing=[1])
    await engine.ends(job_id)
    return job_id


async def continued_as_new(engine: Engine) -> str:
    """A run that continues an earlier one."""
    job_id = await engine.create(items=60, concurrency=2, seconds=0.02, rolling=True)
    first = await engine.handle(job_id).describe()

    async def is_new_run() -> bool:
        await engine.workflows.control(job_id, DRAIN)
        return (await engine.handle(job_id).describe()).run_id != first.run_id

    await until(is_new_run, what="a new run")
    await engine.becomes(job_id, JobStatus.PAUSED)
    await engine.workflows.control(job_id, RESUME)
    await engine.ends(job_id)
    return job_id


async def planned_pause(engine: Engine) -> str:
    """A pause in the row, and a resume that came while the items were listed."""
    return await resumed_while_planning(engine)


async def flow(engine: Engine) -> str:
    """Steps one after another, a group, and an action."""
    job_id = await flows.submit(
        engine,
        flows.echo("first", items=2),
        flows.group("both", flows.echo("a", items=1), flows.echo("b", items=1)),
        flows.note("tell", text={"$from": "both"}),
    )
    await engine.ends(job_id)
    return job_id


async def flow_failed(engine: Engine) -> str:
    """A step that fails, and one that is never reached."""
    job_id = await flows.submit(
        engine, flows.echo("first", items=1, failing=[0]), flows.echo("second", items=1)
    )
    await engine.ends(job_id)
    return job_id


async def flow_approved(engine: Engine) -> str:
    """One approval by signal, and one by update."""
    job_id = await flows.submit(engine, flows.approval("one"), flows.approval("two"))
    await flows.waits_for_approval(engine, job_id)
    await engine.handle(job_id).signal("approve", {"step": "one"})
    await _asked(engine, job_id, "two")
    await engine.handle(job_id).execute_update("decide", {"step": "two"})
    await engine.ends(job_id)
    return job_id


async def flow_timed_out(engine: Engine) -> str:
    """An approval with a reminder that is never answered."""
    step = flows.approval("one", timeout_seconds=2, remind_after_seconds=1)
    job_id = await flows.submit(engine, step, flows.echo("then", items=1))
    await engine.ends(job_id)
    return job_id


async def flow_paused(engine: Engine) -> str:
    """Paused with a job in flight, then resumed."""
    job_id = await flows.submit(engine, flows.echo("one", items=60, seconds=0.3))
    await flows.child(engine, job_id, "one", JobStatus.RUNNING)
    await engine.workflows.control(job_id, NOW)
    await engine.becomes(job_id, JobStatus.PAUSED)
    await engine.workflows.control(job_id, RESUME)
    await engine.ends(job_id)
    return job_id


async def flow_cancelled(engine: Engine) -> str:
    """Cancelled with a job in flight."""
    job_id = await flows.submit(engine, flows.echo("one", items=400, seconds=0.3))
    await flows.child(engine, job_id, "one", JobStatus.RUNNING)
    await engine.workflows.cancel(job_id)
    await engine.ends(job_id)
    return job_id


async def flow_asked_twice(engine: Engine) -> str:
    """A job that lists its items for so long that it is started again."""
    engine.echo.planning = asyncio.Event()
    job_id = await flows.submit(engine, flows.echo("one", items=1))
    job = await flows.child(engine, job_id, "one", JobStatus.PENDING)
    await asked_again(engine, job)
    engine.echo.planning.set()
    await engine.ends(job_id)
    return job_id


async def flow_continued_as_new(engine: Engine) -> str:
    """A run that began while children of an earlier one were in flight."""
    members = [flows.echo(f"m-{number}", items=2, seconds=0.1) for number in range(8)]
    job_id = await flows.submit(engine, flows.group("all", *members), rolling=True, concurrency=3)
    await engine.ends(job_id)
    return job_id


KINDS: dict[str, Kind] = {
    kind.__name__: kind
    for kind in (
        plain,
        partial,
        failed,
        no_items,
        plan_failed,
        pause_now,
        pause_drain,
        pause_tightened,
        control_update,
        cancelled,
        cancelled_while_paused,
        deadline,
        stop_loss,
        provider_rejected,
        late_stop,
        planned_pause,
        lost_chunks,
        continued_as_new,
        flow,
        flow_failed,
        flow_approved,
        flow_timed_out,
        flow_paused,
        flow_cancelled,
        flow_asked_twice,
        flow_continued_as_new,
    )
}

# These would end this process: they have a separate worker that is restarted.
DEADLY = frozenset({lost_chunks})


async def record(names: list[str]) -> None:
    """Record some kinds, all of them if none is named."""
    folder = HISTORIES / version("longhaul")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as servers:
        cluster = Cluster(Path(servers), types=["tests.job_types.echo"])
        try:
            await cluster.open(apis=0, workers=0)
            for name in names or KINDS:
                await _record_one(cluster, KINDS[name], folder / f"{name}.json")
        finally:
            await cluster.close()


async def _record_one(cluster: Cluster, kind: Kind, file: Path) -> None:
    client: Client = await cluster.temporal()
    async with PostgresDatabase.open(cluster.dsn, connections=10) as database:
        connection = Redis.from_url(redis.url(cluster.redis_port), decode_responses=True)
        async with (
            open_engine(client, database, connection) as engine,
            _kept_worker(cluster) if kind in DEADLY else engine.worker(),
            engine.dispatcher(),
        ):
            handle = engine.handle(await kind(engine))

            async def closed() -> bool:
                status = (await handle.describe()).status
                return status is not None and status.name != "RUNNING"

            await until(closed, what="the workflow to close")
            history = json.loads((await handle.fetch_history()).to_json())
            file.write_text(json.dumps(_without_places(history), indent=1) + "\n")
        await connection.aclose()
    print(f"{file.name}: {kind.__doc__}")


@asynccontextmanager
async def _kept_worker(cluster: Cluster) -> AsyncIterator[None]:
    await cluster.run_worker("worker")

    async def keep() -> None:
        while True:
            await cluster.ended("worker")
            await cluster.start("worker")

    keeper = asyncio.create_task(keep())
    yield
    await cancel_and_wait([keeper])
    await cluster.stop("worker")


def _without_places(node: Any) -> Any:
    """A history without stack traces, which have folder names of this machine."""
    match node:
        case dict():
            return {
                key: _without_places(value) for key, value in node.items() if key != "stackTrace"
            }
        case list():
            return [_without_places(one) for one in node]
        case _:
            return node


async def _paused(engine: Engine, control: Control) -> str:
    job_id = await engine.create(items=30, concurrency=2, seconds=0.05)
    await _started(engine, job_id, 4)
    await engine.workflows.control(job_id, control)
    await engine.becomes(job_id, JobStatus.PAUSED)
    await engine.workflows.control(job_id, RESUME)
    await engine.ends(job_id)
    return job_id


async def _asked(engine: Engine, job_id: str, step: str) -> None:
    async def is_current() -> bool:
        return (await engine.job(job_id)).current_step == step

    await until(is_current, what=f"{step} to be asked for")


async def _started(engine: Engine, job_id: str, count: int) -> None:
    async def enough() -> bool:
        return len(engine.echo.started) >= count

    await until(enough, what=f"{count} items of {job_id} to start")


if __name__ == "__main__":
    asyncio.run(record(sys.argv[1:]))
