"""One suite for the journal of calls, for PostgreSQL and the fake."""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest

from longhaul.adapters.postgres.calls import PostgresCallJournal
from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.jobs import PostgresJobs
from longhaul.adapters.postgres.ledger import PostgresLedger
from longhaul.core.calls import CallPlace, ModelReply, ModelRequest, SentCall
from longhaul.core.errors import Fenced
from longhaul.core.jobs import CallTotals
from longhaul.core.ports import CallJournal
from tests.factories import make_new_job
from tests.fakes import MemoryCallJournal

JOB = str(uuid.uuid4())
PLACE = CallPlace(job_id=JOB, attempt=1, epoch=0, ordinal=7, step="rules")
REQUEST = ModelRequest(
    provider="openai", model="m", instructions="", prompt="?", schema_name="A", schema={}
)
MARK = REQUEST.fingerprint()
REPLY = ModelReply(
    text='{"a": "ö"}',
    model="m-2026",
    input_tokens=120,
    output_tokens=30,
    cached_tokens=100,
    cost_usd=Decimal("0.00123"),
)


@dataclass
class UnderTest:
    """A journal, and a view of the job whose calls it counts."""

    journal: CallJournal
    totals: Callable[[], Awaitable[CallTotals]]
    next_epoch: Callable[[], Awaitable[None]]

    async def send(self, place: CallPlace = PLACE, mark: str = MARK) -> SentCall:
        call = SentCall(place=place, token=str(uuid.uuid4()))
        await self.journal.sent(call, REQUEST, mark)
        return call

    async def answer(self, place: CallPlace = PLACE, reply: ModelReply = REPLY) -> SentCall:
        call = await self.send(place)
        await self.journal.answered(call, reply, 5)
        return call


def in_memory() -> UnderTest:
    journal = MemoryCallJournal()

    async def totals() -> CallTotals:
        return journal.totals

    async def next_epoch() -> None:
        journal.epoch += 1

    return UnderTest(journal, totals, next_epoch)


async def in_postgres(database: PostgresDatabase) -> UnderTest:
    jobs = PostgresJobs()
    async with database.begin() as tx:
        await jobs.insert(
            tx,
            make_new_job(
                id=JOB,
            ),
        )

    async def totals() -> CallTotals:
        async with database.begin() as tx:
            job = await jobs.read(tx, JOB)
        assert job is not None
        return job.calls

    async def next_epoch() -> None:
        async with database.begin() as tx:
            job = await jobs.lock(tx, JOB)
            assert job is not None
            await jobs.update(tx, job, epoch=job.epoch + 1)

    return UnderTest(PostgresCallJournal(database, jobs), totals, next_epoch)


@pytest.fixture
async def memory() -> UnderTest:
    return in_memory()


@pytest.fixture
async def postgres(database: PostgresDatabase) -> UnderTest:
    return await in_postgres(database)


@pytest.fixture(params=["memory", "postgres"])
def calls(request: pytest.FixtureRequest) -> UnderTest:
    found: UnderTest = request.getfixturevalue(request.param)
    return found


async def test_an_answer_is_reused_with_all_that_it_cost(calls: UnderTest) -> None:
    await calls.answer()

    assert await calls.journal.reusable(PLACE, MARK) == REPLY


@pytest.mark.parametrize(
    "elsewhere", [{"step": "other"}, {"attempt": 2}, {"ordinal": 8}], ids=lambda it: next(iter(it))
)
async def test_an_answer_is_not_reused_elsewhere(
    calls: UnderTest, elsewhere: dict[str, Any]
) -> None:
    await calls.answer()

    assert await calls.journal.reusable(replace(PLACE, **elsewhere), MARK) is None


async def test_an_answer_is_not_reused_for_another_request(calls: UnderTest) -> None:
    await calls.answer()

    assert await calls.journal.reusable(PLACE, "another") is None


async def test_an_answer_is_reused_under_a_later_epoch(calls: UnderTest) -> None:
    await calls.answer()
    await calls.next_epoch()

    assert await calls.journal.reusable(replace(PLACE, epoch=1), MARK) == REPLY


async def test_the_newest_answer_is_the_one_that_is_reused(calls: UnderTest) -> None:
    newer = replace(REPLY, text='{"a": 2}')
    await calls.answer()
    await calls.answer(reply=newer)

    assert await calls.journal.reusable(PLACE, MARK) == newer


