"""Requests to workflows, and what the row shows of them."""

import pytest
from redis.asyncio import Redis
from temporalio.testing import ActivityEnvironment

from longhaul.activities.flow import FlowActivities
from longhaul.activities.flow_look import FlowParts
from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.flows import PostgresFlows
from longhaul.adapters.postgres.jobs import PostgresJobs
from longhaul.adapters.postgres.ledger import PostgresLedger
from longhaul.adapters.redis.logs import RedisLogTail
from longhaul.adapters.telemetry.logs import LoggedErrors
from longhaul.core.catalog import Catalog
from longhaul.core.controls import Action, Control
from longhaul.core.jobs import Job, JobStatus, Requested
from longhaul.core.messages import SteerRequest
from longhaul.core.ports import LogTail, Stores, Workflows
from longhaul.services.approvals import Approvals
from longhaul.services.attempts import Attempts
from longhaul.services.job_finisher import JobFinisher
from longhaul.services.parents import Parents
from longhaul.services.steering import Steering
from tests.factories import make_new_job
from tests.fakes import NoBoard, NoWorkflows
from tests.job_types.echo import Echo

CATALOG = Catalog([Echo()])


class Heard(NoWorkflows):
    """Temporal, accepting every request."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, Action]] = []

    async def control(self, job_id: str, control: Control) -> bool:
        self.requests.append((job_id, control.action))
        return True


@pytest.fixture
def stores(database: PostgresDatabase) -> Stores:
    return Stores(
        database=database, jobs=PostgresJobs(), ledger=PostgresLedger(database), board=NoBoard()
    )


async def make_job(stores: Stores, status: JobStatus) -> Job:
    async with stores.database.begin() as tx:
        job = await stores.jobs.insert(tx, make_new_job())
        assert job is not None
        return await stores.jobs.update(tx, job, status=status, requested=Requested.CANCEL)


def make_steering(stores: Stores, workflows: Workflows) -> Steering:
    finisher = JobFinisher(stores=stores, catalog=CATALOG, errors=LoggedErrors())
    return Steering(stores=stores, workflows=workflows, finisher=finisher)


def make_flow_activities(stores: Stores, workflows: Workflows, logs: LogTail) -> FlowActivities:
    flows = PostgresFlows()
    parts = FlowParts(
        jobs=stores.jobs,
        ledger=stores.ledger,
        flows=flows,
        catalog=CATALOG,
        approvals=Approvals(stores=stores, flows=flows, logs=logs),
        attempts=Attempts(jobs=stores.jobs, ledger=stores.ledger),
        parents=Parents(jobs=stores.jobs, ledger=stores.ledger),
        errors=LoggedErrors(),
    )
    return FlowActivities(stores=stores, parts=parts, steering=make_steering(stores, workflows))


@pytest.mark.parametrize("status", [JobStatus.PENDING, JobStatus.RUNNING])
@pytest.mark.parametrize("action", list(Action))
async def test_nothing_that_is_asked_for_later_undoes_a_cancel(
    stores: Stores, status: JobStatus, action: Action
) -> None:
    job = await make_job(stores, status)

    row, _ = await make_steering(stores, Heard()).control(job, Control(action=action, by="u-1"))

    assert row.requested is Requested.CANCEL
    assert row.pause is None


@pytest.mark.parametrize(
    ("status", "requested", "action"),
    [
        (JobStatus.RUNNING, Requested.PAUSE, Action.RESUME),
        (JobStatus.PAUSED, Requested.RESUME, Action.PAUSE),
    ],
)
async def test_a_flow_steers_a_job_that_has_yet_to_do_what_was_asked_before(
    stores: Stores,
    redis_client: Redis,
    status: JobStatus,
    requested: Requested,
    action: Action,
) -> None:
    workflows = Heard()
    async with stores.database.begin() as tx:
        flow = await stores.jobs.insert(tx, make_new_job(job_type="flow"))
        assert flow is not None
        job = await stores.jobs.insert(tx, make_new_job(parent_id=flow.id, step="one"))
        assert job is not None
        await stores.jobs.update(tx, job, status=status, requested=requested)
    request = SteerRequest(
        job_id=flow.id, epoch=flow.epoch, generation=1, control=Control(action=action)
    )
    steps = make_flow_activities(stores, workflows, RedisLogTail(redis_client))

    await ActivityEnvironment().run(steps.steer, request)

    assert workflows.requests == [(job.id, action)]
