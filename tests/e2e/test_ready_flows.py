"""The ready flows, on the sample report with real processes."""

from typing import Any

import httpx2
import pytest

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.sample.report import SampleReport, load_sample
from tests.cluster import Cluster
from tests.e2e.test_flows import waits

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture
async def report(cluster: Cluster) -> SampleReport:
    async with PostgresDatabase.open(cluster.dsn, connections=2) as database:
        return await load_sample(database, attributes=12, rows=200, random_seed=5)


def states(flow: dict[str, Any]) -> dict[str, str]:
    return {key: step["state"] for key, step in flow["result"]["steps"].items()}


async def test_profiling_with_automatic_approvals(cluster: Cluster, report: SampleReport) -> None:
    job_id = await cluster.submit(
        "profiling",
        cycle_id=report.cycle_id,
        report_id=report.report_id,
        approvals="automatic",
    )

    flow = await cluster.ends(job_id)

    assert flow["status"] == "completed", flow
    assert states(flow) == dict.fromkeys(("generate", "approve-rules", "execute", "report"), "done")
    steps = flow["result"]["steps"]
    assert steps["generate"]["result"]["rules_generated"] > 12
    assert steps["execute"]["result"]["summary"]["total_rules"] > 12
    assert steps["report"]["result"]["job_id"] == steps["execute"]["job_id"]
    assert (flow["metadata"]["cycle_id"], flow["metadata"]["report_id"]) == (
        report.cycle_id,
        report.report_id,
    )


async def test_profiling_with_people(cluster: Cluster, report: SampleReport) -> None:
    """A tester starts it, the tester and the report owner decide, and the flow goes on."""

    async def decide(person: httpx2.AsyncClient, version: str) -> None:
        response = await person.post(
            f"/versions/{version}/rules/decisions", json={"decision": "approved", "all": True}
        )
        assert response.status_code == 200, response.text

    async with (
        cluster.http("u-1", "Tester") as tester,
        cluster.http("u-2", "Report Owner") as owner,
    ):
        created = await tester.post(
            "/jobs",
            json={
                "job_type": "profiling",
                "parameters": {
                    "cycle_id": report.cycle_id,
                    "report_id": report.report_id,
                    "approvers": ["u-2"],
                },
            },
        )
        assert created.status_code == 202, created.text
        job_id = created.json()["job_id"]
        await waits(cluster, job_id)
        generate = (await owner.get(f"/jobs/{job_id}/children")).json()["jobs"][0]
        version = generate["result"]["version_id"]
        await decide(tester, version)
        submitted = await tester.post(f"/versions/{version}/submit", json={})
        await decide(owner, version)
        approved = await owner.post(f"/versions/{version}/approve", json={})

    flow = await cluster.ends(job_id)

    assert (submitted.status_code, approved.status_code) == (200, 200)
    assert flow["outcome"] == "succeeded", flow
    assert flow["owner"] == "u-1"


async def test_the_full_cycle_with_automatic_approvals(
    cluster: Cluster, report: SampleReport
) -> None:
    job_id = await cluster.submit(
        "full_cycle",
        cycle_id=report.cycle_id,
        report_id=report.report_id,
        approvals="automatic",
        target_sample_size=10,
    )

    flow = await cluster.ends(job_id)

    assert flow["status"] == "completed", flow["error"]
    assert set(states(flow).values()) == {"done"}
    children = await cluster.fetch("SELECT step, outcome FROM job WHERE parent_id = $1", job_id)
    assert {row["step"] for row in children} == {
        "map", "generate", "execute", "scope", "sample", "test",
    }  # fmt: skip
