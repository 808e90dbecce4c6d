"""Scoping against the real database, offline: what it accepts, judges, stores and sums up."""

import asyncio
import uuid
from dataclasses import replace
from typing import Any, NamedTuple

import asyncpg
import pytest
from pydantic import ValidationError

from longhaul.activities.scoping import ScopingParameters
from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.scoping import PostgresScoping
from longhaul.adapters.regexes import BothDialects
from longhaul.core.errors import InvalidInput
from longhaul.core.expectations import BETWEEN, MEAN
from longhaul.core.items import Done, Failed, Item, ItemResult, Skipped
from longhaul.core.job_types import Resources
from longhaul.core.jobs import Job
from longhaul.core.scoping import Measures
from longhaul.job_types.scoping import scoping
from tests.factories import TESTER
from tests.job_bench import JobBench
from tests.rule_samples import Seeded, form_attributes, make_attribute, seed_report

ATTRIBUTES = form_attributes("a1")
PARTS = ("regulatory_impact", "data_complexity", "common_errors", "downstream_dependencies")


class Bench(JobBench):
    """One stored report, and scoping."""

    seeded: Seeded

    async def plan_all(self, **parameters: Any) -> tuple[Job, list[Item]]:
        return await self.plan(
            cycle_id=self.seeded.cycle_id, report_id=self.seeded.report_id, **parameters
        )

    async def rows(self) -> list[Any]:
        return await self.fetch("SELECT * FROM scoping_recommendation ORDER BY ordinal")


@pytest.fixture
async def bench(database: PostgresDatabase, redis_client: Any) -> Bench:
    resources = Resources(database=database, regexes=BothDialects(database))
    opened = Bench(database, redis_client, scoping(resources))
    opened.seeded = await seed_report(database, ATTRIBUTES)
    return opened


async def test_a_whole_report_ends_with_numbers_that_agree(bench: Bench) -> None:
    job, items = await bench.plan_all()
    await bench.run(job, items)

    result = await bench.result(job)
    rows = await bench.rows()
    tested = [row for row in rows if row["recommendation"] == "test"]
    assert result == {
        "version_id": job.parameters["version_id"],
        "recommendations_generated": 117,
        "recommendations_failed": 0,
        "test_recommendations": len(tested),
        "skip_recommendations": 117 - len(tested),
        "already_recommended": 0,
        "total_attributes": 117,
        "success_rate": 100.0,
    }
    assert len(rows) == 117
    assert 20 < len(tested) < 100


async def test_the_parts_are_stored_and_add_up(bench: Bench) -> None:
    job, items = await bench.plan_all()
    await bench.run(job, items)

    for row, attribute in zip(await bench.rows(), ATTRIBUTES, strict=True):
        parts = [row[part] for part in PARTS]
        assert all(1 <= part <= 15 for part in parts)
        assert row["cde_points"] == (20 if attribute.is_cde else 0)
        assert row["historical_issue_points"] == (20 if attribute.has_issues else 0)
        score = row["risk_score"]
        assert score == sum(parts) + row["cde_points"] + row["historical_issue_points"]
        assert row["priority"] == ("high" if score > 70 else "low" if score < 30 else "medium")


async def test_a_score_that_does_not_add_up_cannot_be_stored(bench: Bench) -> None:
    job, items = await bench.plan_all()
    await bench.run(job, items[:1])

    with pytest.raises(asyncpg.CheckViolationError):
        await bench.fetch("UPDATE scoping_recommendation SET risk_score = 99 RETURNING 1")


async def test_a_row_says_who_recommended_it_and_why(bench: Bench) -> None:
    job, items = await bench.plan_all()
    await bench.run(job, items[:3])

    rows = await bench.rows()
    assert {str(row["job_id"]) for row in rows} == {job.id}
    assert [row["ordinal"] for row in rows] == [0, 1, 2]
    for row in rows:
        assert (row["provider"], row["model"], row["prompt_version"]) == (
            "offline",
            "rules-of-thumb",
            "1",
        )
        assert row["rationale"].keys() == {
            "regulatory_usage",
            "interconnections",
            "historical_issues",
            "business_impact",
        }
        assert all(row["rationale"].values())
        assert row["expected_source_documents"]
        assert row["keywords"]
        assert row["validation_hints"]
        assert row["measured"] is None
        assert row["status"] == "pending"
        # A separate value: the confidence may be high for a low risk.
        assert 0 < row["confidence"] <= 1


async def test_a_report_of_a_cycle_becomes_its_draft_version(bench: Bench) -> None:
    report: dict[str, Any] = {
        "cycle_id": bench.seeded.cycle_id,
        "report_id": bench.seeded.report_id,
    }
    both = await asyncio.gather(bench.prepare(**report), bench.prepare(**report))

    assert both[0] == both[1]
    version_id = both[0].parameters.version_id
    assert await bench.prepare(version_id=version_id) == both[0]
    assert both[0].singleton
    (phase,) = await bench.fetch("SELECT name FROM phase WHERE id = $1", both[0].phase_id)
    assert phase["name"] == "Scoping"
    (count,) = await bench.fetch("SELECT count(*) AS versions FROM scoping_version")
    assert count["versions"] == 1


