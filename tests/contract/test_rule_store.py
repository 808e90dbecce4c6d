import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import replace

import asyncpg
import pytest

from longhaul.adapters.postgres.attributes import PAGE
from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.rules import PostgresRules
from longhaul.core.attributes import Listed
from longhaul.core.expectations import BETWEEN, NOT_NULL, UNIQUE
from longhaul.core.formats import DataType
from longhaul.core.ports import Row
from longhaul.core.rules import (
    NewRules,
    RuleDraft,
    RuleProposal,
    RuleStore,
    RuleType,
    RuleVersion,
    Severity,
    VersionStatus,
)
from tests.locks import until_waiting
from tests.rule_samples import Seeded, form_attributes, make_attribute, seed_report

ATTRIBUTES = form_attributes("a1")[:6]
JOB = str(uuid.uuid4())


@pytest.fixture
def store() -> RuleStore:
    return PostgresRules()


@pytest.fixture
async def seeded(database: PostgresDatabase) -> Seeded:
    return await seed_report(database, ATTRIBUTES)


@pytest.fixture
async def version(database: PostgresDatabase, seeded: Seeded, store: RuleStore) -> RuleVersion:
    async with database.begin() as tx:
        found = await store.draft(tx, seeded.cycle_id, seeded.report_id, "u-1")
    assert found is not None
    return found


def draft(expectation: str = NOT_NULL, **kwargs: object) -> RuleDraft:
    return RuleDraft(
        expectation=expectation,
        kwargs={"column": "Loan Number", **kwargs},
        name="A rule",
        description="It checks.",
        rule_type=RuleType.UNIQUENESS if expectation == UNIQUE else RuleType.COMPLETENESS,
        severity=Severity.HIGH,
        execution_order=1,
        rationale="Because.",
        regulatory_reference="line 1",
        confidence=0.5,
    )


def new_rules(attribute_id: int, *drafts: RuleDraft, ordinal: int = 0) -> NewRules:
    proposal = RuleProposal(drafts=drafts, provider="openai", model="gpt-x", prompt_version="1")
    return NewRules(attribute_id=attribute_id, ordinal=ordinal, proposal=proposal)


async def rules_of(database: PostgresDatabase, attribute_id: int) -> Sequence[Row]:
    async with database.begin() as tx:
        return await tx.fetch(
            "SELECT * FROM rule WHERE attribute_id = $1 ORDER BY execution_order, expectation",
            attribute_id,
        )


async def set_status(database: PostgresDatabase, version: RuleVersion, status: str) -> None:
    async with database.begin() as tx:
        await tx.execute("SET LOCAL lock_timeout = '200ms'")
        await tx.execute("UPDATE rule_version SET status = $2 WHERE id = $1", version.id, status)


async def test_a_draft_is_made_once_and_found_again(
    database: PostgresDatabase, seeded: Seeded, store: RuleStore, version: RuleVersion
) -> None:
    async with database.begin() as tx:
        again = await store.draft(tx, seeded.cycle_id, seeded.report_id, "u-2")
        by_id = await store.version(tx, version.id)

    assert again == by_id == version
    assert version.status is VersionStatus.DRAFT
    assert (version.report_name, version.lob) == ("FR Y-14M A.1", "Mortgage")


async def test_after_approval_the_next_draft_has_the_next_number(
    database: PostgresDatabase, seeded: Seeded, store: RuleStore, version: RuleVersion
) -> None:
    await set_status(database, version, "approved")

    async with database.begin() as tx:
        following = await store.draft(tx, seeded.cycle_id, seeded.report_id, "u-1")
        numbers = await tx.fetch("SELECT number FROM rule_version ORDER BY number")
    assert following is not None
    assert following.id != version.id
    assert [row["number"] for row in numbers] == [1, 2]


