"""The job type against the real database: what it accepts, lists, does, stores and sums up."""

import asyncio
import uuid
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from longhaul.activities.rule_generation import RuleGenerationParameters
from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.regexes import BothDialects
from longhaul.core.errors import InvalidInput
from longhaul.core.items import Done, Failed, Skipped
from longhaul.core.job_types import Prepared, Resources
from longhaul.core.principals import Principal, Role
from longhaul.job_types.rule_generation import rule_generation
from tests.factories import TESTER
from tests.job_bench import JobBench
from tests.rule_samples import Seeded, form_attributes, make_attribute, seed_report

ATTRIBUTES = form_attributes("a1")
STRANGER = replace(TESTER, sub="u-9", lob="Cards")


class Bench(JobBench):
    """One stored report, the job type, and access to its jobs."""

    def __init__(self, database: PostgresDatabase, redis: Any, seeded: Seeded) -> None:
        resources = Resources(database=database, regexes=BothDialects(database))
        super().__init__(database, redis, rule_generation(resources))
        self.seeded = seeded

    async def prepare(self, principal: Principal = TESTER, **parameters: Any) -> Prepared[Any]:
        if not parameters.keys() & {"version_id", "cycle_id", "report_id"}:
            parameters |= {"cycle_id": self.seeded.cycle_id, "report_id": self.seeded.report_id}
        return await super().prepare(principal, **parameters)


@pytest.fixture
async def bench(database: PostgresDatabase, redis_client: Any) -> Bench:
    return Bench(database, redis_client, await seed_report(database, ATTRIBUTES))


async def test_a_report_of_a_cycle_becomes_its_draft_version(bench: Bench) -> None:
    prepared = await bench.prepare()

    resolved = prepared.parameters
    assert resolved.version_id is not None
    assert prepared.singleton
    assert (prepared.cycle_id, prepared.report_id) == (
        bench.seeded.cycle_id,
        bench.seeded.report_id,
    )
    assert prepared.report_name == "FR Y-14M A.1"
    (phase,) = await bench.fetch("SELECT name FROM phase WHERE id = $1", prepared.phase_id)
    assert phase["name"] == "Data Profiling"


async def test_the_version_and_the_report_lead_to_equal_parameters(bench: Bench) -> None:
    first, second, *_ = bench.seeded.attribute_ids
    by_report = await bench.prepare(attribute_ids=[second, first, second])
    version_id = by_report.parameters.version_id

    by_version = await bench.prepare(version_id=version_id, attribute_ids=[first, second])

    assert by_version == by_report


async def test_two_who_start_at_the_same_time_get_one_draft(bench: Bench) -> None:
    both = await asyncio.gather(bench.prepare(), bench.prepare())

    assert both[0].parameters.version_id == both[1].parameters.version_id
    (row,) = await bench.fetch("SELECT count(*) AS versions FROM rule_version")
    assert row["versions"] == 1


async def test_what_does_not_exist_is_refused_by_name(bench: Bench) -> None:
    unknown = uuid.uuid4()
    cases: list[tuple[dict[str, Any], str, str]] = [
        ({"version_id": unknown}, f"no rule version {unknown}", "/parameters/version_id"),
        (
            {"cycle_id": bench.seeded.cycle_id, "report_id": 77},
            "holds no report 77",
            "/parameters/report_id",
        ),
        (
            {"attribute_ids": [bench.seeded.attribute_ids[0], 8_888, 9_999]},
            "No active attributes of the report: 8888, 9999.",
            "/parameters/attribute_ids",
        ),
    ]
    for parameters, sentence, pointer in cases:
        with pytest.raises(InvalidInput, match=sentence) as refused:
            await bench.prepare(**parameters)
        assert [where for where, _ in refused.value.fields] == [pointer]


async def test_a_version_that_is_no_draft_is_refused(bench: Bench) -> None:
    version_id = (await bench.prepare()).parameters.version_id
    await bench.fetch(
        "UPDATE rule_version SET status = 'approved' WHERE id = $1 RETURNING id", version_id
    )

    with pytest.raises(InvalidInput, match="is approved; rules are only generated into a draft"):
        await bench.prepare(version_id=version_id)


async def test_a_version_of_another_report_is_refused(bench: Bench) -> None:
    other = await seed_report(bench.database, [make_attribute()], name="FR Y-14M B.1")
    version_id = (await bench.prepare()).parameters.version_id

    with pytest.raises(InvalidInput, match="another cycle or report"):
        await bench.prepare(
            version_id=version_id, cycle_id=other.cycle_id, report_id=other.report_id
        )


async def test_a_report_of_another_line_of_business_is_as_if_there_were_none(bench: Bench) -> None:
    with pytest.raises(InvalidInput, match="holds no report"):
        await bench.prepare(STRANGER)
    version_id = (await bench.prepare()).parameters.version_id
    with pytest.raises(InvalidInput, match="There is no rule version"):
        await bench.prepare(STRANGER, version_id=version_id)

    assert await bench.prepare(replace(STRANGER, roles=frozenset({Role.ADMIN})))


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"cycle_id": 1},
        {"report_id": 1},
        {"cycle_id": 1, "report_id": 2**31},
        {"cycle_id": 1, "report_id": 1, "attribute_ids": []},
        {"version_id": "7"},
        {"cycle_id": 1, "report_id": 1, "colour": "red"},
    ],
)
def test_parameters_that_name_nothing_usable_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RuleGenerationParameters.model_validate(parameters)


