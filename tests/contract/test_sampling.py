"""Sampling of the sample report on real PostgreSQL: what is drawn, and its summary."""

import asyncio
import csv
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from longhaul.adapters.offline.rule_writer import OfflineRuleWriter
from longhaul.adapters.postgres.attributes import PostgresAttributes
from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.samples import PostgresSamples
from longhaul.adapters.regexes import BothDialects
from longhaul.adapters.sample.form import read_form
from longhaul.adapters.sample.report import SampleReport, load_sample
from longhaul.core.errors import InvalidInput
from longhaul.core.expectations import kwargs_hash
from longhaul.core.items import Done, Failed, Skipped
from longhaul.core.job_types import Resources
from longhaul.core.jobs import Job
from longhaul.core.sampling import Scope
from longhaul.core.sources import SourceAccess
from longhaul.job_types.sampling import SamplingJob, sampling
from tests.job_bench import JobBench, NoCalls

ROWS = 1_000
# Wide enough for every kind of attribute, and quick.
ATTRIBUTES = 40


class SamplingBench(JobBench):
    """Sampling over the sample report with its true mapping and its offline rules approved."""

    report: SampleReport
    columns: Mapping[str, str | None]

    async def sampled(self, **parameters: Any) -> tuple[Job, list[Any], dict[str, Any]]:
        parameters = {
            "cycle_id": self.report.cycle_id,
            "report_id": self.report.report_id,
            "seed": 7,
            **parameters,
        }
        job, items = await self.plan(**parameters)
        await self.run(job, items)
        return job, await self.samples(job), await self.result(job)

    async def samples(self, job: Job) -> list[Any]:
        return await self.fetch(
            "SELECT s.*, a.name AS attribute FROM sample AS s"
            " JOIN attribute AS a ON a.id = s.attribute_id WHERE s.job_id = $1 ORDER BY ordinal",
            job.id,
        )


@pytest.fixture
async def bench(database: PostgresDatabase, dsn: str, redis_client: Any) -> SamplingBench:
    report = await load_sample(database, rows=ROWS, random_seed=11, attributes=ATTRIBUTES)
    resources = Resources(
        database=database,
        regexes=BothDialects(database),
        sources=SourceAccess(own_dsn=dsn),
    )
    made = SamplingBench(database, redis_client, sampling(resources))
    made.report = report
    made.columns = read_form("a1", ATTRIBUTES).columns()
    await map_columns(made)
    await approve_rules(made)
    return made


async def map_columns(bench: SamplingBench) -> None:
    async with bench.database.begin() as tx:
        for name, column in bench.columns.items():
            if column:
                await tx.execute(
                    "INSERT INTO pde_mapping (phase_id, attribute_id, data_source_id, table_name,"
                    " column_name) SELECT phase_id, id, $2, $3, $4 FROM attribute WHERE id = $1",
                    bench.report.attribute_ids[name],
                    bench.report.data_source_id,
                    bench.report.table,
                    column,
                )


async def approve_rules(
    bench: SamplingBench, *, number: int = 1, status: str = "approved", attributes: int = 25
) -> None:
    """What the offline analyst proposes for the first attributes, approved by everybody."""
    writer, store = OfflineRuleWriter(), PostgresAttributes()
    names = list(bench.report.attribute_ids)
    async with bench.database.begin() as tx:
        (version,) = await tx.fetch(
            "INSERT INTO rule_version (id, cycle_id, report_id, phase_id, number, status,"
            " created_by, created_at) VALUES ($1, $2, $3, $4, $5, $6, 'u-1', now())"
            " RETURNING id",
            str(uuid.uuid4()),
            bench.report.cycle_id,
            bench.report.report_id,
            bench.report.phase_ids["Data Profiling"],
            number,
            status,
        )
        for attribute_id in list(bench.report.attribute_ids.values())[:attributes]:
            attribute = await store.attribute(tx, attribute_id)
            assert attribute is not None
            siblings = [name for name in names if name != attribute.name]
            proposal = await writer.propose(attribute, siblings, {}, NoCalls())
            for draft in proposal.drafts:
                await tx.execute(
                    "INSERT INTO rule (version_id, attribute_id, expectation, kwargs, kwargs_hash,"
                    " name, rule_type, severity, execution_order, rationale, confidence, provider,"
                    " model, prompt_version, status, tester_decision, report_owner_decision,"
                    " created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'r', 0.9, 'offline',"
                    " 'm', '1', 'approved', 'approved', 'approved', now())",
                    version["id"],
                    attribute_id,
                    draft.expectation,
                    draft.kwargs,
                    kwargs_hash(draft.kwargs),
                    draft.name,
                    draft.rule_type,
                    draft.severity,
                    draft.execution_order,
                )


