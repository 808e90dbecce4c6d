"""I9: a list of jobs has what its reader may see, for any reason, and nothing else."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.jobs import PostgresJobs
from longhaul.adapters.postgres.queries import PostgresQueries
from longhaul.core.approvers import Approvers
from longhaul.core.job_filters import JobFilter
from longhaul.core.jobs import Job, JobStatus
from longhaul.core.principals import Principal, may_see
from tests.factories import make_new_job

pytestmark = pytest.mark.invariant("I9")

JOBS = PostgresJobs()
OWNER = "Report Owner"

READERS = [
    Principal(sub="u-1"),
    Principal(sub="u-2"),
    Principal(sub="u-3", roles=frozenset({OWNER}), lob="Cards"),
    Principal(sub="u-3", roles=frozenset({OWNER}), lob="Mortgage"),
    Principal(sub="u-3", roles=frozenset({OWNER, "Tester"})),
    Principal(sub="u-2", roles=frozenset({"Tester"}), lob="Mortgage"),
]


async def make_jobs(database: PostgresDatabase) -> list[Job]:
    """Jobs of every mixture of owner, approvers and line of business."""
    asked = [
        Approvers(),
        Approvers(users=("u-2",)),
        Approvers(roles=(OWNER,)),
        Approvers(users=("u-1", "u-3"), roles=("Tester",)),
    ]
    made = []
    async with database.begin() as tx:
        for owner in ("u-1", "u-9"):
            for approvers in asked:
                for lob in (None, "Cards", "Mortgage"):
                    new = make_new_job(owner=owner, approvers=approvers, owner_lob=lob)
                    job = await JOBS.insert(tx, new)
                    assert job is not None
                    made.append(job)
    return made


async def walk(queries: PostgresQueries, wanted: JobFilter, limit: int) -> list[Job]:
    found: list[Job] = []
    while True:
        last = found[-1] if found else None
        after = (last.created_at, last.id) if last else None
        page = await queries.jobs(wanted, limit=limit, after=after)
        if not page:
            return found
        found += page


def ids(jobs: Sequence[Job]) -> list[str]:
    return [job.id for job in jobs]


async def test_a_list_and_the_rule_for_one_job_agree_for_every_reader(
    database: PostgresDatabase,
) -> None:
    jobs, queries = await make_jobs(database), PostgresQueries(database)

    for reader in READERS:
        wanted = JobFilter(visible_to=reader)
        visible = [job for job in reversed(jobs) if may_see(reader, job)]

        assert ids(await walk(queries, wanted, limit=4)) == ids(visible)
        assert await queries.count_jobs(wanted) == (len(visible), True)


async def test_what_waits_for_an_approval_is_a_running_flow_that_says_so(
    database: PostgresDatabase,
) -> None:
    jobs, queries = await make_jobs(database), PostgresQueries(database)
    reader = Principal(sub="u-2")
    paused, *waiting = [job for job in jobs if may_see(reader, job)]
    async with database.begin() as tx:
        for job in (paused, *waiting):
            status = JobStatus.PAUSED if job is paused else JobStatus.RUNNING
            await JOBS.update(tx, job, status=status, waiting_for="approval")

    found = await queries.jobs(
        JobFilter(visible_to=reader, waiting_for="approval"), limit=100, after=None
    )

    assert ids(found) == ids(waiting[::-1])
    assert len(await queries.jobs(JobFilter(visible_to=reader), limit=100, after=None)) == 6


async def test_the_line_of_business_is_the_reports_and_else_the_owners(
    database: PostgresDatabase,
) -> None:
    async with database.begin() as tx:
        (report,) = await tx.fetch(
            "INSERT INTO report (name, regulation, lob) VALUES ('R', 'FR', 'Cards') RETURNING id"
        )
        new = make_new_job(owner_lob="IT")
        of_report = await JOBS.insert(
            tx, replace(make_new_job(owner_lob="IT"), report_id=report["id"])
        )
        of_nothing = await JOBS.insert(tx, new)

    assert of_report is not None
    assert of_nothing is not None
    assert (of_report.lob, of_nothing.lob) == ("Cards", "IT")
