"""The steps of a flow that approve a version: in whose name they decide, and their results."""

from typing import Any

import pytest

from longhaul.activities.version_approval import VersionApproval, VersionApprovalParameters
from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.jobs import PostgresJobs
from longhaul.core.errors import NotFound, WrongState
from longhaul.core.jobs import Job
from longhaul.core.principals import Principal, Role
from longhaul.core.step_actions import ActionContext
from longhaul.job_types.decisions import build_decisions
from tests.decision_samples import SeededVersion, seed_rules
from tests.factories import make_new_job

ADMIN = Principal(sub="boss", roles=frozenset({Role.ADMIN}), lob="IT")
STRANGER = Principal(sub="sam", roles=frozenset({Role.TESTER, Role.REPORT_OWNER}), lob="Cards")


@pytest.fixture
async def version(database: PostgresDatabase) -> SeededVersion:
    return await seed_rules(database)


@pytest.fixture
async def flow(database: PostgresDatabase) -> Job:
    new = make_new_job(
        job_type="flow",
        owner="boss",
    )
    async with database.begin() as tx:
        job = await PostgresJobs().insert(tx, new)
    assert job is not None
    return job


async def run(
    database: PostgresDatabase, flow: Job, version_id: str, principal: Principal = ADMIN
) -> Any:
    action = VersionApproval(build_decisions())
    context = ActionContext(
        job=flow,
        step="approve-rules",
        principal=principal,
        database=database,
        log=lambda *_, **__: None,
    )
    parameters = VersionApprovalParameters.model_validate({"version_id": version_id})
    output = await action.do(context, parameters)
    async with database.begin() as tx:
        await action.save(tx, context, parameters, output)
    return output


async def test_a_flow_approves_in_two_names_and_the_audit_says_that_it_was_a_flow(
    database: PostgresDatabase, version: SeededVersion, flow: Job
) -> None:
    output = await run(database, flow, version.id)
    again = await run(database, flow, version.id)

    assert output == again == {"version_id": version.id}
    async with database.begin() as tx:
        rules = await tx.fetch("SELECT status FROM rule")
        (stored,) = await tx.fetch("SELECT status FROM rule_version")
        audit = await tx.fetch(
            "SELECT by, count(*) AS lines FROM decision_audit"
            " WHERE reason = 'Approved automatically by a flow.' GROUP BY by"
        )
    assert {row["status"] for row in rules} == {"approved"}
    assert stored["status"] == "approved"
    assert {row["by"]: row["lines"] for row in audit} == {
        "automatic-tester": version.rules + 1,
        "automatic-report-owner": version.rules + 1,
    }


async def test_a_flow_approves_nothing_that_who_started_it_may_not_see(
    database: PostgresDatabase, version: SeededVersion, flow: Job
) -> None:
    with pytest.raises(NotFound):
        await run(database, flow, version.id, STRANGER)

    async with database.begin() as tx:
        assert await tx.fetch("SELECT 1 FROM decision_audit") == []


async def test_nothing_is_approved_where_there_is_nothing(
    database: PostgresDatabase, version: SeededVersion, flow: Job
) -> None:
    async with database.begin() as tx:
        await tx.execute("DELETE FROM rule")

    with pytest.raises(WrongState, match="has no rules"):
        await run(database, flow, version.id)