@pytest.mark.parametrize("size", [10, 25, 100])
async def test_as_many_samples_as_were_asked_for_in_the_distribution(
    bench: SamplingBench, size: int
) -> None:
    _, samples, result = await bench.sampled(target_sample_size=size)

    assert result["samples_generated"] == result["sample_count"] == result["requested"] == size
    assert (result["shortfall"], len(samples)) == ({}, size)
    counted = Counter(row["category"] for row in samples)
    for category, share in {"clean": 0.3, "anomaly": 0.5, "boundary": 0.2}.items():
        assert abs(counted[category] - size * share) <= 1
        assert result["distribution_achieved"][category] == counted[category] / size
    assert len({row["key_hash"] for row in samples}) == size
    assert len({row["attribute_id"] for row in samples}) >= min(size, 30) // 2


async def test_the_same_seed_gives_the_same_samples_however_they_are_done(
    bench: SamplingBench,
) -> None:
    def of(rows: list[Any]) -> list[Any]:
        hidden = ("id", "set_id", "job_id", "created_at")
        return [{name: row[name] for name in dict(row) if name not in hidden} for row in rows]

    _, first, _ = await bench.sampled(target_sample_size=40)
    await bench.fetch("UPDATE sample_set SET status = 'approved' RETURNING id")

    # All at once, the last first, and in another order in the table.
    await bench.fetch(
        f"CREATE TABLE shuffled AS SELECT * FROM {bench.report.table} ORDER BY random()"
    )
    await bench.fetch(f"TRUNCATE {bench.report.table}")
    await bench.fetch(f"INSERT INTO {bench.report.table} SELECT * FROM shuffled")
    parameters: dict[str, Any] = {
        "cycle_id": bench.report.cycle_id,
        "report_id": bench.report.report_id,
    }
    job, items = await bench.plan(**parameters, seed=7, target_sample_size=40)
    results = await asyncio.gather(*(bench.do(job, item) for item in reversed(items)))
    await bench.store(job, list(zip(reversed(items), results, strict=True)))
    second = await bench.samples(job)
    await bench.fetch("UPDATE sample_set SET status = 'approved' RETURNING id")
    _, other, _ = await bench.sampled(target_sample_size=40, seed=8)

    assert of(second) == of(first)
    assert of(other) != of(first)


async def test_what_is_decided_meanwhile_changes_no_drawing(bench: SamplingBench, dsn: str) -> None:
    parameters: dict[str, Any] = {
        "cycle_id": bench.report.cycle_id,
        "report_id": bench.report.report_id,
    }
    job, items = await bench.plan(**parameters, seed=7, target_sample_size=20)
    undisturbed = [await bench.do(job, item) for item in items]
    await bench.store(job, list(zip(items[:10], undisturbed[:10], strict=True)))
    await bench.fetch("UPDATE sample SET tester_decision = 'rejected' RETURNING id")

    # Another worker goes on, and draws for itself.
    bench.type = sampling(
        Resources(
            database=bench.database,
            regexes=BothDialects(bench.database),
            sources=SourceAccess(own_dsn=dsn),
        )
    )
    again = [await bench.do(job, item) for item in items[10:]]

    assert [one.rows[0] for one in again if isinstance(one, Done)] == [
        one.rows[0] for one in undisturbed[10:] if isinstance(one, Done)
    ]


