"""Old jobs are deleted, a few at a time; others stay."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from redis.asyncio import Redis
from temporalio.testing import ActivityEnvironment

from longhaul.activities.upkeep import RetentionActivities
from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.jobs import PostgresJobs
from longhaul.adapters.postgres.ledger import PostgresLedger
from longhaul.adapters.postgres.retention import PostgresRetention, PostgresUpkeepLog
from longhaul.adapters.redis.traces import RedisTraces
from longhaul.adapters.telemetry.logs import LoggedErrors
from longhaul.api.controls import Controls
from longhaul.core.catalog import Catalog
from longhaul.core.jobs import Job, JobStatus, Outcome
from longhaul.core.ports import Stores
from longhaul.core.principals import Principal
from longhaul.core.upkeep import RETENTION, Purged
from longhaul.services.job_finisher import JobFinisher
from tests.factories import make_new_job
from tests.fakes import NoBoard, NoWorkflows
from tests.job_types.echo import Echo

KEEP = timedelta(days=30)
JOBS = PostgresJobs()


def activities(
    database: PostgresDatabase, redis: Redis, keep: timedelta | None, rows_at_once: int
) -> RetentionActivities:
    expired = PostgresRetention(database, rows_at_once=rows_at_once)
    return RetentionActivities(
        expired=expired,
        traces=RedisTraces(redis),
        alone=expired.alone,
        log=PostgresUpkeepLog(database),
        keep=keep,
    )


async def purge(
    database: PostgresDatabase,
    redis: Redis,
    keep: timedelta | None = KEEP,
    rows_at_once: int = 1_000,
) -> Purged:
    run = activities(database, redis, keep, rows_at_once).purge_expired
    return await ActivityEnvironment().run(run)


async def make_jobs(
    database: PostgresDatabase,
    count: int = 1,
    *,
    status: JobStatus = JobStatus.COMPLETED,
    days_ago: int = 31,
    items: int = 3,
) -> list[Job]:
    made = []
    for _ in range(count):
        new = make_new_job()
        async with database.begin() as tx:
            job = await JOBS.insert(tx, new)
            assert job is not None
            outcome = Outcome.SUCCEEDED if status.is_terminal else None
            made.append(await JOBS.update(tx, job, status=status, outcome=outcome))
            for table in ("completed_at", "updated_at"):
                await tx.execute(
                    f"UPDATE job SET {table} = {table} - $2::interval WHERE id = $1",
                    job.id,
                    timedelta(days=days_ago),
                )
            await tx.execute(
                "INSERT INTO job_item (job_id, ordinal, item_key) "
                "SELECT $1, n, n::text FROM generate_series(1, $2::integer) AS n",
                job.id,
                items,
            )
            await tx.execute(
                "INSERT INTO llm_call (job_id, attempt, ordinal, step, try, token, provider, "
                "model, fingerprint, sent_at) SELECT $1, 1, n, 's', 1, gen_random_uuid(), 'p', "
                "'m', 'f', now() FROM generate_series(1, $2::integer) AS n",
                job.id,
                items,
            )
    return made


async def note_deliveries(database: PostgresDatabase, *days_ago: int) -> None:
    async with database.begin() as tx:
        for days in days_ago:
            await tx.execute(
                "INSERT INTO webhook_delivery (id, webhook_id, event, job_id, job_version, payload,"
                " due_at, created_at) SELECT gen_random_uuid(), gen_random_uuid(), 'job.ended', "
                "gen_random_uuid(), $1, '{}', t, t FROM (SELECT now() - $2::interval AS t) AS x",
                days,
                timedelta(days=days),
            )


async def ids_in(database: PostgresDatabase, table: str, column: str = "job_id") -> set[str]:
    async with database.begin() as tx:
        return {str(row["id"]) for row in await tx.fetch(f"SELECT {column} AS id FROM {table}")}


def ids(jobs: Sequence[Job]) -> set[str]:
    return {job.id for job in jobs}


async def test_old_jobs_go_with_all_they_have_and_others_stay(
    database: PostgresDatabase, redis_client: Redis
) -> None:
    old = await make_jobs(database, 2) + await make_jobs(database, status=JobStatus.FAILED)
    young = await make_jobs(database, days_ago=29)
    running = await make_jobs(database, status=JobStatus.RUNNING)
    keys = [f"job:{kind}:{old[0].id}" for kind in ("meta", "pause", "logs", "events")]
    for key in keys:
        await redis_client.set(key, "x", ex=60)

    purged = await purge(database, redis_client)

    kept = ids(young) | ids(running)
    assert purged == Purged(jobs=3)
    assert await ids_in(database, "job", "id") == kept
    assert await ids_in(database, "job_item") == await ids_in(database, "llm_call") == kept
    assert await ids_in(database, "job_purge") == set()
    assert await redis_client.exists(*keys) == 0


async def test_a_purge_is_audited(database: PostgresDatabase, redis_client: Redis) -> None:
    (old,) = await make_jobs(database)

    await purge(database, redis_client)

    async with database.begin() as tx:
        audit = await tx.fetch("SELECT * FROM job_audit WHERE job_id = $1 ORDER BY id", old.id)
        (run,) = await tx.fetch("SELECT * FROM system_run WHERE name = $1", RETENTION)
    assert [(line["action"], line["by"]) for line in audit][-1] == ("purged", "longhaul")
    assert audit[-1]["details"] == {"kept_for_days": 30}
    assert (run["ok"], run["details"]) == (True, {"jobs": 1})


async def test_more_than_fits_into_one_step_goes_in_many(
    database: PostgresDatabase, redis_client: Redis
) -> None:
    await make_jobs(database, 3, items=10)

    purged = await purge(database, redis_client, rows_at_once=4)

    assert purged.jobs == 3
    assert await ids_in(database, "job_item") == await ids_in(database, "llm_call") == set()


async def test_what_a_killed_purge_has_left_is_deleted_by_the_next(
    database: PostgresDatabase, redis_client: Redis
) -> None:
    (old,) = await make_jobs(database)
    await PostgresRetention(database).purge_jobs(KEEP)  # and then its process is killed
    left = await ids_in(database, "job_item")

    purged = await purge(database, redis_client, keep=None)

    assert left == {old.id}
    assert purged == Purged()
    assert await ids_in(database, "job_item") == await ids_in(database, "job_purge") == set()


async def test_a_job_that_somebody_purges_goes_as_those_that_are_old(
    database: PostgresDatabase,
) -> None:
    job, other = await make_jobs(database, 2, items=10)
    store = PostgresRetention(database, rows_at_once=4)

    async with database.begin() as tx:
        gone = await store.purge_family(tx, job, "u-1")
    left = await ids_in(database, "job_item")
    steps = 0
    while await store.purge_remains(gone):
        steps += 1

    assert gone == [job.id]
    assert left == ids([job, other])
    # Of each table three steps, the last of which goes on: calls, then items, then the note.
    assert steps == 5
    assert await ids_in(database, "job_item") == await ids_in(database, "llm_call") == {other.id}


async def test_a_person_who_purges_a_large_job_waits_for_a_part_of_it(
    database: PostgresDatabase, redis_client: Redis
) -> None:
    (job,) = await make_jobs(database, items=30)
    keys = [f"job:{kind}:{job.id}" for kind in ("meta", "pause", "logs", "events")]
    for key in keys:
        await redis_client.set(key, "x", ex=60)
    stores = Stores(database=database, jobs=JOBS, ledger=PostgresLedger(database), board=NoBoard())
    controls = Controls(
        database=database,
        jobs=JOBS,
        ledger=stores.ledger,
        retention=PostgresRetention(database, rows_at_once=1),
        board=stores.board,
        traces=RedisTraces(redis_client),
        workflows=NoWorkflows(),
        finisher=JobFinisher(stores=stores, catalog=Catalog([Echo()]), errors=LoggedErrors()),
        wake=lambda: None,
        check=lambda: None,
    )

    await controls.purge(Principal(sub=job.owner), job.id)

    assert await redis_client.exists(*keys) == 0
    assert await ids_in(database, "job", "id") == set()
    assert await ids_in(database, "job_item") == {job.id}
    await purge(database, redis_client, keep=None)
    assert await ids_in(database, "job_item") == await ids_in(database, "llm_call") == set()


async def test_two_who_delete_remains_at_once_leave_none(database: PostgresDatabase) -> None:
    jobs = await make_jobs(database, 4, items=50)
    store = PostgresRetention(database, rows_at_once=7)
    await store.purge_jobs(KEEP)

    async def delete() -> None:
        while await ids_in(database, "job_purge"):
            await store.purge_remains()

    await asyncio.gather(*(delete() for _ in range(4)))

    assert len(jobs) == 4
    assert await ids_in(database, "job_item") == await ids_in(database, "llm_call") == set()


async def test_without_days_jobs_are_kept_and_what_has_run_out_is_not(
    database: PostgresDatabase, redis_client: Redis
) -> None:
    old = await make_jobs(database, 2, days_ago=5_000)
    async with database.begin() as tx:
        for job, age in zip(old, ("-1 hour", "1 hour"), strict=True):
            await tx.execute(
                "INSERT INTO idempotency_key (owner, key, body_hash, job_id, expires_at) "
                "VALUES ('u-1', $1::text, '', $2, now() + $1::text::interval)",
                age,
                job.id,
            )
    await note_deliveries(database, 89, 91)

    await purge(database, redis_client, keep=None)

    assert await ids_in(database, "job", "id") == ids(old)
    assert await ids_in(database, "idempotency_key", "key") == {"1 hour"}
    assert await ids_in(database, "webhook_delivery", "job_version") == {"89"}


async def test_one_process_at_a_time_purges(
    database: PostgresDatabase, redis_client: Redis
) -> None:
    await make_jobs(database)
    async with PostgresRetention(database).alone():
        busy = await purge(database, redis_client)

    assert busy == Purged(busy=True)
    assert (await purge(database, redis_client)).jobs == 1


async def test_what_is_no_part_of_a_job_goes_when_it_is_as_old(
    database: PostgresDatabase, redis_client: Redis
) -> None:
    await note_deliveries(database, 29, 31, 32, 33)

    await purge(database, redis_client, rows_at_once=2)

    assert await ids_in(database, "webhook_delivery", "job_version") == {"29"}


async def test_two_purges_at_once_delete_each_job_once(
    database: PostgresDatabase,
) -> None:
    jobs = await make_jobs(database, 20, items=1)
    store = PostgresRetention(database)

    gone: list[Any] = await asyncio.gather(*(store.purge_jobs(KEEP) for _ in range(3)))

    assert sorted(one for some in gone for one in some) == sorted(ids(jobs))