async def test_what_does_not_exist_or_is_not_theirs_is_refused(bench: Bench) -> None:
    report: dict[str, Any] = {
        "cycle_id": bench.seeded.cycle_id,
        "report_id": bench.seeded.report_id,
    }
    unknown = uuid.uuid4()
    with pytest.raises(InvalidInput, match=f"no scoping version {unknown}"):
        await bench.prepare(version_id=unknown)
    with pytest.raises(InvalidInput, match="holds no report 77"):
        await bench.prepare(**report | {"report_id": 77})
    with pytest.raises(InvalidInput, match="holds no report"):
        await bench.prepare(replace(TESTER, lob="Cards"), **report)
    with pytest.raises(InvalidInput, match="No active attributes of the report: 8888"):
        await bench.prepare(attribute_ids=[8888], **report)
    version_id = (await bench.prepare(**report)).parameters.version_id
    other = await seed_report(bench.database, [make_attribute()], name="FR Y-14M B.1")
    with pytest.raises(InvalidInput, match="another cycle or report"):
        await bench.prepare(
            version_id=version_id, cycle_id=other.cycle_id, report_id=other.report_id
        )
    await bench.fetch("UPDATE scoping_version SET status = 'approved' RETURNING id")
    with pytest.raises(InvalidInput, match="is approved; recommendations are only generated"):
        await bench.prepare(version_id=version_id)


@pytest.mark.parametrize(
    "parameters",
    [{}, {"cycle_id": 1}, {"version_id": "7"}, {"cycle_id": 1, "report_id": 1, "force": True}],
)
def test_parameters_that_name_nothing_usable_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ScopingParameters.model_validate(parameters)


async def test_what_is_there_is_skipped_unless_it_is_regenerated(bench: Bench) -> None:
    job, items = await bench.plan_all()
    await bench.run(job, items[:1])

    again, items = await bench.plan_all()
    assert isinstance(await bench.do(again, items[0]), Skipped)
    assert isinstance(await bench.do(again, items[1]), Done)

    anew, items = await bench.plan_all(force_regenerate=True)
    await bench.run(anew, items[:1])
    (row,) = await bench.rows()
    assert str(row["job_id"]) == anew.id


@pytest.mark.parametrize(
    "decision",
    ["tester_decision = 'approved'", "report_owner_decision = 'rejected', status = 'rejected'"],
)
async def test_what_people_decided_is_left_alone(bench: Bench, decision: str) -> None:
    job, items = await bench.plan_all()
    await bench.run(job, items[:1])
    (before,) = await bench.fetch(f"UPDATE scoping_recommendation SET {decision} RETURNING *")

    anew, items = await bench.plan_all(force_regenerate=True)

    assert isinstance(await bench.do(anew, items[0]), Skipped)
    (after,) = await bench.rows()
    assert dict(after) == dict(before)


async def test_a_decision_made_meanwhile_stands_and_the_item_says_so(bench: Bench) -> None:
    job, items = await bench.plan_all()
    await bench.run(job, items[:1])
    anew, items = await bench.plan_all(force_regenerate=True)
    results: list[tuple[Item, ItemResult]] = [
        (item, await bench.do(anew, item)) for item in items[:2]
    ]
    await bench.fetch("UPDATE scoping_recommendation SET tester_decision = 'approved' RETURNING 1")

    first, second = await bench.store(anew, results)

    assert isinstance(first.result, Failed)
    assert first.result.code == "decided_meanwhile"
    assert isinstance(second.result, Done)
    assert [str(row["job_id"]) for row in await bench.rows()] == [job.id, anew.id]
    assert (await bench.result(anew))["recommendations_generated"] == 1


async def test_results_for_a_version_that_is_no_longer_a_draft_fail(bench: Bench) -> None:
    job, items = await bench.plan_all()
    results = [(item, await bench.do(job, item)) for item in items[:3]]
    await bench.fetch("UPDATE scoping_version SET status = 'pending_approval' RETURNING id")

    stored = await bench.store(job, results)

    failures = [one.result for one in stored if isinstance(one.result, Failed)]
    assert [failure.code for failure in failures] == ["version_not_draft"] * 3
    assert await bench.rows() == []
    assert (await bench.result(job))["recommendations_failed"] == 3


async def test_an_attribute_that_was_retired_meanwhile_fails_its_item(bench: Bench) -> None:
    job, items = await bench.plan_all()
    await bench.fetch("UPDATE attribute SET is_active = false RETURNING id")

    assert await bench.do(job, items[0]) == Failed(
        "attribute_missing", "The attribute is no longer active."
    )