async def test_a_sample_says_what_it_is_and_why(bench: SamplingBench) -> None:
    job, samples, result = await bench.sampled(target_sample_size=100)

    keys = {row["name"] for row in await bench.fetch("SELECT name FROM attribute WHERE is_key")}
    mapped = {name for name, column in bench.columns.items() if column}
    rules = {str(row["id"]) for row in await bench.fetch("SELECT id FROM rule")}
    for row in samples:
        assert set(row["key_values"]) == keys
        assert set(row["row_data"]) == mapped
        assert row["rationale"].endswith(".")
        assert (row["provider"], row["status"], str(row["job_id"])) == (
            "offline",
            "pending",
            job.id,
        )
        assert (row["kind"] == "rule_violation") <= (str(row["rule_id"]) in rules)
    kinds = Counter(row["kind"] for row in samples)
    assert {"rule_violation", "outlier", "clean"} <= set(kinds)
    assert kinds["rule_boundary"] + kinds["data_boundary"] == 20
    # Clean rows come from every stratum.
    clean = [row["rationale"] for row in samples if row["kind"] == "clean"]
    assert len(set(clean)) > 1
    attributes = {one["name"]: one for one in result["attribute_results"]}
    assert len(attributes) == ATTRIBUTES
    assert sum(one["samples"] for one in attributes.values()) == 100
    unmapped = [name for name, column in bench.columns.items() if not column]
    assert unmapped
    assert all(attributes[name]["problem"] for name in unmapped)
    basis = result["statistical_basis"]
    assert (basis["rows"], basis["sample_size"], basis["random_samples"]) == (ROWS, 100, 30)
    # Clean rows are drawn from those without suspicion, and say nothing about others.
    odd = sum(sum(one["rows"].values()) for one in attributes.values())
    assert ROWS - odd < basis["population"] == ROWS - basis["screened_out"] < ROWS
    assert basis["strata"] == len(set(clean))
    assert 40 < basis["required_for_95_percent"] <= 57
    # Of 30 rows in proportion, with the one that the smallest strata get beyond it.
    assert 0.6 < basis["confidence_achieved"] < 0.8


async def test_clean_rows_are_not_planted_anomalies(bench: SamplingBench) -> None:
    _, samples, _ = await bench.sampled(target_sample_size=100, distribution={"CLEAN": 1.0})

    planted = {
        (one.row_key, one.column) for one in bench.report.anomalies if one.kind != "inconsistent"
    }
    ruled = {
        bench.columns[row["name"]]
        for row in await bench.fetch(
            "SELECT DISTINCT a.name FROM rule AS r JOIN attribute AS a ON a.id = r.attribute_id"
        )
    }
    caught = {key for key, column in planted if column in ruled}
    drawn = [row["key_values"]["Loan Number"] for row in samples]
    assert len(drawn) == 100
    assert len(caught & set(drawn)) <= 1


async def test_what_the_source_cannot_give_is_an_exact_shortfall(bench: SamplingBench) -> None:
    (attribute,) = [
        bench.report.attribute_ids[name]
        for name, column in bench.columns.items()
        if column == "prop_st_cd"
    ]
    await bench.fetch(f"DELETE FROM {bench.report.table} WHERE ctid >= '(2,0)'::tid RETURNING 1")
    (left,) = await bench.fetch(f"SELECT count(DISTINCT ln_nbr) AS rows FROM {bench.report.table}")

    _, samples, result = await bench.sampled(
        target_sample_size=100,
        attribute_ids=[attribute],
        distribution={"clean": 0.5, "Anomaly": 0.5},
    )

    clean = sum(row["category"] == "clean" for row in samples)
    assert 0 < clean == min(50, left["rows"] - (len(samples) - clean))
    assert result["samples_generated"] == len(samples) < 100
    short = result["shortfall"]
    assert short["anomaly"] == 50 - (len(samples) - clean)
    assert short.get("clean", 0) == 50 - clean
    assert set(result["shortfall_reasons"]) == set(short)
    assert result["attribute_results"][0]["attribute_id"] == attribute


async def test_a_new_job_replaces_what_nobody_decided(bench: SamplingBench) -> None:
    first, samples, _ = await bench.sampled(target_sample_size=20)
    kept = samples[3]
    await bench.fetch(
        "UPDATE sample SET tester_decision = 'approved' WHERE id = $1 RETURNING id", kept["id"]
    )

    second, again, _ = await bench.sampled(target_sample_size=20)

    assert len(again) == 20
    assert kept["key_hash"] not in {row["key_hash"] for row in again}
    assert [row["id"] for row in await bench.samples(first)] == [kept["id"]]
    assert second.parameters["version_id"] == first.parameters["version_id"]


