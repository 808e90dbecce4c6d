"""Schedules on the real servers: fired by hand, so that no test waits for a clock."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.schedules import PostgresSchedules
from longhaul.adapters.telemetry.logs import LoggedErrors
from longhaul.adapters.temporal.schedules import TemporalSchedules
from longhaul.api.schedule_keeper import ScheduleKeeper
from longhaul.core.schedules import FiringOutcome, FiringRequest
from longhaul.core.upkeep import UPKEEP
from tests.api.conftest import Api
from tests.engine import Engine
from tests.waiting import until

# After the tests have ended, whenever they run.
NEVER = "0 0 29 2 *"
ECHO = {"job_type": "echo", "parameters": {"items": 2}, "cron": NEVER}


async def create(client: httpx2.AsyncClient, **changes: Any) -> dict[str, Any]:
    response = await client.post("/schedules", json=ECHO | changes)
    assert response.status_code == 201, response.text
    return dict(response.json())


async def fire(client: httpx2.AsyncClient, temporal: Client, schedule_id: str) -> dict[str, Any]:
    """Trigger a schedule, and return the result."""
    handle = temporal.get_schedule_handle(f"longhaul-schedule-{schedule_id}")
    firings = (await client.get(f"/schedules/{schedule_id}")).json()["firings"]
    before = len(firings)

    async def is_over() -> bool:
        # Temporal counts in seconds: two firings within one are the same.
        latest = datetime.fromisoformat(firings[0]["scheduled_at"])
        running = (await handle.describe()).info.running_actions
        return not running and datetime.now(UTC) >= latest + timedelta(seconds=1)

    if firings:
        await until(is_over, what="the firing before", every=0.1)
    response = await client.post(f"/schedules/{schedule_id}/trigger")
    assert response.status_code == 202, response.text
    found: list[dict[str, Any]] = []

    async def fired() -> bool:
        nonlocal found
        found = (await client.get(f"/schedules/{schedule_id}")).json()["firings"]
        return len(found) > before

    await until(fired, what="the firing")
    return found[0]


async def ends(client: httpx2.AsyncClient, job_id: str) -> dict[str, Any]:
    job: dict[str, Any] = {}

    async def has_ended() -> bool:
        nonlocal job
        job = (await client.get(f"/jobs/{job_id}")).json()
        return job["completed_at"] is not None

    await until(has_ended, what=f"{job_id} to end")
    return job


@pytest.mark.usefixtures("worker")
async def test_a_firing_makes_a_job_as_if_its_owner_had_asked_for_it(
    client: httpx2.AsyncClient, temporal_client: Client
) -> None:
    schedule = await create(client, priority=7, metadata={"ticket": "T-1"})

    firing = await fire(client, temporal_client, schedule["schedule_id"])
    job = await ends(client, firing["job_id"])

    assert schedule["in_force"]
    assert schedule["last_firing"] is None
    assert firing["outcome"] == "started"
    assert (job["status"], job["owner"], job["priority"]) == ("completed", "u-1", 7)
    assert job["metadata"]["ticket"] == "T-1"
    assert job["metadata"]["schedule_id"] == schedule["schedule_id"]
    assert (await client.get(f"/jobs/{job['job_id']}/history")).json()["audit"][0]["by"] == "u-1"


@pytest.mark.usefixtures("worker")
async def test_a_firing_is_skipped_while_the_job_of_an_earlier_one_runs(
    client: httpx2.AsyncClient, engine: Engine, temporal_client: Client
) -> None:
    engine.echo.gate = asyncio.Event()
    schedule_id = (await create(client))["schedule_id"]

    first = await fire(client, temporal_client, schedule_id)
    second = await fire(client, temporal_client, schedule_id)
    engine.echo.gate.set()
    await ends(client, first["job_id"])
    third = await fire(client, temporal_client, schedule_id)

    assert (second["outcome"], second["job_id"]) == ("skipped", first["job_id"])
    assert "not ended" in second["detail"]
    assert third["outcome"] == "started"
    assert (await client.get("/jobs")).json()["total"] == 2


@pytest.mark.invariant("I1")
async def test_the_same_firing_twice_makes_one_job(engine: Engine, api: Api) -> None:
    async with api.client() as client:
        schedule_id = (await create(client))["schedule_id"]
        request = FiringRequest(
            schedule_id=schedule_id, scheduled_at=datetime(2026, 1, 1, tzinfo=UTC)
        )
        fire_it = engine.parts.timed.jobs.fire
        answers = await asyncio.gather(
            *(ActivityEnvironment().run(fire_it, request) for _ in range(4))
        )
        jobs = (await client.get("/jobs")).json()

    assert len({answer.job_id for answer in answers}) == 1
    assert answers[0].outcome is FiringOutcome.STARTED
    assert jobs["total"] == 1


@pytest.mark.usefixtures("worker")
async def test_what_cannot_be_started_any_more_is_refused_with_the_reason(
    client: httpx2.AsyncClient, database: PostgresDatabase, temporal_client: Client
) -> None:
    schedule_id = (await create(client))["schedule_id"]
    async with database.begin() as tx:
        await tx.execute(
            "UPDATE schedule SET request = jsonb_set(request, '{parameters}', '{\"speed\": 1}')"
        )
    unfit = await fire(client, temporal_client, schedule_id)
    async with database.begin() as tx:
        await tx.execute("UPDATE schedule SET job_type = 'gone'")
    gone = await fire(client, temporal_client, schedule_id)

    assert (unfit["outcome"], gone["outcome"]) == ("refused", "refused")
    assert "parameters" in unfit["detail"]
    assert "gone" in gone["detail"]
    assert (await client.get("/jobs")).json()["total"] == 0


@pytest.mark.usefixtures("worker")
async def test_pause_resume_and_delete_reach_temporal(
    client: httpx2.AsyncClient, temporal_client: Client
) -> None:
    schedule_id = (await create(client, cron=None, every_seconds=86_400))["schedule_id"]
    handle = temporal_client.get_schedule_handle(f"longhaul-schedule-{schedule_id}")

    shown = (await client.get(f"/schedules/{schedule_id}")).json()
    paused = (await client.post(f"/schedules/{schedule_id}/pause")).json()
    is_paused = (await handle.describe()).schedule.state.paused
    none_to_come = (await client.get(f"/schedules/{schedule_id}")).json()["next_times"]
    resumed = (await client.post(f"/schedules/{schedule_id}/resume")).json()
    is_paused_still = (await handle.describe()).schedule.state.paused
    deleted = await client.delete(f"/schedules/{schedule_id}")

    assert len(shown["next_times"]) > 1
    assert (paused["paused"], is_paused, none_to_come) == (True, True, [])
    assert (resumed["paused"], is_paused_still, resumed["in_force"]) == (False, False, True)
    assert deleted.status_code == 204
    assert (await client.get(f"/schedules/{schedule_id}")).status_code == 404
    assert (await client.get("/schedules")).json() == {"schedules": []}
    with pytest.raises(RPCError) as refused:
        await handle.describe()
    assert refused.value.status is RPCStatusCode.NOT_FOUND


async def test_temporal_learns_again_what_it_has_lost(
    client: httpx2.AsyncClient, database: PostgresDatabase, temporal_client: Client
) -> None:
    schedule_id = (await create(client))["schedule_id"]
    handle = temporal_client.get_schedule_handle(f"longhaul-schedule-{schedule_id}")
    await handle.delete()
    temporal = TemporalSchedules(temporal_client)

    async def is_listed() -> bool:
        return schedule_id in await temporal.known()

    async def is_lost() -> bool:
        return not await is_listed()

    await until(is_lost, what="the list to follow")
    keeper = ScheduleKeeper(
        store=PostgresSchedules(database), temporal=temporal, errors=LoggedErrors()
    )
    keeping = asyncio.create_task(keeper.run())
    await until(is_listed, what="the schedule to be back")
    keeping.cancel()

    assert (await handle.describe()).schedule.policy.overlap.name == "SKIP"


async def test_an_api_process_makes_the_systems_own_schedules(
    api: Api, temporal_client: Client
) -> None:
    async def all_there() -> bool:
        found = [one.id async for one in await temporal_client.list_schedules()]
        return {one.schedule_id for one in UPKEEP} <= set(found)

    await until(all_there, what="the schedules")
    async with api.client("a", "Admin") as admin:
        listed = (await admin.get("/schedules/system")).json()["upkeep"]

    assert [one["name"] for one in listed] == ["Retention", "HealthProbe"]
    assert listed[0]["last_run"] is None


@pytest.mark.invariant("I9")
async def test_nobody_sees_or_touches_the_schedules_of_others(api: Api) -> None:
    async with api.client("u-1") as mine, api.client("u-2") as other, api.client("a", "Admin") as a:
        path = f"/schedules/{(await create(mine))['schedule_id']}"
        answers = [
            await other.get(path),
            await other.delete(path),
            await other.post(f"{path}/pause"),
            await other.post(f"{path}/resume"),
            await other.post(f"{path}/trigger"),
            await other.get(f"{path}/history"),
            await mine.get(f"/schedules/{uuid.uuid4()}"),
            await mine.get(f"/schedules/{uuid.uuid4()}/history"),
            await mine.get("/schedules/no-uuid"),
        ]
        listed = [
            len((await one.get("/schedules")).json()["schedules"]) for one in (mine, other, a)
        ]
        system = [(await one.get("/schedules/system")).status_code for one in (mine, a)]

    assert {answer.status_code for answer in answers} == {404}
    assert listed == [1, 0, 1]
    assert system == [403, 200]


async def test_who_did_what_to_a_schedule_is_known_also_when_it_is_gone(api: Api) -> None:
    async with api.client("u-1") as mine, api.client("a", "Admin") as admin:
        path = f"/schedules/{(await create(mine))['schedule_id']}"
        await admin.post(f"{path}/pause")
        await mine.post(f"{path}/resume")
        await mine.post(f"{path}/trigger")
        await mine.delete(path)
        gone = await mine.get(path)

        page = (await mine.get(f"{path}/history", params={"limit": 3})).json()
        rest = (await admin.get(f"{path}/history", params={"cursor": page["next_cursor"]})).json()

    done = [(line["action"], line["by"]) for line in page["audit"] + rest["audit"]]
    assert gone.status_code == 404
    assert done == [
        ("created", "u-1"), ("paused", "a"), ("resumed", "u-1"), ("triggered", "u-1"),
        ("deleted", "u-1"),
    ]  # fmt: skip
    assert page["audit"][0]["details"]["cron"] == NEVER
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"cron": "0 6 * *"}, 422),
        ({"cron": "61 6 * * *"}, 422),
        ({"cron": None}, 422),
        ({"every_seconds": 3600}, 422),
        ({"cron": None, "every_seconds": 1}, 422),
        ({"time_zone": "Mars/Olympus"}, 422),
        ({"time_zone": "../../etc/passwd"}, 422),
        ({"parameters": {"speed": 1}}, 422),
        ({"start_at": "2030-01-01T00:00:00Z"}, 422),
        ({"job_type": "no_such_type"}, 400),
    ],
)
async def test_what_no_schedule_may_be(
    client: httpx2.AsyncClient, changes: dict[str, Any], status: int
) -> None:
    response = await client.post("/schedules", json=ECHO | changes)

    assert response.status_code == status, response.text
    assert (await client.get("/schedules")).json() == {"schedules": []}


async def test_cron_with_names_steps_and_a_zone_is_taken_by_temporal(
    client: httpx2.AsyncClient,
) -> None:
    created = await create(
        client, cron="*/15 6-18/2 1,15 jan-MAR mon-fri", time_zone="Europe/Berlin"
    )

    assert created["in_force"]
    assert created["time_zone"] == "Europe/Berlin"
