"""Jobs that are held at a known point while processes are killed, and what must be true after."""

from typing import Any

from tests.cluster import Cluster
from tests.waiting import until


async def done_count(cluster: Cluster, job_id: str) -> int:
    (row,) = await cluster.fetch("SELECT done FROM job WHERE id = $1", job_id)
    return int(row["done"])


async def some_done(cluster: Cluster, job_id: str, count: int) -> None:
    async def enough() -> bool:
        return await done_count(cluster, job_id) >= count

    await until(enough, what=f"{count} items")


async def held(cluster: Cluster, *, items: int, done: int, concurrency: int = 4) -> str:
    """A job that has done some items, and holds the others in flight until the gate opens."""
    job_id = await cluster.submit(
        "echo", items=items, held_from=done, gate=str(cluster.gate), concurrency=concurrency
    )
    await some_done(cluster, job_id, done)
    return job_id


async def check_exactly_once(cluster: Cluster, job: dict[str, Any], total: int) -> None:
    ledger = await cluster.fetch(
        "SELECT state, count(*) AS n FROM job_item WHERE job_id = $1 GROUP BY state",
        job["job_id"],
    )
    rows = await cluster.fetch("SELECT count(*) AS n FROM echo WHERE job_id = $1", job["job_id"])
    assert job["status"] == "completed"
    assert {row["state"]: row["n"] for row in ledger} == {"done": total}
    assert rows[0]["n"] == total
    assert job["progress"]["succeeded"] == total
    assert job["result"] == {"echoes": total}
