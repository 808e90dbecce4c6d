"""Decisions in the database: what people and jobs do to the same version at the same time."""

import asyncio
import uuid
from collections.abc import Awaitable

import pytest

from longhaul.adapters.postgres.database import PostgresDatabase, PostgresTransaction
from longhaul.adapters.postgres.decisions import PostgresDecisions
from longhaul.adapters.postgres.rules import PostgresRules
from longhaul.core.approvers import Decision
from longhaul.core.decisions import (
    Choice,
    DecisionCounts,
    Kind,
    Reviewer,
    Version,
    VersionAction,
)
from longhaul.core.errors import Forbidden, InvalidInput, WrongState
from longhaul.core.expectations import NOT_NULL
from longhaul.core.ports import Transaction
from longhaul.core.principals import Principal, Role
from longhaul.core.rules import NewRules, RuleProposal
from longhaul.core.versions import VersionStatus
from longhaul.services.decisions import Decided, Decisions
from tests.decision_samples import SeededVersion, make_draft, rule_ids, seed_rules
from tests.locks import until_waiting

TESTER = Principal(sub="tess", roles=frozenset({Role.TESTER}), lob="Mortgage")
OWNER = Principal(sub="olga", roles=frozenset({Role.REPORT_OWNER}), lob="Mortgage")


class Desk:
    """One version of rules, with what people and jobs do to it."""

    def __init__(self, database: PostgresDatabase, seeded: SeededVersion) -> None:
        self.database = database
        self.seeded = seeded
        self.store = PostgresDecisions()
        self.rules = PostgresRules()
        self.decisions = Decisions(self.store, consequences={})

    async def version(self, tx: Transaction) -> Version:
        return await self.decisions.version(tx, TESTER, self.seeded.id)

    async def decide(
        self,
        tx: Transaction,
        choice: Choice,
        decision: Decision = Decision.APPROVED,
        by: Principal = TESTER,
    ) -> Decided:
        version = await self.version(tx)
        return await self.decisions.decide(tx, by, version, choice, decision, reason="so it is")

    async def take(self, action: VersionAction, by: Principal) -> Version:
        async with self.database.begin() as tx:
            return await self.decisions.take(tx, by, await self.version(tx), action, "so it is")

    async def approve_throughout(self, decisions: Decisions | None = None) -> Version:
        async with self.database.begin() as tx:
            return await (decisions or self.decisions).approve_throughout(
                tx, await self.version(tx), tester=TESTER, report_owner=OWNER, reason="automatic"
            )

    async def write(self, tx: Transaction, *orders: int) -> bool:
        """What a job does to its first attribute when it stores a batch."""
        if not await self.rules.hold_draft(tx, self.seeded.id):
            return False
        drafts = tuple(
            make_draft(NOT_NULL, "Loan Number", order, mostly=1 / (order + 1)) for order in orders
        )
        proposal = RuleProposal(drafts=drafts, provider="x", model="y", prompt_version="1")
        new = NewRules(
            attribute_id=self.seeded.report.attribute_ids[0], ordinal=0, proposal=proposal
        )
        await self.rules.replace(tx, self.seeded.id, str(uuid.uuid4()), [new])
        return True

    async def counts(self) -> DecisionCounts:
        async with self.database.begin() as tx:
            return await self.store.counts(tx, await self.version(tx))

    async def waits_for_a_lock(self, what: Awaitable[object]) -> "asyncio.Future[object]":
        """Start something, and return once it waits for another transaction."""
        task = asyncio.ensure_future(what)
        await until_waiting(self.database)
        return task


@pytest.fixture
async def desk(database: PostgresDatabase) -> Desk:
    return Desk(database, await seed_rules(database))


async def test_a_submission_waits_for_a_job_that_writes_and_sees_what_it_wrote(desk: Desk) -> None:
    async with desk.database.begin() as tx:
        await desk.decide(tx, Choice())

    async with desk.database.begin() as job:
        assert await desk.write(job, 7, 8)
        submission = await desk.waits_for_a_lock(desk.take(VersionAction.SUBMIT, TESTER))

    with pytest.raises(WrongState, match="2 of 8 rules wait for the tester"):
        await submission


async def test_a_job_that_comes_after_the_submission_writes_nothing(desk: Desk) -> None:
    async with desk.database.begin() as tx:
        await desk.decide(tx, Choice())

    async def write() -> bool:
        async with desk.database.begin() as job:
            return await desk.write(job, 7)

    async with desk.database.begin() as tx:
        await desk.decisions.take(tx, TESTER, await desk.version(tx), VersionAction.SUBMIT)
        writing = await desk.waits_for_a_lock(write())

    assert await writing is False
    assert (await desk.counts()).total == desk.seeded.rules


async def test_a_rule_that_is_being_decided_on_outlives_a_job_that_replaces_rules(
    desk: Desk,
) -> None:
    first, second, *_ = await rule_ids(desk.database, desk.seeded.id)

    async def write() -> bool:
        async with desk.database.begin() as job:
            return await desk.write(job, 7)

    async with desk.database.begin() as tx:
        await desk.decide(tx, Choice(ids={first}))
        writing = await desk.waits_for_a_lock(write())

    assert await writing is True
    left = await rule_ids(desk.database, desk.seeded.id)
    assert first in left
    assert second not in left


async def test_a_rule_that_a_job_replaces_meanwhile_can_no_longer_be_decided_on(
    desk: Desk,
) -> None:
    first, *_ = await rule_ids(desk.database, desk.seeded.id)

    async def decide() -> Decided:
        async with desk.database.begin() as tx:
            return await desk.decide(tx, Choice(ids={first}))

    async with desk.database.begin() as job:
        await desk.write(job, 7)
        deciding = await desk.waits_for_a_lock(decide())

    with pytest.raises(InvalidInput, match="There are no such rules here"):
        await deciding


