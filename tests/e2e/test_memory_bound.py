"""A worker that uses too much memory drains and exits, and its supervisor starts another."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from longhaul.core.exit_codes import START_AGAIN
from longhaul.local.processes import Command, ProcessFailed
from longhaul.local.supervisor import MAX_DEATHS, Service, Supervisor
from tests.cluster import open_cluster
from tests.waiting import until

BOUND_MB = 700


async def test_a_worker_above_its_bound_drains_exits_and_is_started_again(tmp_path: Path) -> None:
    async with open_cluster(tmp_path, types=["tests.job_types.hungry"], workers=0) as cluster:
        bound = {"LONGHAUL_WORKER__MAX_MEMORY_MB": str(BOUND_MB)}
        await cluster.run_worker("worker", **bound)
        job_id = await cluster.submit("hungry", items=24, megabytes=60, seconds=0.5, concurrency=4)

        code = await cluster.ended("worker")
        (when_it_left,) = await cluster.fetch("SELECT status, done FROM job WHERE id = $1", job_id)
        said = cluster.log("worker")
        codes = [code]
        while codes[-1] == START_AGAIN:
            await cluster.start("worker")
            ending = asyncio.create_task(cluster.ends(job_id))
            leaving = asyncio.create_task(cluster.ended("worker"))
            await asyncio.wait({ending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if ending.done():
                leaving.cancel()
                break
            ending.cancel()
            codes.append(leaving.result())
        job = await cluster.ends(job_id)

        tries = await cluster.fetch("SELECT attempts FROM job_item WHERE job_id = $1", job_id)
        assert set(codes) == {START_AGAIN}
        assert "memory_bound" in said
        assert (when_it_left["status"], 0 < when_it_left["done"] < 24) == ("running", True)
        assert (job["status"], job["progress"]["succeeded"]) == ("completed", 24)
        # It handed back items that had not begun, and finished the others: no try was wasted.
        assert {row["attempts"] for row in tries} == {1}
        assert cluster.faults() == []


async def test_a_bound_that_no_worker_can_keep_is_a_wrong_setting(tmp_path: Path) -> None:
    async with open_cluster(tmp_path, types=["tests.job_types.hungry"], workers=0) as cluster:
        await cluster.run_worker("worker", LONGHAUL_WORKER__MAX_MEMORY_MB="20")

        code = await cluster.ended("worker")

        assert code == 2
        assert "LONGHAUL_WORKER__MAX_MEMORY_MB" in cluster.log("worker")


def service(tmp_path: Path, code: int, *, renewal_codes: Sequence[int]) -> Service:
    """A process that notes its start, and ends with a code."""
    script = f"open(r'{tmp_path / 'starts'}', 'a').write('x'); raise SystemExit({code})"

    async def is_ready() -> bool:
        return True

    return Service(
        command=Command(name="Brief", argv=[sys.executable, "-c", script]),
        log=tmp_path / "brief.log",
        is_ready=is_ready,
        renewal_codes=frozenset(renewal_codes),
    )


async def test_who_asks_to_be_started_again_has_not_died(tmp_path: Path) -> None:
    said: list[str] = []
    supervisor = Supervisor(said.append)
    await supervisor.start(service(tmp_path, START_AGAIN, renewal_codes=[START_AGAIN]))
    watching = asyncio.create_task(supervisor.watch())

    async def has_started_often() -> bool:
        assert not watching.done()
        return len(_starts(tmp_path)) > 2 * MAX_DEATHS

    await until(has_started_often, what="many starts")
    watching.cancel()
    await supervisor.stop()

    assert any("asks to be started again" in line for line in said)


async def test_who_dies_again_and_again_still_ends_the_stack(tmp_path: Path) -> None:
    supervisor = Supervisor(lambda line: None)
    await supervisor.start(service(tmp_path, START_AGAIN, renewal_codes=[]))

    with pytest.raises(ProcessFailed, match=f"died {MAX_DEATHS + 1} times"):
        await supervisor.watch()
    await supervisor.stop()


def _starts(tmp_path: Path) -> str:
    starts = tmp_path / "starts"
    return starts.read_text() if starts.exists() else ""
