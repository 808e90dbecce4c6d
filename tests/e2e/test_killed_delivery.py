"""An API process that is killed after a webhook was sent, and before that was written down."""

from pathlib import Path
from typing import Any

from tests.cluster import Cluster, open_cluster
from tests.job_types.echo import CREATE_TABLE
from tests.stubs.webhook_receiver import WebhookReceiver
from tests.waiting import until

SETTINGS = {
    "LONGHAUL_WEBHOOKS__KEYS": "k:" + "A" * 43 + "=",
    "LONGHAUL_WEBHOOKS__ALLOW_PRIVATE": "true",
}


async def test_a_delivery_that_was_sent_and_not_recorded_is_sent_again(tmp_path: Path) -> None:
    async with (
        WebhookReceiver.listen() as receiver,
        open_cluster(tmp_path, types=["tests.job_types.echo"], settings=SETTINGS) as cluster,
    ):
        await cluster.fetch(CREATE_TABLE)
        receiver.answers.clear()
        async with cluster.http() as client:
            body = {"url": receiver.url, "events": ["job.ended"]}
            webhook = (await client.post("/webhooks", json=body)).json()
        await cluster.ends(await cluster.submit("echo", items=3))
        await has_come(receiver, 1)

        await cluster.kill("api-0")
        (before,) = await cluster.fetch("SELECT state FROM webhook_delivery")
        receiver.answers.set()
        # No test waits half a minute for the lease of the dead process.
        await cluster.fetch("UPDATE webhook_delivery SET due_at = clock_timestamp()")
        await cluster.start("api-0")
        await has_come(receiver, 2)
        delivery = await delivered(cluster, webhook["webhook_id"])

    assert before["state"] == "pending"
    assert {one.delivery_id for one in receiver.received} == {delivery["delivery_id"]}
    assert len({one.body for one in receiver.received}) == 1
    assert all(one.is_signed_with(webhook["secret"]) for one in receiver.received)
    assert len(receiver.received) == 2
    assert [one["status_code"] for one in delivery["tries"]] == [204]


async def has_come(receiver: WebhookReceiver, count: int) -> None:
    async def enough() -> bool:
        return len(receiver.received) >= count

    await until(enough, what=f"request {count}")


async def delivered(cluster: Cluster, webhook_id: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = []

    async def is_logged() -> bool:
        nonlocal found
        async with cluster.http() as client:
            answer = await client.get(
                f"/webhooks/{webhook_id}/deliveries", params={"state": "delivered"}
            )
        found = answer.json()["deliveries"]
        return bool(found)

    await until(is_logged, what="the delivery in the log")
    (delivery,) = found
    return delivery
