"""The steps of a flow that approve a version: whose name they decide in, and what they leave."""

import uuid
from typing import Any

import pytest

from longhaul.activities.approval_actions import (
    ApproveParameters,
    ApproveRules,
    ApproveSamples,
    ApproveVersion,
)
from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.jobs import PostgresJobs
from longhaul.core.errors import Forbidden, JobError, NotFound, WrongState
from longhaul.core.jobs import Job, JobOptions
from longhaul.core.ports import NewJob
from longhaul.core.principals import Principal, Role
from longhaul.core.step_actions import ActionContext
from longhaul.job_types.decisions import build_decisions
from tests.decision_samples import SeededVersion, seed_rules

ADMIN = Principal(sub="boss", roles=frozenset({Role.ADMIN}), lob="IT")
TESTER = Principal(sub="tess", roles=frozenset({Role.TESTER}), lob="Mortgage")
STRANGER = Principal(sub="sam", roles=frozenset({Role.TESTER, Role.REPORT_OWNER}), lob="Cards")


@pytest.fixture
async def version(database: PostgresDatabase) -> SeededVersion:
    return await seed_rules(database)


@pytest.fixture
async def flow(database: PostgresDatabase) -> Job:
    new = NewJob(
        id=str(uuid.uuid4()),
        job_type="flow",
        owner="boss",
        parameters={},
        options=JobOptions(),
        priority=5,
        description="",
        metadata={},
    )
    async with database.begin() as tx:
        job = await PostgresJobs().insert(tx, new)
    assert job is not None
    return job


async def run(
    action: ApproveVersion,
    database: PostgresDatabase,
    flow: Job,
    version_id: str,
    principal: Principal = ADMIN,
) -> Any:
    context = ActionContext(
        job=flow,
        step="approve-rules",
        principal=principal,
        database=database,
        log=lambda *_, **__: None,
    )
    parameters = ApproveParameters.model_validate({"version_id": version_id})
    output = await action.do(context, parameters)
    async with database.begin() as tx:
        await action.save(tx, context, parameters, output)
    return output


async def test_a_flow_of_an_admin_approves_and_the_audit_says_that_it_was_a_flow(
    database: PostgresDatabase, version: SeededVersion, flow: Job
) -> None:
    action = ApproveRules(build_decisions())

    output = await run(action, database, flow, version.id)
    again = await run(action, database, flow, version.id)

    assert output == again == {"version_id": version.id}
    async with database.begin() as tx:
        rules = await tx.fetch("SELECT status FROM rule")
        (stored,) = await tx.fetch("SELECT status FROM rule_version")
        audit = await tx.fetch(
            "SELECT by, reason, count(*) AS lines FROM decision_audit GROUP BY 1, 2"
        )
    assert {row["status"] for row in rules} == {"approved"}
    assert stored["status"] == "approved"
    assert [dict(row) for row in audit] == [
        {
            "by": "boss",
            "reason": f"step approve-rules of flow {flow.id}",
            "lines": 2 * version.rules + 2,
        }
    ]


@pytest.mark.parametrize(
    ("action", "principal", "refusal"),
    [
        (ApproveRules, TESTER, Forbidden),
        (ApproveRules, STRANGER, NotFound),
        (ApproveSamples, ADMIN, NotFound),
    ],
)
async def test_a_flow_may_do_no_more_than_who_started_it(
    database: PostgresDatabase,
    version: SeededVersion,
    flow: Job,
    action: type[ApproveVersion],
    principal: Principal,
    refusal: type[JobError],
) -> None:
    with pytest.raises(refusal):
        await run(action(build_decisions()), database, flow, version.id, principal)

    async with database.begin() as tx:
        assert await tx.fetch("SELECT 1 FROM decision_audit") == []


async def test_nothing_is_approved_where_there_is_nothing(
    database: PostgresDatabase, version: SeededVersion, flow: Job
) -> None:
    async with database.begin() as tx:
        await tx.execute("DELETE FROM rule")

    with pytest.raises(WrongState, match="holds no rules"):
        await run(ApproveRules(build_decisions()), database, flow, version.id)