async def test_jobs_and_people_do_not_wait_for_each_other_while_they_share_a_draft(
    desk: Desk,
) -> None:
    *_, last = await rule_ids(desk.database, desk.seeded.id)
    async with desk.database.begin() as job, desk.database.begin() as person:
        await person.execute("SET LOCAL lock_timeout = '500ms'")
        assert await desk.write(job, 7)
        done = await desk.decide(person, Choice(ids={last}))

    assert done.decided == 1


async def test_everything_is_approved_in_the_name_of_two(desk: Desk) -> None:
    first, second, *_ = await rule_ids(desk.database, desk.seeded.id)
    async with desk.database.begin() as tx:
        await desk.decide(tx, Choice(ids={first}), Decision.REJECTED)
        await desk.decide(tx, Choice(ids={second}))

    approved = await desk.approve_throughout()
    again = await desk.approve_throughout()

    assert approved.status is again.status is VersionStatus.APPROVED
    assert await desk.counts() == DecisionCounts(total=6, approved=5, rejected=1)
    async with desk.database.begin() as tx:
        lines = await desk.store.audit(tx, approved, entry_id=None, limit=100, after=None)
    assert [(line["action"], line["by"]) for line in lines if line["entry_id"] is None] == [
        ("submitted", "tess"),
        ("approved", "olga"),
    ]
    assert {line["reason"] for line in lines[2:]} == {"automatic"}


async def test_many_who_approve_throughout_at_once_do_it_once(desk: Desk) -> None:
    found = await asyncio.gather(*(desk.approve_throughout() for _ in range(5)))

    assert {one.status for one in found} == {VersionStatus.APPROVED}
    async with desk.database.begin() as tx:
        rows = await tx.fetch("SELECT action FROM decision_audit WHERE entry_id IS NULL")
    assert [row["action"] for row in rows] == ["submitted", "approved"]


async def test_automatic_approval_goes_on_from_where_people_left_it(desk: Desk) -> None:
    async with desk.database.begin() as tx:
        await desk.decide(tx, Choice())
    await desk.take(VersionAction.SUBMIT, TESTER)

    approved = await desk.approve_throughout()

    assert approved.status is VersionStatus.APPROVED


async def test_automatic_approval_does_not_overrule_a_rejection(desk: Desk) -> None:
    async with desk.database.begin() as tx:
        await desk.decide(tx, Choice())
    await desk.take(VersionAction.SUBMIT, TESTER)
    await desk.take(VersionAction.REJECT, OWNER)

    with pytest.raises(WrongState, match="The version is rejected"):
        await desk.approve_throughout()


async def test_automatic_approval_needs_two_people(desk: Desk) -> None:
    both = Principal(sub="both", roles=TESTER.roles | OWNER.roles, lob="Mortgage")
    async with desk.database.begin() as tx:
        version = await desk.version(tx)
        with pytest.raises(Forbidden, match="Somebody else"):
            await desk.decisions.approve_throughout(
                tx, version, tester=both, report_owner=both, reason="automatic"
            )


class Witness:
    """Notes what it saw in the transaction of an approval; fails on demand."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails
        self.seen: list[tuple[str, VersionStatus | None, str]] = []

    async def approved(self, tx: Transaction, version: Version, by: str) -> None:
        assert isinstance(tx, PostgresTransaction)
        self.seen.append((version.id, version.status, by))
        if self.fails:
            raise InvalidInput("It cannot be.")

    async def superseded(self, tx: Transaction, version: Version, by: str) -> None:
        raise AssertionError("there was none before")


async def test_what_follows_an_approval_stands_or_falls_with_it(desk: Desk) -> None:
    fails, holds = Witness(fails=True), Witness()
    with pytest.raises(InvalidInput, match="It cannot be"):
        await desk.approve_throughout(Decisions(desk.store, consequences={Kind.RULES: fails}))
    undone = await desk.counts()

    await desk.approve_throughout(Decisions(desk.store, consequences={Kind.RULES: holds}))

    assert undone.waiting_for_tester == desk.seeded.rules
    assert fails.seen == holds.seen == [(desk.seeded.id, VersionStatus.APPROVED, "olga")]
    assert (await desk.counts()).waiting_for(Reviewer.REPORT_OWNER) == 0


async def test_people_and_jobs_never_lock_each_other_out(database: PostgresDatabase) -> None:
    desk = Desk(database, await seed_rules(database, attributes=30))

    async def write(order: int) -> None:
        async with database.begin() as job:
            await desk.rules.hold_draft(job, desk.seeded.id)
            new = [
                NewRules(
                    attribute_id=attribute_id,
                    ordinal=0,
                    proposal=RuleProposal(
                        drafts=(make_draft(NOT_NULL, "Loan Number", order, mostly=1 / order),),
                        provider="x",
                        model="y",
                        prompt_version="1",
                    ),
                )
                for attribute_id in desk.seeded.report.attribute_ids
            ]
            await desk.rules.replace(job, desk.seeded.id, str(uuid.uuid4()), new)

    async def decide() -> None:
        async with database.begin() as person:
            await desk.decide(person, Choice())

    await asyncio.gather(*(one for n in range(2, 17) for one in (write(n), decide())))

    counts = await desk.counts()
    assert counts.total == counts.waiting_for_tester + counts.waiting_for_report_owner
