"""The outbox and its delivery, over real PostgreSQL and a real HTTP server."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from longhaul.adapters.http.webhook_sender import WebhookSender
from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.jobs import PostgresJobs
from longhaul.adapters.postgres.webhooks import AT_ONCE_TO_ONE, LeasedDelivery, PostgresWebhooks
from longhaul.adapters.sealing import Sealer
from longhaul.adapters.telemetry.logs import LoggedErrors
from longhaul.api.deliverer import Deliverer
from longhaul.core.approvers import Approvers
from longhaul.core.jobs import Job, JobStatus, Outcome
from longhaul.core.notices import Event
from longhaul.core.principals import Principal
from longhaul.core.tasks import cancel_and_wait
from longhaul.core.webhooks import Try, new_secret
from tests.factories import make_new_job
from tests.stubs.webhook_receiver import WebhookReceiver
from tests.waiting import until

SEALER = Sealer({"k": bytes(32)})
SECRET = new_secret()
JOBS = PostgresJobs()
U_1, U_2 = Principal(sub="u-1"), Principal(sub="u-2")


@pytest.fixture
def webhooks(database: PostgresDatabase) -> PostgresWebhooks:
    return PostgresWebhooks(database)


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with WebhookReceiver.listen() as listening:
        yield listening


async def subscribe(
    webhooks: PostgresWebhooks,
    url: str,
    *,
    owner: Principal = U_1,
    events: Sequence[str] = (*Event,),
) -> str:
    webhook_id = str(uuid.uuid4())
    await webhooks.add(
        webhook_id=webhook_id,
        owner=owner,
        url=url,
        events=[str(event) for event in events],
        sealed=SEALER.seal(SECRET, webhook_id),
        at_most=20,
    )
    return webhook_id


async def make_job(database: PostgresDatabase, owner: str = "u-1") -> Job:
    new = make_new_job(
        owner=owner,
        parameters={"secret": "parameter"},
    )
    async with database.begin() as tx:
        job = await JOBS.insert(tx, new)
        assert job is not None
        return await JOBS.update(tx, job, status=JobStatus.RUNNING)


async def finish(database: PostgresDatabase, job: Job) -> Job:
    async with database.begin() as tx:
        return await JOBS.update(
            tx, job, status=JobStatus.COMPLETED, outcome=Outcome.SUCCEEDED, epoch=job.epoch + 1
        )


async def outbox(database: PostgresDatabase) -> list[Any]:
    async with database.begin() as tx:
        return list(await tx.fetch("SELECT * FROM webhook_delivery ORDER BY created_at, id"))


async def tries(database: PostgresDatabase) -> list[tuple[int | None, str | None]]:
    async with database.begin() as tx:
        rows = await tx.fetch("SELECT * FROM webhook_try ORDER BY id")
    return [(row["status_code"], row["error"]) for row in rows]


@asynccontextmanager
async def delivering(
    webhooks: PostgresWebhooks,
    *,
    allow_private: bool = True,
    waits: Sequence[timedelta] = (timedelta(0),) * 3,
) -> AsyncIterator[Deliverer]:
    async with WebhookSender.open(allow_private=allow_private) as sender:
        deliverer = Deliverer(
            webhooks=webhooks, sender=sender, sealer=SEALER, errors=LoggedErrors(), waits=waits
        )
        task = asyncio.create_task(deliverer.run())
        try:
            yield deliverer
        finally:
            await cancel_and_wait([task])


async def states_become(database: PostgresDatabase, *states: str) -> None:
    async def so() -> bool:
        return sorted(row["state"] for row in await outbox(database)) == sorted(states)

    await until(so, what=f"deliveries to be {states}")


async def test_a_delivery_is_noted_if_and_only_if_the_change_commits(
    database: PostgresDatabase, webhooks: PostgresWebhooks
) -> None:
    await subscribe(webhooks, "http://127.0.0.1/")
    job = await make_job(database)

    async def fail_and_roll_back() -> None:
        async with database.begin() as tx:
            await JOBS.update(tx, job, status=JobStatus.FAILED, outcome=Outcome.FAILED)
            assert len(await tx.fetch("SELECT FROM webhook_delivery")) == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_and_roll_back()
    before = await outbox(database)
    ended = await finish(database, job)

    (row,) = await outbox(database)
    assert before == []
    assert (row["event"], str(row["job_id"]), row["job_version"]) == (
        "job.ended", job.id, ended.version,
    )  # fmt: skip


async def test_only_the_owner_and_only_the_wanted_events_are_told(
    database: PostgresDatabase, webhooks: PostgresWebhooks
) -> None:
    paused_only = await subscribe(webhooks, "http://127.0.0.1/", events=[Event.PAUSED])
    everything = await subscribe(webhooks, "http://127.0.0.1/")
    await subscribe(webhooks, "http://127.0.0.1/", owner=U_2)

    job = await make_job(database)
    await finish(database, await make_job(database, owner="u-3"))
    async with database.begin() as tx:
        job = await JOBS.update(tx, job, status=JobStatus.PAUSING)
        job = await JOBS.update(tx, job, status=JobStatus.PAUSED)
        job = await JOBS.update(tx, job, status=JobStatus.PAUSED, generation=3)
        await JOBS.announce(tx, job, Event.APPROVAL_NEEDED, {"step": "approve rules"})
    await finish(database, job)

    told = {(str(row["webhook_id"]), row["event"]) for row in await outbox(database)}
    assert told == {
        (paused_only, "job.paused"),
        (everything, "job.paused"),
        (everything, "job.approval_needed"),
        (everything, "job.ended"),
    }
    approval = next(row for row in await outbox(database) if "approval" in row["event"])
    assert approval["payload"]["details"] == {"step": "approve rules"}
    assert len(await outbox(database)) == 4


@pytest.mark.invariant("I9")
async def test_those_whom_an_approval_asks_are_told_too_and_no_others(
    database: PostgresDatabase, webhooks: PostgresWebhooks
) -> None:
    def person(sub: str, *roles: str, lob: str | None = None) -> Principal:
        return Principal(sub=sub, roles=frozenset(roles), lob=lob)

    told = [U_1, U_2, person("u-3", "Report Owner", lob="Cards"), person("u-4", "Report Owner")]
    others = [
        person("u-5", "Report Owner", lob="Mortgage"),
        person("u-6", "Tester", lob="Cards"),
        person("u-7", "Admin"),
    ]
    ids = {one.sub: await subscribe(webhooks, "http://a/", owner=one) for one in (*told, *others)}
    await subscribe(webhooks, "http://a/", owner=U_2, events=[Event.ENDED])
    async with database.begin() as tx:
        job = await JOBS.insert(tx, make_new_job(owner="u-1", owner_lob="Cards"))
        assert job is not None
        asked = Approvers(users=("u-2",), roles=("Report Owner",))
        await JOBS.announce(tx, job, Event.APPROVAL_NEEDED, {"step": "ok"}, asked)
    await finish(database, job)

    rows = [(str(row["webhook_id"]), row["event"]) for row in await outbox(database)]
    assert sorted(rows) == sorted(
        [(ids[one.sub], "job.approval_needed") for one in told] + [(ids["u-1"], "job.ended")]
    )


async def test_a_delivery_is_signed_and_holds_the_facts_and_no_parameters(
    database: PostgresDatabase, webhooks: PostgresWebhooks, receiver: WebhookReceiver
) -> None:
    await subscribe(webhooks, receiver.url)
    job = await finish(database, await make_job(database))

    async with delivering(webhooks):
        await states_become(database, "delivered")

    (received,) = receiver.received
    (row,) = await outbox(database)
    assert received.is_signed_with(SECRET)
    assert not received.is_signed_with(new_secret())
    assert received.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert received.delivery_id == received.content["id"] == str(row["id"])
    assert received.content["event"] == "job.ended"
    assert received.content["job"]["job_id"] == job.id
    assert received.content["job"]["status"] == "completed"
    assert received.content["job"]["version"] == job.version
    assert b"parameter" not in received.body
    assert await tries(database) == [(204, None)]


async def test_a_failed_delivery_is_tried_again_under_the_same_id(
    database: PostgresDatabase, webhooks: PostgresWebhooks, receiver: WebhookReceiver
) -> None:
    receiver.statuses.extend([500, 503])
    await subscribe(webhooks, receiver.url)
    await finish(database, await make_job(database))

    async with delivering(webhooks):
        await states_become(database, "delivered")

    assert len({one.delivery_id for one in receiver.received}) == 1
    assert len({one.body for one in receiver.received}) == 1
    assert await tries(database) == [(500, "status"), (503, "status"), (204, None)]


async def test_a_delivery_that_keeps_failing_has_failed_after_its_last_wait(
    database: PostgresDatabase, webhooks: PostgresWebhooks, receiver: WebhookReceiver
) -> None:
    receiver.statuses.extend([500] * 10)
    webhook_id = await subscribe(webhooks, receiver.url)
    await finish(database, await make_job(database))

    async with delivering(webhooks) as deliverer:
        await states_become(database, "failed")
        failed_after = len(receiver.received)
        receiver.statuses.clear()
        (row,) = await outbox(database)
        await webhooks.redeliver({"id": webhook_id, "owner": "u-1"}, str(row["id"]), "u-1")
        deliverer.wake()
        await states_become(database, "delivered")

    assert failed_after == 4
    assert len(receiver.received) == 5
    assert len({one.delivery_id for one in receiver.received}) == 1


async def test_a_wait_grows_with_every_try(
    database: PostgresDatabase, webhooks: PostgresWebhooks, receiver: WebhookReceiver
) -> None:
    receiver.statuses.append(500)
    await subscribe(webhooks, receiver.url)
    await finish(database, await make_job(database))

    async with delivering(webhooks, waits=[timedelta(hours=1)]):

        async def tried() -> bool:
            return bool(await tries(database))

        await until(tried, what="a try")

    async with database.begin() as tx:
        (row,) = await tx.fetch("SELECT due_at - clock_timestamp() AS wait FROM webhook_delivery")
    assert timedelta(minutes=53) < row["wait"] < timedelta(minutes=67)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
async def test_a_private_target_is_refused_where_it_is_not_allowed(
    database: PostgresDatabase, webhooks: PostgresWebhooks, receiver: WebhookReceiver, host: str
) -> None:
    # As if the name had been public when the webhook was made.
    await subscribe(webhooks, receiver.url.replace("127.0.0.1", host))
    await finish(database, await make_job(database))

    async with delivering(webhooks, allow_private=False):
        await states_become(database, "failed")

    assert receiver.received == []
    assert await tries(database) == [(None, "private_target")]


async def test_a_redirect_is_not_followed(
    database: PostgresDatabase, webhooks: PostgresWebhooks, receiver: WebhookReceiver
) -> None:
    receiver.statuses.append(307)
    await subscribe(webhooks, receiver.url)
    await finish(database, await make_job(database))

    async with delivering(webhooks, waits=[]):
        await states_become(database, "failed")

    assert [one.path for one in receiver.received] == ["/hook"]
    assert await tries(database) == [(307, "redirect")]


async def test_nobody_there_is_a_failed_try(
    database: PostgresDatabase, webhooks: PostgresWebhooks
) -> None:
    await subscribe(webhooks, "http://127.0.0.1:1/")
    await finish(database, await make_job(database))

    async with delivering(webhooks, waits=[]):
        await states_become(database, "failed")

    assert await tries(database) == [(None, "connection")]


@pytest.mark.parametrize("host", ["a..b", "a" * 64])
async def test_a_name_that_dns_cannot_have_is_a_failed_try(
    database: PostgresDatabase, webhooks: PostgresWebhooks, host: str
) -> None:
    # As if it had been stored before such names were refused.
    await subscribe(webhooks, f"https://{host}/")
    await finish(database, await make_job(database))

    async with delivering(webhooks, waits=[]):
        await states_become(database, "failed")

    assert await tries(database) == [(None, "not_resolved")]


async def test_a_fault_of_ours_is_a_failed_try_and_not_repeated_for_ever(
    database: PostgresDatabase, webhooks: PostgresWebhooks, receiver: WebhookReceiver
) -> None:
    webhook_id = await subscribe(webhooks, receiver.url)
    async with database.begin() as tx:
        unreadable = SEALER.seal("whsec_A", webhook_id)
        await tx.execute("UPDATE webhook SET sealed_secret = $1", unreadable)
    await finish(database, await make_job(database))

    async with delivering(webhooks, waits=[]):
        await states_become(database, "failed")

    assert receiver.received == []
    assert await tries(database) == [(None, "fault")]


async def test_a_secret_that_cannot_be_opened_sends_nothing(
    database: PostgresDatabase, webhooks: PostgresWebhooks, receiver: WebhookReceiver
) -> None:
    other = Sealer({"other": bytes([1]) * 32})
    webhook_id = str(uuid.uuid4())
    await webhooks.add(
        webhook_id=webhook_id,
        owner=U_1,
        url=receiver.url,
        events=["job.ended"],
        sealed=other.seal(SECRET, webhook_id),
        at_most=1,
    )
    await finish(database, await make_job(database))

    async with delivering(webhooks):
        await states_become(database, "failed")

    assert receiver.received == []
    assert await tries(database) == [(None, "secret_lost")]


async def test_each_event_is_delivered_once_although_two_processes_deliver(
    database: PostgresDatabase, webhooks: PostgresWebhooks, receiver: WebhookReceiver
) -> None:
    await subscribe(webhooks, receiver.url)
    jobs = [await make_job(database) for _ in range(40)]

    async with delivering(webhooks), delivering(webhooks):
        await asyncio.gather(*(finish(database, job) for job in jobs))
        await states_become(database, *["delivered"] * 40)

    assert len(receiver.received) == 40
    assert {one.content["job"]["job_id"] for one in receiver.received} == {job.id for job in jobs}


async def test_a_sender_killed_between_sending_and_noting_sends_the_same_id_again(
    database: PostgresDatabase, webhooks: PostgresWebhooks, receiver: WebhookReceiver
) -> None:
    await subscribe(webhooks, receiver.url)
    await finish(database, await make_job(database))

    # The delivery is not recorded: the process ends at the moment of the answer.
    receiver.answers.clear()
    async with delivering(webhooks):

        async def received() -> bool:
            return bool(receiver.received)

        await until(received, what="the first request")
    receiver.answers.set()
    noted_by_the_first = await tries(database)
    async with database.begin() as tx:
        await tx.execute("UPDATE webhook_delivery SET due_at = clock_timestamp()")  # its lease ends
    async with delivering(webhooks):
        await states_become(database, "delivered")

    assert noted_by_the_first == []
    assert len(receiver.received) == 2
    assert len({one.delivery_id for one in receiver.received}) == 1


async def test_who_has_lost_its_lease_does_not_end_the_delivery(
    database: PostgresDatabase, webhooks: PostgresWebhooks
) -> None:
    await subscribe(webhooks, "http://127.0.0.1/")
    await finish(database, await make_job(database))
    (first,) = await webhooks.lease(1)
    async with database.begin() as tx:
        await tx.execute("UPDATE webhook_delivery SET due_at = clock_timestamp()")
    (second,) = await webhooks.lease(1)

    await webhooks.record(first, Try(error="timeout"), None)

    (row,) = await outbox(database)
    assert (first.number, second.number) == (1, 2)
    assert (first.id, row["state"]) == (second.id, "pending")


async def backlog(
    database: PostgresDatabase, webhooks: PostgresWebhooks, *owners: str
) -> list[str]:
    """Webhooks of some owners, and for each more deliveries than may be sent to it at once."""
    ids = []
    for owner in owners:
        one = Principal(sub=owner)
        ids.append(await subscribe(webhooks, "http://a/", owner=one, events=[Event.ENDED]))
        for _ in range(AT_ONCE_TO_ONE + 2):
            await finish(database, await make_job(database, owner=owner))
    return ids


def counted(leased: Sequence[LeasedDelivery]) -> Mapping[str, int]:
    return Counter(one.webhook_id for one in leased)


async def test_one_webhook_gets_so_many_deliveries_at_once_and_no_more(
    database: PostgresDatabase, webhooks: PostgresWebhooks
) -> None:
    slow, other = await backlog(database, webhooks, "u-1", "u-2")

    first = await webhooks.lease(16)
    none_left = await webhooks.lease(16, counted(first))
    one_has_ended = await webhooks.lease(16, {slow: AT_ONCE_TO_ONE - 1, other: AT_ONCE_TO_ONE})

    assert counted(first) == {slow: AT_ONCE_TO_ONE, other: AT_ONCE_TO_ONE}
    assert none_left == []
    assert counted(one_has_ended) == {slow: 1}


async def test_however_many_are_slow_the_next_place_goes_to_who_has_none(
    database: PostgresDatabase, webhooks: PostgresWebhooks
) -> None:
    slow = await backlog(database, webhooks, "u-1", "u-2", "u-3", "u-4")
    (late,) = await backlog(database, webhooks, "u-5")

    (one,) = await webhooks.lease(1, dict.fromkeys(slow, AT_ONCE_TO_ONE - 1))

    assert one.webhook_id == late


async def test_a_deleted_webhook_is_told_nothing_more(
    database: PostgresDatabase, webhooks: PostgresWebhooks
) -> None:
    webhook_id = await subscribe(webhooks, "http://127.0.0.1/")
    job = await make_job(database)
    await finish(database, await make_job(database))

    await webhooks.delete(webhook_id, "u-1")
    await finish(database, job)

    assert await outbox(database) == []
    assert await webhooks.lease(10) == []


async def test_an_owner_has_no_more_webhooks_than_are_allowed(
    database: PostgresDatabase, webhooks: PostgresWebhooks
) -> None:
    async def add() -> Any:
        return await webhooks.add(
            webhook_id=str(uuid.uuid4()),
            owner=U_1,
            url="https://example.org",
            events=["job.ended"],
            sealed=b"",
            at_most=3,
        )

    added = await asyncio.gather(*(add() for _ in range(8)))

    assert sum(row is not None for row in added) == 3
