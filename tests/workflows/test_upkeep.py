"""The system's own schedules, run by hand on the real servers."""

import uuid
from datetime import timedelta

import pytest
from temporalio.client import Client

from longhaul.adapters.postgres.retention import PostgresUpkeepLog
from longhaul.adapters.temporal.schedules import TemporalSchedules
from longhaul.core.job_types import Queue
from longhaul.core.upkeep import HEALTH_PROBE, RETENTION, UPKEEP, Upkeep
from longhaul.workflows.health_probe import HealthProbe
from longhaul.workflows.retention import Retention
from tests.engine import Engine


@pytest.mark.usefixtures("worker")
async def test_a_probe_asks_every_queue(engine: Engine) -> None:
    result = await engine.client.execute_workflow(
        HealthProbe.run, id=f"probe-{uuid.uuid4()}", task_queue=Queue.WORKFLOWS
    )

    log = await PostgresUpkeepLog(engine.stores.database).read()  # type: ignore[arg-type]
    assert result.queues == {str(queue): "ok" for queue in Queue}
    assert log[HEALTH_PROBE]["ok"]


@pytest.mark.usefixtures("worker")
async def test_retention_runs_as_a_workflow(engine: Engine) -> None:
    job_id = await engine.create(items=3)
    await engine.ends(job_id)
    async with engine.stores.database.begin() as tx:
        await tx.execute(
            "UPDATE job SET completed_at = completed_at - $1::interval", timedelta(days=91)
        )

    purged = await engine.client.execute_workflow(
        Retention.run, id=f"retention-{uuid.uuid4()}", task_queue=Queue.WORKFLOWS
    )

    assert purged.jobs == 1
    assert await engine.items(job_id) == []


async def test_the_systems_schedules_can_be_put_again_and_stay_paused(
    temporal_client: Client,
) -> None:
    schedules = TemporalSchedules(temporal_client)
    upkeep = Upkeep(workflow=f"Nothing-{uuid.uuid4()}", every=timedelta(days=300))
    handle = temporal_client.get_schedule_handle(upkeep.schedule_id)

    await schedules.put_upkeep(upkeep)
    await handle.pause()
    await schedules.put_upkeep(upkeep)
    described = await handle.describe()
    await handle.delete()

    assert described.schedule.state.paused
    assert {one.workflow for one in UPKEEP} == {RETENTION, HEALTH_PROBE}