async def test_many_who_need_a_draft_at_once_get_the_same(
    database: PostgresDatabase, seeded: Seeded, store: RuleStore
) -> None:
    async def ask() -> RuleVersion | None:
        async with database.begin() as tx:
            return await store.draft(tx, seeded.cycle_id, seeded.report_id, "u-1")

    async with database.begin() as tx:
        first = await store.draft(tx, seeded.cycle_id, seeded.report_id, "u-1")
        others = [asyncio.create_task(ask()) for _ in range(3)]
        await until_waiting(database, len(others))

    assert first is not None
    assert await asyncio.gather(*others) == [first] * len(others)


async def test_a_report_that_the_cycle_does_not_hold_has_no_draft(
    database: PostgresDatabase, seeded: Seeded, store: RuleStore
) -> None:
    async with database.begin() as tx:
        assert await store.draft(tx, seeded.cycle_id, seeded.report_id + 1, "u-1") is None
        assert await store.version(tx, str(uuid.uuid4())) is None


async def test_an_attribute_is_read_with_its_report_and_its_column(
    database: PostgresDatabase, seeded: Seeded, store: RuleStore
) -> None:
    async with database.begin() as tx:
        await tx.execute(
            "INSERT INTO pde_mapping (phase_id, attribute_id, column_name)"
            " SELECT phase_id, id, 'orig_ltv' FROM attribute WHERE id = $1",
            seeded.attribute_ids[0],
        )
        found = await store.attribute(tx, seeded.attribute_ids[0])
        other = await store.attribute(tx, seeded.attribute_ids[1])

    assert found == replace(
        ATTRIBUTES[0],
        id=seeded.attribute_ids[0],
        column="orig_ltv",
        report_name="FR Y-14M A.1",
    )
    assert other is not None
    assert other.column is None


async def test_foreign_unknown_and_inactive_attributes_are_named(
    database: PostgresDatabase, seeded: Seeded, store: RuleStore
) -> None:
    other = await seed_report(database, [make_attribute()], name="FR Y-14M B.1")
    own, gone = seeded.attribute_ids[:2]
    (foreign,) = other.attribute_ids
    async with database.begin() as tx:
        await tx.execute("UPDATE attribute SET is_active = false WHERE id = $1", gone)

        found = await store.foreign(
            tx, seeded.cycle_id, seeded.report_id, [999_999, foreign, gone, own]
        )
        assert found == [999_999, foreign, gone]
        assert await store.attribute(tx, gone) is None
        assert ATTRIBUTES[1].name not in await store.names(tx, seeded.cycle_id, seeded.report_id)