async def test_scoping_says_which_attributes_are_sampled(bench: SamplingBench) -> None:
    chosen = list(bench.report.attribute_ids.values())[7:12]
    await approve_scoping(bench, chosen, skipped=chosen[:1])

    _, samples, result = await bench.sampled(target_sample_size=12)

    assert {one["attribute_id"] for one in result["attribute_results"]} == set(chosen[1:])
    assert {row["attribute_id"] for row in samples} <= set(chosen[1:])


async def test_an_approved_scoping_may_leave_nothing_to_sample(bench: SamplingBench) -> None:
    chosen = list(bench.report.attribute_ids.values())[7:9]
    await approve_scoping(bench, chosen, skipped=chosen)
    job, items = await bench.plan(
        cycle_id=bench.report.cycle_id, report_id=bench.report.report_id, target_sample_size=3
    )

    failed = await bench.do(job, items[0])

    assert isinstance(failed, Failed)
    assert failed.code == "nothing_in_scope"


async def test_a_version_that_is_being_reviewed_does_not_displace_the_approved_one(
    bench: SamplingBench,
) -> None:
    def rules(scope: Scope) -> Counter[str]:
        return Counter(one.name for found in scope.rules.values() for one in found)

    async def scope() -> Scope:
        async with bench.database.begin() as tx:
            report = bench.report
            return await PostgresSamples().scope(tx, report.cycle_id, report.report_id, None)

    before = rules(await scope())
    await approve_rules(bench, number=2, status="pending_approval", attributes=1)
    meanwhile = rules(await scope())
    await bench.fetch("UPDATE rule_version SET status = 'superseded' WHERE number = 1 RETURNING id")
    afterwards = rules(await scope())

    assert before == meanwhile
    assert 0 < afterwards.total() < before.total()


async def approve_scoping(
    bench: SamplingBench, attribute_ids: Sequence[int], *, skipped: Sequence[int]
) -> None:
    (version,) = await bench.fetch(
        "INSERT INTO scoping_version (id, cycle_id, report_id, phase_id, number, status,"
        " created_by, created_at) VALUES (gen_random_uuid(), $1, $2, $3, 1, 'approved', 'u-1',"
        " now()) RETURNING id",
        bench.report.cycle_id,
        bench.report.report_id,
        bench.report.phase_ids["Scoping"],
    )
    for attribute_id in attribute_ids:
        await bench.fetch(
            "INSERT INTO scoping_recommendation (version_id, attribute_id, recommendation,"
            " risk_score, regulatory_impact, data_complexity, common_errors,"
            " downstream_dependencies, cde_points, historical_issue_points, priority, confidence,"
            " rationale, expected_source_documents, keywords, validation_hints, provider, model,"
            " prompt_version, status, created_at) VALUES ($1, $2, $3, 4, 1, 1, 1, 1, 0, 0, 'low',"
            " 0.5, '{}', '[]', '[]', '[]', 'offline', 'm', '1', 'approved', now())"
            " RETURNING version_id",
            version["id"],
            attribute_id,
            "skip" if attribute_id in skipped else "test",
        )


async def test_the_set_that_was_submitted_meanwhile_takes_no_more(bench: SamplingBench) -> None:
    job, items = await bench.plan(
        cycle_id=bench.report.cycle_id, report_id=bench.report.report_id, target_sample_size=4
    )
    results = [(item, await bench.do(job, item)) for item in items]
    await bench.fetch("UPDATE sample_set SET status = 'pending_approval' RETURNING id")

    stored = await bench.store(job, results)

    failures = [one.result for one in stored if isinstance(one.result, Failed)]
    assert {one.code for one in failures} == {"version_not_draft"}
    assert await bench.fetch("SELECT 1 FROM sample") == []


async def test_a_table_without_rows_fails_every_slot(bench: SamplingBench) -> None:
    await bench.fetch(f"TRUNCATE {bench.report.table}")
    job, items = await bench.plan(
        cycle_id=bench.report.cycle_id, report_id=bench.report.report_id, target_sample_size=3
    )

    failed = [await bench.do(job, item) for item in items]

    assert {one.code for one in failed if isinstance(one, Failed)} == {"nothing_to_sample"}