async def test_a_result_is_stored_once_however_often_it_is_handed_in(bench: Bench) -> None:
    job, items = await bench.plan_all()
    results = [(item, await bench.do(job, item)) for item in items[:3]]
    await bench.store(job, results)
    before = [dict(row) for row in await bench.rows()]

    await bench.store(job, results)

    assert [dict(row) for row in await bench.rows()] == before


async def test_without_rules_that_ran_nothing_is_measured(bench: Bench) -> None:
    async with bench.database.begin() as tx:
        assert await PostgresScoping().measures(tx, bench.seeded.attribute_ids[0]) is None


async def test_what_rules_measured_last_raises_the_risk_and_is_kept(bench: Bench) -> None:
    id_, clean_id = bench.seeded.attribute_ids[13], bench.seeded.attribute_ids[14]
    calm, items = await bench.plan_all()
    before = await bench.do(calm, items[13])
    await measure(bench, id_, [Ran(1_000, 900)], days_ago=9)
    await measure(bench, id_, [Ran(1_000, 120), Ran(1_000, 3), Ran(1_000, 0)], days_ago=1)
    await measure(bench, clean_id, [Ran(1_000, 0)], days_ago=1)

    job, items = await bench.plan_all()
    ended = await bench.run(job, items[13:15])

    after = ended[0].result
    assert isinstance(before, Done)
    assert isinstance(after, Done)
    assert after.rows.measures == Measures(
        rules=3, failed_rules=2, most_rows=1_000, most_failed_rows=120, worst_pass_rate=88.0
    )
    assert after.rows.score.common_errors > before.rows.score.common_errors
    assert after.output is not None
    assert (after.output["recommendation"], after.output["measured"]) == ("test", True)
    row, clean = await bench.rows()
    assert row["measured"]["failed_rules"] == 2
    assert "2 of 3 rules failed" in row["rationale"]["historical_issues"]
    assert clean["measured"]["failed_rules"] == 0


async def test_rules_about_tables_and_tolerated_rows_are_measured_for_what_they_are(
    bench: Bench,
) -> None:
    odd, tolerated = bench.seeded.attribute_ids[13:15]
    # Of a mean there is one, and it fails as a whole; of the rows three are broken.
    mean = Ran(1_000, 1, MEAN)
    await measure(bench, odd, [mean, Ran(1_000, 3), Ran(1_000, 90, status="passed")], days_ago=1)
    await measure(bench, tolerated, [Ran(1_000, 4, status="passed")], days_ago=1)

    async with bench.database.begin() as tx:
        of_odd = await PostgresScoping().measures(tx, odd)
        of_tolerated = await PostgresScoping().measures(tx, tolerated)

    assert of_odd == Measures(
        rules=3, failed_rules=2, most_rows=1_000, most_failed_rows=3, worst_pass_rate=99.7
    )
    assert of_tolerated == Measures(
        rules=1, failed_rules=0, most_rows=1_000, most_failed_rows=0, worst_pass_rate=100.0
    )


class Ran(NamedTuple):
    """What a rule measured; it failed where a row did, unless it tolerates some."""

    total: int
    failed: int
    expectation: str = BETWEEN
    status: str | None = None


async def measure(bench: Bench, attribute_id: int, results: list[Ran], *, days_ago: int) -> None:
    """Store rules of an attribute with their results in one job."""
    job_id = uuid.uuid4()
    (version,) = await bench.fetch(
        "INSERT INTO rule_version (id, cycle_id, report_id, phase_id, number, status, created_by,"
        " created_at) SELECT gen_random_uuid(), p.cycle_id, p.report_id, p.id,"
        " (SELECT count(*) + 1 FROM rule_version), 'approved', 'u-1', now()"
        " FROM attribute AS a JOIN phase AS p ON p.id = a.phase_id WHERE a.id = $1 RETURNING id",
        attribute_id,
    )
    for number, ran in enumerate(results):
        considered = 1 if ran.expectation == MEAN else ran.total
        await bench.fetch(
            "WITH stored AS (INSERT INTO rule (version_id, attribute_id, expectation, kwargs,"
            " kwargs_hash, name, rule_type, severity, execution_order, rationale, confidence,"
            " provider, model, prompt_version, created_at) VALUES ($1, $2, $8, '{}', $3, 'r',"
            " 'validity', 'low', 1, '', 1, 'offline', '', '1', now()) RETURNING id)"
            " INSERT INTO rule_result (job_id, ordinal, version_id, rule_id, table_name,"
            " table_rows, execution_status, total, considered, passed, failed, pass_rate,"
            " has_anomaly, duration_ms, created_at) SELECT $4, 0, $1, id, 't', $5::bigint,"
            " $9, $5, $10::bigint, $10 - $6, $6, 100.0 * ($10 - $6) / $10, $6 > 0, 1,"
            " now() - make_interval(days => $7)"
            " FROM stored RETURNING rule_id",
            version["id"],
            attribute_id,
            str(number),
            job_id,
            ran.total,
            ran.failed,
            days_ago,
            ran.expectation,
            ran.status or ("failed" if ran.failed else "passed"),
            considered,
        )
