"""Rule execution through a whole installation: over HTTP, killed, paused, resumed, finished."""

import pytest

from longhaul.adapters.postgres.database import PostgresDatabase
from tests.approved_rules import Approved, approve_rules
from tests.cluster import Cluster
from tests.waiting import until

TYPE = "data_profiling_rule_execution"
TABLE = "sample.fry14m_a1"


async def waiting_scans(cluster: Cluster) -> int:
    (row,) = await cluster.fetch(
        "SELECT count(*) AS n FROM pg_stat_activity"
        " WHERE application_name = 'longhaul-sources' AND wait_event_type = 'Lock'"
    )
    return int(row["n"])


@pytest.fixture
async def approved(cluster: Cluster) -> Approved:
    async with PostgresDatabase.open(cluster.dsn, connections=5) as database:
        return await approve_rules(database, rows=200, attributes=40)


@pytest.mark.invariant("I3")
async def test_a_scan_whose_worker_is_killed_is_done_again_elsewhere(
    cluster: Cluster, approved: Approved
) -> None:
    async def scans() -> bool:
        return await waiting_scans(cluster) > 0

    async with (
        PostgresDatabase.open(cluster.dsn, connections=2) as database,
        database.begin() as tx,
    ):
        # Long enough to be seen, and shorter than the time-out of a lock.
        await tx.execute(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")
        await cluster.run_worker("worker-0", LONGHAUL_SOURCES__LOCK_SECONDS="60")
        job_id = await cluster.submit(TYPE, version_id=approved.version_id)
        await until(scans, what="the scan")
        await cluster.kill("worker-0")
    await cluster.run_worker("worker-1")
    job = await cluster.ends(job_id)

    await check_numbers_agree(cluster, job_id, approved)
    assert (job["status"], job["outcome"]) == ("completed", "succeeded")


@pytest.mark.invariant("I4")
async def test_a_scan_can_be_paused_and_resumed_over_http(
    cluster: Cluster, approved: Approved
) -> None:
    async def scans() -> bool:
        return await waiting_scans(cluster) > 0

    async def is_at_rest() -> bool:
        return await waiting_scans(cluster) == 0

    async with (
        PostgresDatabase.open(cluster.dsn, connections=2) as database,
        database.begin() as tx,
    ):
        await tx.execute(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")
        await cluster.run_worker("worker-0", LONGHAUL_SOURCES__LOCK_SECONDS="60")
        job_id = await cluster.submit(TYPE, version_id=approved.version_id)
        await until(scans, what="the scan")
        async with cluster.http() as client:
            await client.post(f"/jobs/{job_id}/pause", json={"mode": "now"})
        paused = await cluster.becomes(job_id, "paused")
        await until(is_at_rest, what="the scan to stop")
    async with cluster.http() as client:
        await client.post(f"/jobs/{job_id}/resume")
    job = await cluster.ends(job_id)

    assert paused["progress"]["current"] == 0
    assert job["outcome"] == "succeeded"
    await check_numbers_agree(cluster, job_id, approved)


async def test_a_version_that_nobody_approved_is_refused_over_http(
    cluster: Cluster, approved: Approved
) -> None:
    await cluster.fetch("UPDATE rule SET tester_decision = NULL RETURNING id")
    body = {"job_type": TYPE, "parameters": {"version_id": approved.version_id}}

    async with cluster.http() as client:
        answer = await client.post("/jobs", json=body)

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (400, "nothing_approved")
    assert "both the tester and the report owner" in problem["detail"]


async def check_numbers_agree(cluster: Cluster, job_id: str, approved: Approved) -> None:
    """I8: ledger = domain rows = counters = result."""
    job = await cluster.job(job_id)
    (ledger,) = await cluster.fetch(
        "SELECT count(*) FILTER (WHERE state = 'done') AS n FROM job_item WHERE job_id = $1",
        job_id,
    )
    rows = await cluster.fetch(
        "SELECT count(*) AS n, sum(failed) AS failed FROM rule_result WHERE job_id = $1", job_id
    )
    summary = job["result"]["summary"]
    assert ledger["n"] == rows[0]["n"] == approved.rules == job["progress"]["succeeded"]
    assert summary["successful_rules"] == approved.rules
    assert summary["total_anomalies_found"] == rows[0]["failed"]
