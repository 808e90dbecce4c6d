"""Results that cannot be stored: an outage is waited for, an internal fault pauses the job."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest
from redis.asyncio import Redis
from temporalio.client import Client

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.core.jobs import Counts, JobStatus, Outcome
from longhaul.workflows.engine import MAX_FAULTS
from tests.conftest import Servers
from tests.engine import Engine, open_engine
from tests.stubs.gate import Gate
from tests.waiting import until
from tests.workflows.test_cancelling import has_done
from tests.workflows.test_pausing import resume

# As many as would pause a job if they were not an outage.
FAULTS = MAX_FAULTS


@pytest.mark.invariant("I3")
async def test_an_outage_however_long_neither_fails_nor_pauses_a_job(
    servers: Servers, dsn: str, temporal_client: Client, redis_client: Redis
) -> None:
    async with Gate.before(servers.postgres_port) as gate:
        far = dsn.replace(str(servers.postgres_port), str(gate.port))
        async with (
            PostgresDatabase.open(far, connections=20) as database,
            open_engine(temporal_client, database, redis_client) as engine,
        ):
            engine.outage_patience = timedelta(seconds=0.5)
            async with engine.worker():
                engine.echo.gate = asyncio.Event()
                job_id = await engine.create(items=100, concurrency=4, held_from=8)
                await has_done(engine, job_id, 8)

                await gate.shut()
                engine.echo.gate.set()
                await until(lambda: has_failed(engine, job_id, FAULTS), what="the outage")
                await gate.open()
                job = await engine.becomes(
                    job_id, JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.PAUSED
                )

            assert (job.status, job.outcome) == (JobStatus.COMPLETED, Outcome.SUCCEEDED)
            assert job.counts == Counts(total=100, done=100)
            await engine.check_numbers_agree(job_id)


async def has_failed(engine: Engine, job_id: str, times: int) -> bool:
    history = await engine.handle(job_id).fetch_history()
    failed = [
        event.activity_task_failed_event_attributes.failure
        for event in history.events
        if event.HasField("activity_task_failed_event_attributes")
    ]
    kinds = {failure.application_failure_info.type for failure in failed}
    assert kinds <= {"unavailable"}
    return len(failed) >= times


BREAK = """
CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'no such thing'; END $$;
CREATE TRIGGER broken BEFORE UPDATE ON job_item FOR EACH ROW EXECUTE FUNCTION broken()
"""


async def test_results_that_cannot_be_stored_pause_the_job_instead_of_running_it_for_ever(
    dsn: str, database: PostgresDatabase, temporal_client: Client, redis_client: Redis
) -> None:
    admin = await asyncpg.connect(dsn)
    await admin.execute(BREAK)
    async with (
        open_engine(temporal_client, database, redis_client) as engine,
        engine.worker(),
    ):
        job_id = await engine.create(items=8, concurrency=4)
        paused = await engine.becomes(job_id, JobStatus.PAUSED, JobStatus.FAILED)
        await admin.execute("DROP TRIGGER broken ON job_item")
        await resume(engine, job_id)
        job = await engine.ends(job_id)
    await admin.close()

    assert paused.pause is not None
    assert paused.pause.reason.startswith("chunk_fault: ")
    assert "no such thing" not in paused.pause.reason
    assert paused.counts == Counts(total=8)
    assert job.counts == Counts(total=8, done=8)
