"""PDE mapping on the sample report in a real database: real schema, real rows, offline."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from longhaul.activities.pde_mapping import PdeMappingParameters
from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.mappings import PostgresMappings
from longhaul.adapters.regexes import BothDialects
from longhaul.adapters.sample.form import read_form
from longhaul.adapters.sample.report import SampleReport, load_sample
from longhaul.core.errors import InvalidInput
from longhaul.core.items import Done, Failed, Item, ItemOutcome, ItemResult, Skipped
from longhaul.core.job_types import Resources
from longhaul.core.jobs import Job
from longhaul.core.sources import SourceAccess
from longhaul.job_types.pde_mapping import pde_mapping
from tests.factories import TESTER
from tests.job_bench import JobBench

ROWS = 5


class Bench(JobBench):
    """A loaded sample report, and PDE mapping."""

    report: SampleReport

    async def plan_all(self, **parameters: Any) -> tuple[Job, list[Item]]:
        return await self.plan(
            cycle_id=self.report.cycle_id, report_id=self.report.report_id, **parameters
        )

    async def rows(self) -> Mapping[int, Any]:
        return {
            row["attribute_id"]: row
            for row in await self.fetch("SELECT * FROM pde_mapping ORDER BY id")
        }


async def open_bench(database: PostgresDatabase, dsn: str, redis: Any, form: str = "a1") -> Bench:
    resources = Resources(
        database=database, regexes=BothDialects(database), sources=SourceAccess(own_dsn=dsn)
    )
    bench = Bench(database, redis, pde_mapping(resources))
    bench.report = await load_sample(database, rows=ROWS, random_seed=3, form=form)
    return bench


@pytest.fixture
async def bench(database: PostgresDatabase, dsn: str, redis_client: Any) -> Bench:
    return await open_bench(database, dsn, redis_client)


@pytest.mark.parametrize("form", ["a1", "b1"])
async def test_nine_of_ten_attributes_of_a_form_get_their_true_column(
    database: PostgresDatabase, dsn: str, redis_client: Any, form: str
) -> None:
    bench = await open_bench(database, dsn, redis_client, form)
    job, items = await bench.plan_all()
    ended = await bench.run(job, items)

    rows = await bench.rows()
    read = read_form(form)
    truth = {bench.report.attribute_ids[name]: column for name, column in read.columns().items()}
    having = {id_: column for id_, column in truth.items() if column}
    right = [id_ for id_, column in having.items() if _column(rows, id_) == column]
    assert len(right) / len(having) >= 0.9

    # Attributes without a column are left to people, and no decoy is used.
    missing = [id_ for id_ in truth if id_ not in having]
    assert missing
    assert not rows.keys() & set(missing)
    outputs = {one.item.payload["attribute_id"]: _output(one) for one in ended}
    assert all(outputs[id_]["needs_manual_mapping"] for id_ in missing)
    assert {row["column_name"] for row in rows.values()}.isdisjoint(read.decoys)
    assert {row["table_name"] for row in rows.values()} == {bench.report.table}
    assert {row["data_source_id"] for row in rows.values()} == {bench.report.data_source_id}


async def test_every_mapped_column_exists(bench: Bench) -> None:
    job, items = await bench.plan_all()
    await bench.run(job, items)

    missing = await bench.fetch(
        """
        SELECT m.column_name FROM pde_mapping AS m
        WHERE NOT EXISTS (
            SELECT FROM information_schema.columns AS c
            WHERE c.table_schema || '.' || c.table_name = m.table_name
                AND c.column_name = m.column_name)
        """
    )
    assert missing == []


async def test_a_whole_report_ends_with_numbers_that_agree(bench: Bench) -> None:
    job, items = await bench.plan_all()
    ended = await bench.run(job, items)

    result = await bench.result(job)
    rows = await bench.rows()
    manual = sum(_output(one)["needs_manual_mapping"] for one in ended)
    assert result == {
        "total_mapped": len(rows),
        "total_failed": 0,
        "needs_manual_mapping": manual,
        "already_mapped": 0,
        "total_attributes": 117,
        "success_rate": round(100 * len(rows) / 117, 2),
        "mapped_count": len(rows),
        "total_count": 117,
    }
    assert len(rows) + manual == 117
    assert all(row["confidence"] >= 0.5 for row in rows.values())


async def test_a_row_says_who_proposed_it_and_how_sure(bench: Bench) -> None:
    job, items = await bench.plan_all()
    await bench.run(job, items)

    rows = await bench.rows()
    row = rows[bench.report.attribute_ids["Loan Number"]]
    assert str(row["job_id"]) == job.id
    assert (row["ordinal"], row["column_name"]) == (0, "ln_nbr")
    assert (row["provider"], row["model"], row["prompt_version"]) == (
        "offline",
        "matching-names",
        "1",
    )
    assert (row["information_security_classification"], row["pii_flag"]) == ("HRCI", True)
    assert (row["criticality"], row["mapping_type"]) == ("High", "direct")
    assert row["rationale"]
    assert row["regulatory_references"] == ["FR Y-14M A.1, line 1 (M142)"]
    for one in rows.values():
        is_sure = one["confidence"] >= 0.85
        assert one["auto_approved"] is is_sure
        assert one["status"] == ("approved" if is_sure else "pending")


async def test_attributes_may_share_a_column(bench: Bench) -> None:
    job, items = await bench.plan_all()
    await bench.run(job, items)

    rows = await bench.rows()
    ids = bench.report.attribute_ids
    current = rows[ids["Product Type - Current"]]
    original = rows[ids["Product Type – Origination"]]
    assert current["column_name"] == original["column_name"] == "prod_typ_cd"
    assert current["mapping_type"] == "conditional"


async def test_a_phase_and_its_report_lead_to_equal_parameters(bench: Bench) -> None:
    by_report = await bench.prepare(
        cycle_id=bench.report.cycle_id, report_id=bench.report.report_id
    )
    for phase_id in bench.report.phase_ids.values():
        assert await bench.prepare(phase_id=phase_id) == by_report
    assert by_report.singleton
    assert by_report.phase_id == bench.report.phase_ids["Planning"]


async def test_what_does_not_exist_or_is_not_theirs_is_refused(bench: Bench) -> None:
    report: dict[str, Any] = {
        "cycle_id": bench.report.cycle_id,
        "report_id": bench.report.report_id,
    }
    stranger = replace(TESTER, lob="Cards")
    with pytest.raises(InvalidInput, match="no phase 999"):
        await bench.prepare(phase_id=999)
    with pytest.raises(InvalidInput, match="holds no report 77"):
        await bench.prepare(cycle_id=bench.report.cycle_id, report_id=77)
    with pytest.raises(InvalidInput, match="holds no report"):
        await bench.prepare(stranger, **report)
    with pytest.raises(InvalidInput, match="No active attributes of the report: 8888"):
        await bench.prepare(attribute_ids=[8888], **report)
    with pytest.raises(InvalidInput, match="another cycle or report"):
        await bench.prepare(
            phase_id=bench.report.phase_ids["Planning"],
            cycle_id=bench.report.cycle_id,
            report_id=77,
        )


@pytest.mark.parametrize(
    "parameters",
    [{}, {"cycle_id": 1}, {"phase_id": 0}, {"phase_id": 1, "attribute_ids": []}, {"colour": 1}],
)
def test_parameters_that_name_nothing_usable_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PdeMappingParameters.model_validate(parameters)


async def test_what_is_mapped_is_skipped_unless_it_is_regenerated(bench: Bench) -> None:
    job, items = await bench.plan_all()
    await bench.run(job, items[:1])

    again, items = await bench.plan_all()
    assert isinstance(await bench.do(again, items[0]), Skipped)
    assert isinstance(await bench.do(again, items[1]), Done)

    anew, items = await bench.plan_all(regenerate=True)
    await bench.run(anew, items[:1])
    (row,) = (await bench.rows()).values()
    assert str(row["job_id"]) == anew.id


@pytest.mark.parametrize(
    "decision",
    [
        "tester_decision = 'approved'",
        "report_owner_decision = 'rejected', status = 'rejected'",
        "job_id = NULL, column_name = 'by_hand'",
    ],
)
async def test_what_people_decided_is_left_alone(bench: Bench, decision: str) -> None:
    job, items = await bench.plan_all()
    await bench.run(job, items[:1])
    (before,) = await bench.fetch(f"UPDATE pde_mapping SET {decision} RETURNING *")

    anew, items = await bench.plan_all(regenerate=True)

    assert await bench.do(anew, items[0]) == Skipped(
        "A person has decided on the mapping of the attribute."
    )
    (after,) = (await bench.rows()).values()
    assert dict(after) == dict(before)


async def test_a_rejected_column_feeds_nothing(bench: Bench) -> None:
    job, items = await bench.plan_all()
    await bench.run(job, items[:1])
    attribute_id = items[0].payload["attribute_id"]

    async def column() -> str | None:
        async with bench.database.begin() as tx:
            found = await PostgresMappings().attribute(tx, attribute_id)
        assert found is not None
        return found.column

    assert await column() == "ln_nbr"
    await bench.fetch("UPDATE pde_mapping SET status = 'rejected' RETURNING id")
    assert await column() is None


async def test_a_decision_made_meanwhile_stands_and_the_item_says_so(bench: Bench) -> None:
    job, items = await bench.plan_all()
    await bench.run(job, items[:1])
    anew, items = await bench.plan_all(regenerate=True)
    results: list[tuple[Item, ItemResult]] = [(items[0], await bench.do(anew, items[0]))]
    await bench.fetch("UPDATE pde_mapping SET tester_decision = 'approved' RETURNING id")

    (ended,) = await bench.store(anew, results)

    assert isinstance(ended.result, Failed)
    assert ended.result.code == "decided_meanwhile"
    (row,) = (await bench.rows()).values()
    assert str(row["job_id"]) == job.id
    assert (await bench.result(anew))["total_mapped"] == 0


async def test_a_mapping_that_no_longer_holds_is_withdrawn(bench: Bench) -> None:
    job, items = await bench.plan_all()
    (occupancy,) = [item for item in items if item.label == "Column of Occupancy"]
    await bench.run(job, [occupancy])
    assert len(await bench.rows()) == 1
    await bench.fetch(f"ALTER TABLE {bench.report.table} RENAME COLUMN occ_cd TO zzz")

    anew, items = await bench.plan_all(regenerate=True)
    (ended,) = await bench.run(anew, [items[occupancy.ordinal]])

    assert _output(ended)["needs_manual_mapping"]
    assert await bench.rows() == {}


async def test_a_report_without_a_source_or_with_a_broken_one_fails_its_items(
    bench: Bench,
) -> None:
    job, items = await bench.plan_all()
    await bench.fetch("UPDATE data_source SET location = 'sample.gone' RETURNING id")
    broken = await bench.do(job, items[0])
    await bench.fetch("DELETE FROM data_source RETURNING id")
    job, items = await bench.plan_all()
    without = await bench.do(job, items[0])

    assert broken == Failed("no_columns", "The report's data sources have no table to map to.")
    assert without == Failed("no_source", "The report has no data source to map to.")


async def test_an_attribute_that_was_retired_meanwhile_fails_its_item(bench: Bench) -> None:
    job, items = await bench.plan_all()
    await bench.fetch("UPDATE attribute SET is_active = false RETURNING id")

    assert await bench.do(job, items[0]) == Failed(
        "attribute_missing", "The attribute is no longer active."
    )


async def test_a_hostile_column_name_is_only_a_name(bench: Bench) -> None:
    name = "loan_number'; drop table \"attribute"
    quoted = name.replace('"', '""')
    await bench.fetch(f'ALTER TABLE {bench.report.table} RENAME COLUMN ln_nbr TO "{quoted}"')
    job, items = await bench.plan_all()

    await bench.run(job, items)

    assert len(await bench.rows()) > 100
    assert len(await bench.fetch("SELECT 1 FROM attribute")) == 117


async def test_a_job_that_was_frozen_for_a_provider_asks_its_model(bench: Bench) -> None:
    job, items = await bench.plan_all()
    frozen = {"provider": "openai", "model": "gpt-x", "prompt_version": "1"}

    with pytest.raises(AssertionError, match="asked a model"):
        await bench.do(replace(job, frozen=frozen), items[0])


class Overheard:
    """Notes prompts, and answers with the first candidate."""

    def __init__(self) -> None:
        self.prompts: list[str] = []

    async def ask(self, *, prompt: str, answer: type[Any], **_: Any) -> Any:
        self.prompts.append(prompt)
        first = shown(prompt)[0]
        return answer.model_validate(
            {name: first[name] for name in ("data_source", "table", "column")}
            | {
                "mapping_type": "direct",
                "confidence": 0.9,
                "business_process": "Servicing",
                "information_security_classification": "Confidential",
                "criticality": "Low",
                "risk": "Low",
                "regulatory_flag": True,
                "pii_flag": False,
                "rationale": "It is the first.",
            }
        )


def shown(prompt: str) -> list[dict[str, Any]]:
    _, _, rest = prompt.partition("<data>")
    block, _, _ = rest.partition("</data>")
    candidates: list[dict[str, Any]] = json.loads(block)["candidates"]
    return candidates


async def test_of_five_thousand_columns_a_prompt_holds_the_shortlist_only(bench: Bench) -> None:
    for table in range(20):
        columns = ", ".join(f"f{table}_{number}_ln_amt text" for number in range(250))
        await bench.fetch(f"CREATE TABLE sample.noise_{table} ({columns})")
    await bench.fetch("UPDATE data_source SET location = 'sample' RETURNING id")
    overheard = bench.calls = Overheard()
    job, items = await bench.plan_all()
    job = replace(job, frozen={"provider": "openai", "model": "m", "prompt_version": "1"})

    await bench.run(job, items)

    truth = read_form("a1").columns()
    having = [
        (truth[name], {one["column"] for one in shown(prompt)})
        for name, prompt in zip(bench.report.attribute_ids, overheard.prompts, strict=True)
        if truth[name]
    ]
    assert len(overheard.prompts) == 117
    assert all(len(shown(prompt)) <= 20 for prompt in overheard.prompts)
    assert max(map(len, overheard.prompts)) < 12_000
    assert sum(column in candidates for column, candidates in having) / len(having) >= 0.98


async def test_a_result_is_stored_once_however_often_it_is_handed_in(bench: Bench) -> None:
    job, items = await bench.plan_all()
    results = [(item, await bench.do(job, item)) for item in items[:3]]
    await bench.store(job, results)
    before = await bench.rows()

    await bench.store(job, results)

    assert {row["id"] for row in (await bench.rows()).values()} == {
        row["id"] for row in before.values()
    }


async def test_a_job_of_another_id_does_not_count(bench: Bench) -> None:
    job, items = await bench.plan_all()
    await bench.run(job, items[:4])
    other = replace(job, id=str(uuid.uuid4()))

    assert (await bench.result(other))["total_mapped"] == 0


def _column(rows: Mapping[int, Any], attribute_id: int) -> str | None:
    row = rows.get(attribute_id)
    return row["column_name"] if row else None


def _output(ended: ItemOutcome) -> Mapping[str, Any]:
    assert isinstance(ended.result, Done), ended.result
    assert ended.result.output is not None
    return ended.result.output
