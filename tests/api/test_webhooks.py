"""The webhook routes, and a job whose end is sent to a real server."""

from collections.abc import AsyncIterator

import asyncpg
import httpx2
import pytest
from redis.asyncio import Redis
from temporalio.client import Client

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.settings import Settings
from tests.api.conftest import Api, make_settings, open_api
from tests.conftest import Servers
from tests.engine import open_engine
from tests.flows import approval
from tests.stubs.webhook_receiver import WebhookReceiver
from tests.waiting import until

KEY = "k:" + "A" * 43 + "="


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, servers: Servers, dsn: str) -> Settings:
    return make_settings(
        monkeypatch,
        servers,
        dsn,
        LONGHAUL_WEBHOOKS__KEYS=KEY,
        LONGHAUL_WEBHOOKS__ALLOW_PRIVATE="true",
    )


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with WebhookReceiver.listen() as listening:
        yield listening


async def test_the_end_of_a_job_is_told_and_can_be_told_again(
    client: httpx2.AsyncClient, receiver: WebhookReceiver
) -> None:
    created = await client.post("/webhooks", json={"url": receiver.url, "events": ["job.ended"]})
    webhook = created.json()
    deliveries = f"/webhooks/{webhook['webhook_id']}/deliveries"
    job = (await client.post("/jobs", json={"job_type": "echo"})).json()

    await client.post(f"/jobs/{job['job_id']}/cancel")
    await until(lambda: _count(receiver, 1), what="the delivery")
    await until(lambda: _delivered(client, deliveries), what="the log of it")
    listed = (await client.get(deliveries, params={"state": "delivered"})).json()
    delivery = listed["deliveries"][0]
    again = await client.post(f"{deliveries}/{delivery['delivery_id']}/redeliver")
    await until(lambda: _count(receiver, 2), what="the redelivery")

    assert created.status_code == 201
    assert listed["next_cursor"] is None
    assert (delivery["event"], delivery["job_id"]) == ("job.ended", job["job_id"])
    assert [one["status_code"] for one in delivery["tries"]] == [204]
    assert again.status_code == 202
    assert {one.delivery_id for one in receiver.received} == {delivery["delivery_id"]}
    assert all(one.is_signed_with(webhook["secret"]) for one in receiver.received)
    assert receiver.received[0].content["job"]["status"] == "cancelled"


async def test_a_test_is_told_whatever_is_listened_to_and_who_did_what_is_known(
    client: httpx2.AsyncClient, receiver: WebhookReceiver
) -> None:
    body = {"url": f"{receiver.url}?token=hidden", "events": ["job.paused"]}
    webhook = (await client.post("/webhooks", json=body)).json()
    path = f"/webhooks/{webhook['webhook_id']}"

    tested = await client.post(f"{path}/test")
    await until(lambda: _delivered(client, f"{path}/deliveries"), what="the test")
    delivery_id = tested.json()["delivery_id"]
    await client.post(f"{path}/deliveries/{delivery_id}/redeliver")
    await until(lambda: _count(receiver, 2), what="the redelivery")
    shown = (await client.get(path)).json()
    await client.delete(path)
    history = (await client.get(f"{path}/history")).json()["audit"]

    sent = receiver.received[0]
    assert (tested.status_code, tested.json()["job_id"]) == (202, None)
    assert sent.is_signed_with(webhook["secret"])
    assert (sent.content["event"], sent.content["job"]) == ("webhook.test", None)
    assert shown == {key: value for key, value in webhook.items() if key != "secret"}
    assert [line["action"] for line in history] == ["created", "tested", "redelivered", "deleted"]
    assert history[0]["details"] == {"events": ["job.paused"], "host": "127.0.0.1"}
    assert history[2]["details"] == {"delivery_id": delivery_id}


async def test_a_secret_is_told_once_and_stored_sealed(
    client: httpx2.AsyncClient, api: Api, dsn: str
) -> None:
    created = (await client.post("/webhooks", json={"url": "https://example.org/x"})).json()
    listed = await client.get("/webhooks")
    connection = await asyncpg.connect(dsn)
    (row,) = await connection.fetch("SELECT * FROM webhook")
    await connection.close()

    assert created["secret"].startswith("whsec_")
    assert created["events"] == ["job.ended", "job.paused", "job.approval_needed"]
    assert "secret" not in listed.text
    assert created["secret"].encode() not in row["sealed_secret"]