async def test_a_table_that_is_gone_fails_every_slot(bench: SamplingBench) -> None:
    await bench.fetch(f"DROP TABLE {bench.report.table}")
    job, items = await bench.plan(
        cycle_id=bench.report.cycle_id, report_id=bench.report.report_id, target_sample_size=3
    )

    failed = await bench.do(job, items[0])

    assert isinstance(failed, Failed)
    assert failed.code == "table_missing"


async def test_a_file_gives_the_same_shares_as_a_database(
    bench: SamplingBench, tmp_path: Path
) -> None:
    rows = await bench.fetch(f"SELECT * FROM {bench.report.table}")
    file = tmp_path / "loans.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(
            stream,
            quoting=csv.QUOTE_NOTNULL if hasattr(csv, "QUOTE_NOTNULL") else csv.QUOTE_MINIMAL,
        )
        writer.writerow(dict(rows[0]))
        writer.writerows(tuple(row.values()) for row in rows)
    await bench.fetch("UPDATE data_source SET kind = 'csv', location = $1 RETURNING id", str(file))
    await bench.fetch("UPDATE pde_mapping SET table_name = 'loans' RETURNING id")

    _, samples, result = await bench.sampled(target_sample_size=25)

    assert result["by_category"] == {"anomaly": 12, "boundary": 5, "clean": 8} or (
        result["by_category"] == {"anomaly": 13, "boundary": 5, "clean": 7}
    )
    assert {row["table_name"] for row in samples} == {"loans"}
    assert all(row["row_data"]["Loan Number"] for row in samples if row["kind"] == "clean")


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"cycle_id": 1},
        {"target_sample_size": 0},
        {"target_sample_size": 100_000},
        {"distribution": {"clean": 0.5, "anomaly": 0.4}},
        {"distribution": {"clean": 0.5, "anomaly": 0.501, "boundary": 0.001}},
        {"distribution": {"clean": 2, "anomaly": -1}},
        {"distribution": {"clean": 0.5, "dirty": 0.5}},
        {"distribution": {"clean": 0.5, "CLEAN": 0.5}},
        {"distribution": {}},
        {"seed": -1},
        {"colour": "red"},
    ],
)
def test_parameters_that_cannot_be_used_are_refused(parameters: dict[str, Any]) -> None:
    if parameters and "cycle_id" not in parameters:
        parameters |= {"cycle_id": 1, "report_id": 1}

    with pytest.raises(ValidationError):
        SamplingJob.parameters.model_validate(parameters)


@pytest.mark.parametrize(
    "keys", [("clean", "anomaly", "boundary"), ("CLEAN", "Anomaly", "bOUNDARY")]
)
def test_a_distribution_may_be_written_in_any_case(keys: tuple[str, ...]) -> None:
    read = SamplingJob.parameters.model_validate(
        {
            "cycle_id": 1,
            "report_id": 1,
            "distribution": dict(zip(keys, (0.3, 0.5, 0.2), strict=True)),
        }
    )

    assert read.distribution == {"clean": 0.3, "anomaly": 0.5, "boundary": 0.2}


async def test_a_job_without_a_seed_gets_one_that_stays(bench: SamplingBench) -> None:
    parameters: dict[str, Any] = {
        "cycle_id": bench.report.cycle_id,
        "report_id": bench.report.report_id,
    }

    first, second = await bench.prepare(**parameters), await bench.prepare(**parameters)

    assert first == second
    assert first.parameters.seed is not None
    assert first.singleton
    with pytest.raises(InvalidInput, match="No active attributes"):
        await bench.prepare(**parameters, attribute_ids=[9_999])


async def test_a_slot_beyond_what_there_is_is_skipped_with_the_reason(bench: SamplingBench) -> None:
    await bench.fetch(f"DELETE FROM {bench.report.table} WHERE ctid > '(0,3)'::tid RETURNING 1")
    job, items = await bench.plan(
        cycle_id=bench.report.cycle_id, report_id=bench.report.report_id, target_sample_size=20
    )

    results = [await bench.do(job, item) for item in items]

    assert {type(one) for one in results} == {Done, Skipped}
    (reason,) = {one.reason for one in results if isinstance(one, Skipped)}
    assert reason == "All 3 rows of the source are in the sample."
