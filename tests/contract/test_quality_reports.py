"""Reports of stored runs: what is read, computed and stored."""

import asyncio
import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from longhaul.activities.quality_report import (
    QualityReportAction,
    QualityReportParameters,
)
from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.jobs import PostgresJobs
from longhaul.adapters.postgres.quality_reports import PostgresQualityReports
from longhaul.adapters.postgres.retention import PostgresRetention
from longhaul.adapters.regexes import BothDialects
from longhaul.core.errors import ItemFailed, NotFound
from longhaul.core.job_types import Resources
from longhaul.core.jobs import Counts, Job
from longhaul.core.ports import Row
from longhaul.core.principals import Principal
from longhaul.core.quality_report import Finding, QualityReport
from longhaul.core.rules import RuleType, Severity
from longhaul.core.step_actions import ActionContext
from longhaul.job_types.rule_execution import rule_execution
from longhaul.services.quality_reports import QualityReports
from tests.quality_runs import Stored, StoredRun, end_job, insert_job, store_rule, store_run

EXAMPLE = {"key": {"ln_nbr": "4711"}, "values": {"occ_cd": None}}


@pytest.fixture
def reports() -> QualityReports:
    return QualityReports(store=PostgresQualityReports())


async def report_of(database: PostgresDatabase, reports: QualityReports, job: Job) -> QualityReport:
    async with database.begin() as tx:
        return await reports.of(tx, job)


STORED = st.builds(
    Stored,
    attribute=st.integers(0, 2),
    rule_type=st.sampled_from([str(one) for one in RuleType]),
    severity=st.sampled_from([str(one) for one in Severity]),
    checked=st.just(1_000),
    failed=st.integers(0, 1_000),
    finding=st.none() | st.sampled_from(Finding),
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rules=st.lists(STORED, max_size=12))
async def test_the_numbers_are_the_sums_of_what_is_stored(
    database: PostgresDatabase, reports: QualityReports, rules: list[Stored]
) -> None:
    run = await store_run(database, rules)

    report = await report_of(database, reports, run.job)

    async with database.begin() as tx:
        (sums,) = await tx.fetch(
            "SELECT count(*) AS rules, coalesce(sum(considered), 0)::bigint AS checked,"
            " coalesce(sum(failed), 0)::bigint AS failed FROM rule_result WHERE job_id = $1",
            run.job.id,
        )
        by_type: dict[str, Row] = {
            row["rule_type"]: row
            for row in await tx.fetch(
                "SELECT r.rule_type, sum(x.considered)::bigint AS checked,"
                " sum(x.failed)::bigint AS failed"
                " FROM rule_result AS x JOIN rule AS r ON r.id = x.rule_id"
                " WHERE x.job_id = $1 GROUP BY r.rule_type",
                run.job.id,
            )
        }
        job_type = rule_execution(Resources(database=database, regexes=BothDialects(database)))
        result = await job_type.summarise(tx, run.job, Counts(total=len(rules)))
    assert report.overall.pass_rate == result["quality"]["overall"]
    assert {one.name: one.pass_rate for one in report.by_dimension if one.checked} == result[
        "quality"
    ]["by_dimension"]
    assert report.overall.failed == result["summary"]["total_anomalies_found"]
    assert report.overall.violated == result["summary"]["violated_rules"]
    overall = report.overall
    assert (overall.checked, overall.failed) == (sums["checked"], sums["failed"])
    assert overall.held + overall.violated == sums["rules"]
    assert overall.rules == len(rules)
    for score in report.by_dimension:
        stored = by_type.get(score.name, {"checked": 0, "failed": 0})
        assert (score.checked, score.failed) == (stored["checked"], stored["failed"])


