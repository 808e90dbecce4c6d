"""Requests on their way to workflows, and what the row says of them."""

import pytest

from longhaul.activities.ending import Endings
from longhaul.activities.steering import Steering
from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.jobs import PostgresJobs
from longhaul.adapters.postgres.ledger import PostgresLedger
from longhaul.adapters.telemetry.logs import LoggedReports
from longhaul.core.catalog import Catalog
from longhaul.core.controls import Action, Control, Requested
from longhaul.core.jobs import Job, JobStatus
from longhaul.core.ports import Stores
from tests.factories import make_new_job
from tests.fakes import NoBoard, NoWorkflows
from tests.job_types.echo import Echo


class Heard(NoWorkflows):
    """Temporal, that takes every request."""

    async def control(self, job_id: str, control: Control) -> bool:
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


@pytest.mark.parametrize("status", [JobStatus.PENDING, JobStatus.RUNNING])
@pytest.mark.parametrize("action", list(Action))
async def test_nothing_that_is_asked_for_later_undoes_a_cancel(
    stores: Stores, status: JobStatus, action: Action
) -> None:
    job = await make_job(stores, status)
    reports = LoggedReports()
    steering = Steering(
        stores=stores,
        workflows=Heard(),
        endings=Endings(stores=stores, catalog=Catalog([Echo()]), reports=reports),
    )

    row, _ = await steering.control(job, Control(action=action, by="u-1"))

    assert row.requested == Requested.CANCEL
    assert row.pause is None