@pytest.mark.invariant("I9")
async def test_nobody_sees_or_touches_the_webhooks_of_others(api: Api) -> None:
    async with api.client("u-1") as mine, api.client("u-2") as other, api.client("a", "Admin") as a:
        made = (await mine.post("/webhooks", json={"url": "https://example.org/"})).json()
        path = f"/webhooks/{made['webhook_id']}"
        answers = [
            await other.get(path),
            await other.post(f"{path}/test"),
            await other.get(f"{path}/history"),
            await other.delete(path),
            await other.get(f"{path}/deliveries"),
            await other.post(f"{path}/deliveries/{made['webhook_id']}/redeliver"),
            await mine.delete("/webhooks/no-uuid"),
        ]
        listed = [(await one.get("/webhooks")).json()["webhooks"] for one in (mine, other, a)]
        unknown = await mine.post(f"{path}/deliveries/{made['webhook_id']}/redeliver")
        deleted = await mine.delete(path)
        gone = await mine.get(f"{path}/deliveries")

    assert {answer.status_code for answer in answers} == {404}
    assert [len(one) for one in listed] == [1, 0, 1]
    assert unknown.status_code == gone.status_code == 404
    assert deleted.status_code == 204


async def test_what_a_webhook_may_not_be(client: httpx2.AsyncClient) -> None:
    bad = [
        {"url": "ftp://example.org"},
        {"url": "https://example.org", "events": []},
        {"url": "https://example.org", "events": ["job.born"]},
        {"url": "https://example.org", "secret": "mine"},
        {},
    ]

    answers = [await client.post("/webhooks", json=body) for body in bad]

    assert {answer.status_code for answer in answers} == {422}


async def test_by_default_private_addresses_are_refused_and_so_is_a_place_without_keys(
    monkeypatch: pytest.MonkeyPatch, servers: Servers, dsn: str
) -> None:
    bare = make_settings(monkeypatch, servers, dsn)
    async with open_api(bare) as api, api.client() as client:
        private = await client.post("/webhooks", json={"url": "https://127.0.0.1/"})
        plain = await client.post("/webhooks", json={"url": "http://example.org/"})
        keyless = await client.post("/webhooks", json={"url": "https://example.org/"})

    assert private.status_code == plain.status_code == keyless.status_code == 422
    assert "LONGHAUL_WEBHOOKS__KEYS" in keyless.json()["detail"]


async def _count(receiver: WebhookReceiver, count: int) -> bool:
    return len(receiver.received) >= count


async def _delivered(client: httpx2.AsyncClient, path: str) -> bool:
    found = (await client.get(path)).json()["deliveries"]
    return [one["state"] for one in found] == ["delivered"]


async def test_a_flow_that_waits_for_a_person_and_a_pause_are_told(
    client: httpx2.AsyncClient,
    api: Api,
    receiver: WebhookReceiver,
    temporal_client: Client,
    database: PostgresDatabase,
    redis_client: Redis,
) -> None:
    await client.post("/webhooks", json={"url": receiver.url})
    steps = [approval("ok", users=["u-2"], roles=["Report Owner"])]
    body = {"job_type": "flow", "parameters": {"steps": steps}}
    asked = [("u-2",), ("u-3", "Report Owner"), ("u-4",)]
    for sub, *roles in asked:
        async with api.client(sub, *roles) as one:
            await one.post("/webhooks", json={"url": f"{receiver.url}/of/{sub}"})
    async with open_engine(temporal_client, database, redis_client) as engine, engine.worker():
        job_id = (await client.post("/jobs", json=body)).json()["job_id"]
        await until(lambda: _count(receiver, 3), what="the approval to be told")
        await client.post(f"/jobs/{job_id}/pause")
        await until(lambda: _count(receiver, 4), what="the pause to be told")
        await client.post(f"/jobs/{job_id}/cancel")
        await until(lambda: _count(receiver, 5), what="the end to be told")

    needed, later = receiver.received[:3], receiver.received[3:]
    paused, ended = (one.content for one in later)
    assert {one.path for one in needed} == {"/hook", "/hook/of/u-2", "/hook/of/u-3"}
    assert {one.path for one in later} == {"/hook"}
    assert {(one.content["event"], one.content["details"]["step"]) for one in needed} == {
        ("job.approval_needed", "ok")
    }
    assert (paused["event"], paused["job"]["status"]) == ("job.paused", "paused")
    assert (ended["event"], ended["job"]["status"]) == ("job.ended", "cancelled")
    assert {one.content["job"]["job_id"] for one in receiver.received} == {job_id}