async def test_a_run_is_reported_with_all_that_belongs_to_it(
    database: PostgresDatabase, reports: QualityReports
) -> None:
    run = await store_run(
        database,
        [
            Stored(attribute=0, failed=3, examples=[EXAMPLE]),
            Stored(attribute=0),
            Stored(attribute=1, finding=Finding.NOT_RUN),
            Stored(attribute=1, finding=Finding.NOT_REACHED),
        ],
        status="cancelled",
        sample_size=5_000,
    )
    async with database.begin() as tx:
        one, two, _ = run.seeded.attribute_ids
        await store_rule(tx, run.version_id, one, 8, Stored(), report_owner=None)
        await store_rule(tx, run.version_id, two, 9, Stored(), tester="rejected")
        await tx.execute(
            "INSERT INTO pde_mapping (phase_id, attribute_id, table_name, column_name, status)"
            " SELECT phase_id, id, 'loans', 'occ_cd', CASE id WHEN $1 THEN 'approved'"
            " ELSE 'rejected' END FROM attribute WHERE id IN ($1, $2)",
            one,
            two,
        )

    report = await report_of(database, reports, run.job)

    first, *_ = report.rules
    assert first.failing[0].model_dump() == EXAMPLE
    assert (first.source, first.duration_ms) == ("sample.loans", 3)
    assert {(one.finding, one.reason_code) for one in report.not_run} == {
        (Finding.NOT_RUN, "column_missing"),
        (Finding.NOT_REACHED, ""),
    }
    assert [(one.tester, one.report_owner) for one in report.undecided] == [
        ("approved", None),
        ("rejected", "approved"),
    ]
    mapped, unmapped, bare = report.attributes
    assert (mapped.table, mapped.column, mapped.waiting) == ("loans", "occ_cd", 1)
    assert (unmapped.column, unmapped.rejected, unmapped.is_checked) == (None, 1, False)
    assert bare.score.rules == 0
    assert report.run.proposed_by == ("offline / analyst",)
    assert report.run.sampled == "at most 5,000 rows of each table"
    assert (report.run.version_number, report.run.status) == (3, "cancelled")


async def test_a_rule_that_was_approved_after_the_run_is_reported_as_not_run(
    database: PostgresDatabase, reports: QualityReports
) -> None:
    run = await store_run(database, [Stored(attribute=0)])
    async with database.begin() as tx:
        one, two, _ = run.seeded.attribute_ids
        await store_rule(tx, run.version_id, two, 9, Stored())
        # What the run has judged belongs to it, whatever is decided afterwards.
        await tx.execute(
            "UPDATE rule SET report_owner_decision = 'rejected' WHERE attribute_id = $1", one
        )

    report = await report_of(database, reports, run.job)

    assert [(one.attribute, one.finding) for one in report.rules] == [
        (report.attributes[0].name, Finding.HELD)
    ]
    assert [(one.attribute, one.is_late) for one in report.undecided] == [
        (report.attributes[1].name, True)
    ]
    assert [one.late for one in report.attributes] == [0, 1, 0]
    assert [one.waiting + one.rejected for one in report.attributes] == [0, 0, 0]


async def test_the_first_report_of_an_attempt_stays(
    database: PostgresDatabase, reports: QualityReports
) -> None:
    run = await store_run(database, [Stored()])
    first = await report_of(database, reports, run.job)
    async with database.begin() as tx:
        await tx.execute("UPDATE attribute SET name = 'Renamed ' || id")
        assert await reports.of(tx, run.job) == first
        await tx.execute("UPDATE job SET attempt = 2 WHERE id = $1", run.job.id)
        again = await PostgresJobs().read(tx, run.job.id)
        assert again is not None
        second = await reports.of(tx, again)

    assert second.run.attempt == 2
    assert second.attributes[0].name.startswith("Renamed")


async def test_of_many_who_ask_at_once_all_get_the_same(
    database: PostgresDatabase, reports: QualityReports
) -> None:
    run = await store_run(database, [Stored(failed=2, examples=[EXAMPLE])])

    found = await asyncio.gather(*(report_of(database, reports, run.job) for _ in range(8)))

    assert all(one == found[0] for one in found)