async def test_neither_a_sent_nor_a_failed_call_can_be_reused(calls: UnderTest) -> None:
    await calls.send()
    failed = await calls.send()
    await calls.journal.failed(failed, "timeout", 5)

    assert await calls.journal.reusable(PLACE, MARK) is None


async def test_a_call_under_an_old_epoch_is_fenced_and_leaves_nothing(calls: UnderTest) -> None:
    await calls.next_epoch()

    with pytest.raises(Fenced):
        await calls.send()

    assert await calls.totals() == CallTotals()
    call = await calls.send(replace(PLACE, epoch=1))
    await calls.journal.answered(call, REPLY, 5)
    assert (await calls.totals()).made == 1
    assert (await calls.totals()).repeated == 0


async def test_journalling_a_call_twice_counts_it_once(calls: UnderTest) -> None:
    call = await calls.send()
    await calls.journal.sent(call, REQUEST, MARK)
    await calls.journal.answered(call, REPLY, 5)
    await calls.journal.answered(call, REPLY, 5)

    assert await calls.totals() == CallTotals(
        made=1, input_tokens=120, output_tokens=30, cost_usd=Decimal("0.00123")
    )


async def test_a_call_after_one_without_an_outcome_counts_as_repeated(calls: UnderTest) -> None:
    await calls.send()
    await calls.send()

    totals = await calls.totals()
    assert (totals.made, totals.repeated, totals.retried) == (2, 1, 0)


@pytest.mark.invariant("I3")
async def test_a_repeated_call_stays_one_when_the_first_is_answered_after_all(
    postgres: UnderTest, database: PostgresDatabase
) -> None:
    first = await postgres.send()
    second = await postgres.send()
    await postgres.journal.answered(first, REPLY, 5)
    await postgres.journal.failed(second, "server_error", 5)
    await postgres.send()

    async with database.begin() as tx:
        _, counted = await PostgresLedger(database).count(tx, JOB)
    assert (counted.made, counted.repeated, counted.retried) == (3, 1, 1)
    assert counted == await postgres.totals()


async def test_a_call_after_a_failed_one_counts_as_retried(calls: UnderTest) -> None:
    await calls.journal.failed(await calls.send(), "server_error", 5)
    await calls.send()

    totals = await calls.totals()
    assert (totals.made, totals.repeated, totals.retried) == (2, 0, 1)


async def test_a_call_after_an_answered_one_counts_as_neither(calls: UnderTest) -> None:
    await calls.answer()
    await calls.send(mark="another")

    totals = await calls.totals()
    assert (totals.made, totals.repeated, totals.retried) == (2, 0, 0)


async def test_calls_of_other_steps_are_no_repetitions(calls: UnderTest) -> None:
    await calls.send()
    await calls.send(replace(PLACE, step="rules/again-1"))
    await calls.send(replace(PLACE, ordinal=8))

    assert (await calls.totals()).repeated == 0


async def test_an_outcome_is_final(calls: UnderTest) -> None:
    answered = await calls.answer()
    await calls.journal.failed(answered, "timeout", 5)
    failed = await calls.send(replace(PLACE, ordinal=8))
    await calls.journal.failed(failed, "timeout", 5)
    await calls.journal.answered(failed, REPLY, 5)

    assert await calls.journal.reusable(PLACE, MARK) == REPLY
    assert await calls.journal.reusable(replace(PLACE, ordinal=8), MARK) is None
    assert (await calls.totals()).input_tokens == REPLY.input_tokens


async def test_an_answer_that_comes_under_an_old_epoch_is_kept_but_not_counted(
    calls: UnderTest,
) -> None:
    call = await calls.send()
    await calls.next_epoch()
    await calls.journal.answered(call, REPLY, 5)

    assert await calls.journal.reusable(PLACE, MARK) == REPLY
    assert (await calls.totals()).input_tokens == 0


async def test_an_unpriced_answer_leaves_the_known_cost_as_it_is(calls: UnderTest) -> None:
    await calls.answer(reply=replace(REPLY, cost_usd=None))

    assert (await calls.totals()).cost_usd is None

    await calls.answer()
    await calls.answer(reply=replace(REPLY, cost_usd=None))

    assert (await calls.totals()).cost_usd == REPLY.cost_usd