async def test_items_are_the_attributes_in_the_order_of_the_form(bench: Bench) -> None:
    _, items = await bench.plan()

    ids = [item.payload["attribute_id"] for item in items]
    assert ids == list(bench.seeded.attribute_ids)
    assert items[0].key == f"attribute-{ids[0]}"
    assert items[0].label == "Rules for Loan Number"


async def test_named_attributes_are_the_only_items(bench: Bench) -> None:
    wanted = list(bench.seeded.attribute_ids[3:5])

    _, items = await bench.plan(attribute_ids=wanted)

    assert [item.payload["attribute_id"] for item in items] == wanted


async def test_items_can_be_counted_before_the_draft_is_committed(bench: Bench) -> None:
    parameters = RuleGenerationParameters(
        cycle_id=bench.seeded.cycle_id, report_id=bench.seeded.report_id
    )
    async with bench.database.begin() as tx:
        prepared = await bench.type.prepare(tx, parameters, TESTER)
        count = len([item async for item in bench.type.items(tx, prepared.parameters)])

    assert count == len(ATTRIBUTES)


async def test_a_whole_report_ends_with_numbers_that_agree(bench: Bench) -> None:
    job, items = await bench.plan()

    ended = await bench.run(job, items)

    result = await bench.result(job)
    (row,) = await bench.fetch("SELECT count(*) AS rules FROM rule WHERE job_id = $1", job.id)
    outputs = [one.result.output for one in ended if isinstance(one.result, Done)]
    assert result == {
        "version_id": job.parameters["version_id"],
        "attributes": 117,
        "rules_generated": row["rules"],
        "by_type": result["by_type"],
        "by_severity": result["by_severity"],
        "attributes_without_rules": (),
        "failed_attributes": 0,
    }
    assert sum(output["rules"] for output in outputs if output) == row["rules"]
    assert sum(result["by_type"].values()) == sum(result["by_severity"].values()) == row["rules"]
    assert 3 * 117 <= row["rules"] <= 5 * 117


async def test_the_rules_of_a_batch_carry_job_ordinal_and_analyst(bench: Bench) -> None:
    job, items = await bench.plan()
    await bench.run(job, items[10:13])

    rows = await bench.fetch("SELECT * FROM rule ORDER BY ordinal, execution_order")

    assert {str(row["job_id"]) for row in rows} == {job.id}
    assert {row["ordinal"] for row in rows} == {10, 11, 12}
    assert {(row["provider"], row["model"], row["prompt_version"]) for row in rows} == {
        ("offline", "rules-of-thumb", "3")
    }


async def test_a_job_that_was_frozen_for_a_provider_asks_its_model(bench: Bench) -> None:
    job, items = await bench.plan()
    frozen = {"provider": "openai", "model": "gpt-x", "prompt_version": "1"}

    with pytest.raises(AssertionError, match="asked a model"):
        await bench.do(replace(job, frozen=frozen), items[0])


async def test_attributes_with_rules_are_skipped_unless_forced(bench: Bench) -> None:
    job, items = await bench.plan()
    await bench.run(job, items[:1])

    again, items = await bench.plan()
    forced, forced_items = await bench.plan(force=True)

    assert isinstance(await bench.do(again, items[0]), Skipped)
    assert isinstance(await bench.do(again, items[1]), Done)
    assert isinstance(await bench.do(forced, forced_items[0]), Done)


async def test_a_forced_job_replaces_what_nobody_decided(bench: Bench) -> None:
    job, items = await bench.plan()
    await bench.run(job, items[:1])
    (kept,) = await bench.fetch(
        "UPDATE rule SET report_owner_decision = 'approved' WHERE execution_order = 1 RETURNING id"
    )
    (before,) = await bench.fetch("SELECT count(*) AS rules FROM rule")

    forced, items = await bench.plan(force=True)
    await bench.run(forced, items[:1])

    rows = await bench.fetch("SELECT id, job_id FROM rule")
    assert len(rows) == before["rules"]
    assert [row["id"] for row in rows if str(row["job_id"]) == job.id] == [kept["id"]]
    assert (await bench.result(forced))["rules_generated"] == len(rows) - 1


async def test_results_for_a_version_that_is_no_longer_a_draft_fail(bench: Bench) -> None:
    job, items = await bench.plan()
    results = [(item, await bench.do(job, item)) for item in items[:3]]
    await bench.fetch("UPDATE rule_version SET status = 'pending_approval' RETURNING id")

    stored = await bench.store(job, results)

    failures = [one.result for one in stored if isinstance(one.result, Failed)]
    assert [failure.code for failure in failures] == ["version_not_draft"] * 3
    assert await bench.fetch("SELECT 1 FROM rule") == []
    result = await bench.result(job)
    assert (result["failed_attributes"], result["rules_generated"]) == (3, 0)
    assert result["attributes_without_rules"][0] == "Loan Number"


async def test_an_attribute_that_was_retired_meanwhile_fails_its_item(bench: Bench) -> None:
    job, items = await bench.plan()
    await bench.fetch("UPDATE attribute SET is_active = false RETURNING id")

    result = await bench.do(job, items[0])

    assert isinstance(result, Failed)
    assert result.code == "attribute_missing"


async def test_a_result_is_stored_once_however_often_it_is_handed_in(bench: Bench) -> None:
    job, items = await bench.plan()
    results = [(item, await bench.do(job, item)) for item in items[:2]]
    await bench.store(job, results)
    (before,) = await bench.fetch("SELECT array_agg(id ORDER BY id) AS ids FROM rule")

    await bench.store(job, results)

    (after,) = await bench.fetch("SELECT array_agg(id ORDER BY id) AS ids FROM rule")
    assert after["ids"] == before["ids"]