async def test_a_report_goes_with_its_job(
    database: PostgresDatabase, reports: QualityReports
) -> None:
    run = await store_run(database, [Stored()])
    await report_of(database, reports, run.job)

    async with database.begin() as tx:
        await PostgresRetention(database).purge_family(tx, run.job, "u-1")
        assert await tx.fetch("SELECT * FROM quality_report") == []


async def test_a_run_that_goes_on_has_no_report_yet(
    database: PostgresDatabase, reports: QualityReports
) -> None:
    run = await store_run(database, [Stored()], status="running")

    with pytest.raises(NotFound, match="its rules are running"):
        await report_of(database, reports, run.job)


@pytest.fixture
async def flow(database: PostgresDatabase) -> Job:
    async with database.begin() as tx:
        return await insert_job(tx, "flow", "u-1", {"steps": []})


async def test_a_flow_has_the_report_of_the_run_below_it(
    database: PostgresDatabase, reports: QualityReports, flow: Job
) -> None:
    with pytest.raises(NotFound, match="executed no rules"):
        await report_of(database, reports, flow)
    async with database.begin() as tx:
        inner = await insert_job(tx, "flow", "u-1", {"steps": []}, parent=flow.id)
    run = await store_run(database, [Stored()], parent=inner.id)

    report = await report_of(database, reports, flow)
    assert (report.run.job_id, report.run.parent_id) == (run.job.id, inner.id)

    await store_run(database, [Stored()], parent=flow.id)
    with pytest.raises(NotFound, match="more than once"):
        await report_of(database, reports, flow)


def context(database: PostgresDatabase, flow: Job, sub: str = "u-1") -> ActionContext:
    return ActionContext(
        job=flow,
        step="report",
        principal=Principal(sub=sub),
        database=database,
        log=lambda *_, **__: None,
    )


@pytest.fixture
def action(reports: QualityReports) -> QualityReportAction:
    return QualityReportAction(jobs=PostgresJobs(), reports=reports)


async def run_action(
    action: QualityReportAction, where: ActionContext, run: StoredRun, **more: str
) -> dict[str, object]:
    wanted = QualityReportParameters.model_validate({"job_id": run.job.id, **more})
    return dict(await action.do(where, wanted))


async def test_the_step_of_a_flow_writes_the_report_and_hands_on_the_scores(
    database: PostgresDatabase, action: QualityReportAction, flow: Job
) -> None:
    run = await store_run(database, [Stored(failed=25), Stored(finding=Finding.NOT_RUN)])

    said = await run_action(action, context(database, flow), run, version_id=run.version_id)

    assert said == {
        "job_id": run.job.id,
        "report": f"/api/v1/jobs/{run.job.id}/report",
        "quality": 75.0,
        "rules": 2,
        "violated": 1,
        "not_run": 1,
        "failing_values": 25,
    }
    assert await run_action(action, context(database, flow), run) == said
    async with database.begin() as tx:
        assert len(await tx.fetch("SELECT * FROM quality_report")) == 1


async def test_the_step_reports_nothing_that_its_owner_may_not_see(
    database: PostgresDatabase, action: QualityReportAction, flow: Job
) -> None:
    run = await store_run(database, [Stored()], owner="u-2")

    with pytest.raises(ItemFailed, match="no such job"):
        await run_action(action, context(database, flow), run)


async def test_the_step_refuses_another_version_and_a_job_without_report(
    database: PostgresDatabase, action: QualityReportAction, flow: Job
) -> None:
    run = await store_run(database, [Stored()])
    going = await store_run(database, [Stored()], status="running")

    with pytest.raises(ItemFailed, match="another version"):
        await run_action(action, context(database, flow), run, version_id=str(uuid.uuid4()))
    with pytest.raises(ItemFailed, match="no report yet"):
        await run_action(action, context(database, flow), going)
    async with database.begin() as tx:
        await end_job(tx, going.job.id)
    assert await run_action(action, context(database, flow), going)