async def test_attributes_come_page_by_page_in_the_order_of_the_form(
    database: PostgresDatabase, store: RuleStore
) -> None:
    attributes = [
        replace(make_attribute(f"Field {number}", DataType.STRING), line_no=number // 2)
        for number in reversed(range(PAGE + 10))
    ]
    seeded = await seed_report(database, attributes)
    pages: list[Sequence[Listed]] = []

    async with database.begin() as tx:
        after = None
        while page := await store.page(tx, seeded.cycle_id, seeded.report_id, None, after):
            pages.append(page)
            after = page[-1]
        wanted = list(seeded.attribute_ids[:2])
        named = await store.page(tx, seeded.cycle_id, seeded.report_id, wanted, None)

    assert [len(page) for page in pages] == [PAGE, 10]
    listed = [(one.line_no, one.id) for page in pages for one in page]
    assert listed == sorted(listed)
    assert {one.id for one in named} == set(wanted)


async def test_a_draft_is_held_until_the_transaction_ends(
    database: PostgresDatabase, store: RuleStore, version: RuleVersion
) -> None:
    async with database.begin() as holder:
        assert await store.hold_draft(holder, version.id)

        async with database.begin() as other:
            assert await store.hold_draft(other, version.id), "two may hold it"
        with pytest.raises(asyncpg.LockNotAvailableError):
            await set_status(database, version, "pending_approval")

    await set_status(database, version, "pending_approval")
    async with database.begin() as tx:
        assert not await store.hold_draft(tx, version.id)


async def test_rules_are_stored_with_who_proposed_them(
    database: PostgresDatabase, seeded: Seeded, store: RuleStore, version: RuleVersion
) -> None:
    first, second = seeded.attribute_ids[:2]
    async with database.begin() as tx:
        assert not await store.has_rules(tx, version.id, first)
        await store.replace(
            tx,
            version.id,
            JOB,
            [
                new_rules(first, draft(), draft(BETWEEN, min_value=1.5), ordinal=7),
                new_rules(second, draft(UNIQUE), ordinal=8),
            ],
        )
        assert await store.has_rules(tx, version.id, first)

    between, not_null = await rules_of(database, first)
    assert between["kwargs"] == {"column": "Loan Number", "min_value": 1.5}
    assert not_null["rule_type"] == "completeness"
    assert not_null["status"] == "pending"
    assert (not_null["provider"], not_null["model"], not_null["prompt_version"]) == (
        "openai",
        "gpt-x",
        "1",
    )
    assert (str(not_null["job_id"]), not_null["ordinal"]) == (JOB, 7)
    assert len(await rules_of(database, second)) == 1


async def test_undecided_rules_give_way_and_decided_ones_stay(
    database: PostgresDatabase, seeded: Seeded, store: RuleStore, version: RuleVersion
) -> None:
    attribute_id, untouched = seeded.attribute_ids[:2]
    async with database.begin() as tx:
        for one in (attribute_id, untouched):
            await store.replace(tx, version.id, JOB, [new_rules(one, draft(), draft(UNIQUE))])
        await tx.execute(
            "UPDATE rule SET tester_decision = 'rejected' WHERE attribute_id = $1"
            " AND expectation = $2",
            attribute_id,
            NOT_NULL,
        )
    (decided,) = [
        row for row in await rules_of(database, attribute_id) if row["expectation"] == NOT_NULL
    ]

    second_job = str(uuid.uuid4())
    async with database.begin() as tx:
        proposed = new_rules(attribute_id, draft(), draft(BETWEEN, min_value=0))
        await store.replace(tx, version.id, second_job, [proposed])

    between, not_null = await rules_of(database, attribute_id)
    assert not_null == decided, "the decided rule was touched"
    assert str(between["job_id"]) == second_job
    assert len(await rules_of(database, untouched)) == 2


async def test_storing_the_same_again_changes_no_number(
    database: PostgresDatabase, seeded: Seeded, store: RuleStore, version: RuleVersion
) -> None:
    rules = [new_rules(seeded.attribute_ids[0], draft(), draft(UNIQUE))]
    async with database.begin() as tx:
        await store.replace(tx, version.id, JOB, rules)
        await store.replace(tx, version.id, JOB, rules)

    assert len(await rules_of(database, seeded.attribute_ids[0])) == 2


async def test_totals_add_up_what_the_job_stored_and_name_what_is_missing(
    database: PostgresDatabase, seeded: Seeded, store: RuleStore, version: RuleVersion
) -> None:
    first, second, third, *_ = seeded.attribute_ids
    async with database.begin() as tx:
        await tx.execute(
            "INSERT INTO job_item (job_id, ordinal, item_key, payload)"
            " SELECT $1, row_number() OVER (), id::text, jsonb_build_object('attribute_id', id)"
            " FROM unnest($2::integer[]) AS id",
            JOB,
            [first, second, third],
        )
        await store.replace(
            tx, version.id, JOB, [new_rules(first, draft(), draft(UNIQUE), draft(BETWEEN))]
        )
        await store.replace(tx, version.id, str(uuid.uuid4()), [new_rules(second, draft())])

        totals = await store.totals(tx, version.id, JOB)

    assert totals.rules == 3
    assert totals.by_type == {"completeness": 2, "uniqueness": 1}
    assert totals.by_severity == {"high": 3}
    assert totals.attributes_without_rules == (ATTRIBUTES[2].name,)
