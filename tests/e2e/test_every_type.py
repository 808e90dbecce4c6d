"""Each job type over HTTP: paused, resumed, its worker killed, finished, and nothing twice."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import WorkflowHandle

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.sample.anomaly import KEY_COLUMN
from longhaul.adapters.sample.report import load_sample
from tests.approved_rules import approve_rules
from tests.cluster import Cluster, Job, open_cluster
from tests.held_tables import nothing_stored
from tests.waiting import until

pytestmark = pytest.mark.invariant("I3")

# Few enough that the first chunks, which wait until their items are stored, leave most of them.
CONCURRENCY = 2

SOURCE = "sample.fry14m_a1"

Prepare = Callable[[Cluster], Awaitable[dict[str, Any]]]
Output = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class JobKind:
    """What can be checked of one job type.

    Attributes:
        prepare: Makes what such a job needs, and its parameters.
        table: Where its rows are, each with the job and the ordinal of its item.
        rows: How many rows an item that is done has, by its output.
        counted: How many rows and how many items the job's result says there are.
    """

    name: str
    workflow: str
    prepare: Prepare
    table: str
    rows: Callable[[Output], int] = lambda output: 1
    counted: Callable[[Output], tuple[int, int]]


async def load_report(cluster: Cluster) -> dict[str, Any]:
    async with PostgresDatabase.open(cluster.dsn, connections=2) as database:
        report = await load_sample(database, rows=40, random_seed=5, attributes=30)
    return {"cycle_id": report.cycle_id, "report_id": report.report_id}


async def approved_version(cluster: Cluster) -> dict[str, Any]:
    async with PostgresDatabase.open(cluster.dsn, connections=2) as database:
        approved = await approve_rules(database, rows=200, attributes=8)
    return {"version_id": approved.version_id}


async def mapped_report(cluster: Cluster) -> dict[str, Any]:
    async with PostgresDatabase.open(cluster.dsn, connections=2) as database:
        report = (await approve_rules(database, rows=200, attributes=8)).report
    return {"cycle_id": report.cycle_id, "report_id": report.report_id}


async def sampling(cluster: Cluster) -> dict[str, Any]:
    return {**await mapped_report(cluster), "target_sample_size": 30, "seed": 3}


async def approved_samples(cluster: Cluster) -> dict[str, Any]:
    """Test cases as people make them: they draw two samples and approve both."""
    report = await mapped_report(cluster)
    # Two rows with one key are ambiguous: a sample of them fails its cases.
    await cluster.fetch(
        f"DELETE FROM {SOURCE} WHERE {KEY_COLUMN} IN"
        f" (SELECT {KEY_COLUMN} FROM {SOURCE} GROUP BY 1 HAVING count(*) > 1)"
    )
    sampled = await cluster.ends(
        await cluster.submit("intelligent_sampling", target_sample_size=2, seed=3, **report)
    )
    version = f"/versions/{sampled['result']['version_id']}"
    decided = {"decision": "approved", "all": True}
    async with (
        cluster.http("u-1", "Tester") as tester,
        cluster.http("u-2", "Report Owner") as owner,
    ):
        for person, path, body in (
            (tester, "/samples/decisions", decided),
            (tester, "/submit", {}),
            (owner, "/samples/decisions", decided),
            (owner, "/approve", {}),
        ):
            response = await person.post(f"{version}{path}", json=body)
            assert response.status_code == 200, response.text
    cases = await cluster.fetch("SELECT id FROM test_case ORDER BY id LIMIT 30")
    return {"test_case_ids": [row["id"] for row in cases]}


KINDS = [
    JobKind(
        name="data_profiling_llm_generation",
        workflow="RuleGeneration",
        prepare=load_report,
        table="rule",
        rows=lambda output: int(output["rules"]),
        counted=lambda result: (result["rules_generated"], result["attributes"]),
    ),
    JobKind(
        name="data_profiling_rule_execution",
        workflow="RuleExecution",
        prepare=approved_version,
        table="rule_result",
        counted=lambda result: (
            result["summary"]["successful_rules"],
            result["summary"]["total_rules"],
        ),
    ),
    JobKind(
        name="pde_auto_mapping",
        workflow="PdeMapping",
        prepare=load_report,
        table="pde_mapping",
        rows=lambda output: int(not output["needs_manual_mapping"]),
        counted=lambda result: (
            result["total_mapped"],
            result["total_mapped"] + result["needs_manual_mapping"],
        ),
    ),
    JobKind(
        name="scoping_recommendations",
        workflow="Scoping",
        prepare=load_report,
        table="scoping_recommendation",
        counted=lambda result: (result["recommendations_generated"], result["total_attributes"]),
    ),
    JobKind(
        name="intelligent_sampling",
        workflow="Sampling",
        prepare=sampling,
        table="sample",
        counted=lambda result: (
            result["samples_generated"],
            result["samples_generated"] + sum(result["shortfall"].values()),
        ),
    ),
    JobKind(
        name="test_execution",
        workflow="TestExecution",
        prepare=approved_samples,
        table="test_execution",
        counted=lambda result: (result["executed"], result["test_cases"]),
    ),
]


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with open_cluster(tmp_path) as opened:
        yield opened


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
async def test_a_job_of_every_type_outlives_a_pause_and_its_worker(
    cluster: Cluster, kind: JobKind
) -> None:
    parameters = await kind.prepare(cluster)
    async with nothing_stored(cluster.dsn, kind.table) as is_tried:
        job_id = await cluster.submit(kind.name, concurrency=CONCURRENCY, **parameters)
        handle = (await cluster.temporal()).get_workflow_handle(job_id)
        await until(is_tried, what="the first batch on its way into the table")
        await control(cluster, job_id, "pause", {"mode": "now"})
        await cluster.becomes(job_id, "pausing")
    paused = await cluster.becomes(job_id, "paused")
    await check_rows(cluster, kind, paused)
    await is_shown_as(handle, "**paused**")

    async with nothing_stored(cluster.dsn, kind.table) as is_tried:
        await control(cluster, job_id, "resume", {})
        await until(is_tried, what="a batch on its way into the table")
        await cluster.kill("worker-0")
    cut = await cluster.job(job_id)
    assert cut["status"] == "running"
    await check_rows(cluster, kind, cut)

    await cluster.start("worker-0")
    job = await cluster.ends(job_id)

    assert (job["status"], job["attempt"]) == ("completed", 1)
    assert 0 < paused["progress"]["current"] < job["total_steps"]
    rows = await check_rows(cluster, kind, job)
    await check_numbers(cluster, kind, job, rows)
    await check_visible(cluster, kind, handle)
    assert not cluster.faults()


async def control(cluster: Cluster, job_id: str, what: str, body: dict[str, str]) -> None:
    async with cluster.http() as client:
        response = await client.post(f"/jobs/{job_id}/{what}", json=body)
    assert response.status_code == 202, response.text


async def check_rows(cluster: Cluster, kind: JobKind, job: Job) -> int:
    """Each item that is done has its rows, and there are no others; how many there are."""
    items = await cluster.fetch(
        "SELECT state, output::text AS output,"
        f" (SELECT count(*) FROM {kind.table} AS r"
        " WHERE r.job_id = i.job_id AND r.ordinal = i.ordinal) AS rows,"
        f" (SELECT count(*) FROM {kind.table} AS r WHERE r.job_id = i.job_id) AS all_rows"
        " FROM job_item AS i WHERE i.job_id = $1 ORDER BY ordinal",
        job["job_id"],
    )
    wanted = [
        kind.rows(json.loads(row["output"])) if row["state"] == "done" else 0 for row in items
    ]
    assert [row["rows"] for row in items] == wanted
    assert {row["all_rows"] for row in items} == {sum(wanted)}
    return sum(wanted)


async def check_numbers(cluster: Cluster, kind: JobKind, job: Job, rows: int) -> None:
    """The ledger, the stored rows and the job agree."""
    ledger = await cluster.fetch(
        "SELECT count(*) AS total, count(*) FILTER (WHERE state = 'done') AS succeeded,"
        " count(*) FILTER (WHERE state = 'failed') AS failed,"
        " count(*) FILTER (WHERE state = 'skipped') AS skipped"
        " FROM job_item WHERE job_id = $1",
        job["job_id"],
    )
    counts = dict(ledger[0])
    assert {name: job["progress"][name] for name in counts} == counts
    assert counts["total"] == counts["succeeded"] + counts["skipped"]
    assert kind.counted(job["result"]) == (rows, counts["total"])


async def is_shown_as(handle: WorkflowHandle[Any, Any], beginning: str) -> None:
    """Wait until the details in the Temporal Web UI begin like this."""

    async def is_so() -> bool:
        metadata: WorkflowMetadata = await handle.query(
            "__temporal_workflow_metadata", result_type=WorkflowMetadata
        )
        return metadata.current_details.startswith(beginning)

    await until(is_so, what=f"details that begin with {beginning}")


async def check_visible(cluster: Cluster, kind: JobKind, handle: WorkflowHandle[Any, Any]) -> None:
    """The list of the Temporal Web UI has the job under its type, with a summary."""
    client = await cluster.temporal()
    wanted = f"WorkflowType = '{kind.workflow}' AND WorkflowId = '{handle.id}'"

    async def listed() -> bool:
        return [one.id async for one in client.list_workflows(wanted)] == [handle.id]

    await until(listed, what=wanted)
    assert await (await handle.describe()).static_summary()
