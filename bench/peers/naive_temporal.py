"""Naive Temporal: one activity for each item, from one workflow, with the SDK's defaults."""

import asyncio
import os
import signal
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    import asyncpg

QUEUE = "naive"
WINDOW = 100
CONNECTIONS = 20

_UPDATE = """
UPDATE peer_item SET state = 'done', updated_at = clock_timestamp()
WHERE job_id = $1 AND ordinal = $2
"""


@dataclass(frozen=True)
class NaiveState:
    """A job, and its first item that was not started."""

    job_id: str
    items: int
    next: int = 0


@workflow.defn
class NaiveJob:
    """Keeps up to a hundred activities in flight until every item has had one."""

    @workflow.run
    async def run(self, state: NaiveState) -> None:
        running: set[asyncio.Task[None]] = set()
        ordinal = state.next
        while ordinal < state.items or running:
            full = workflow.info().is_continue_as_new_suggested()
            while ordinal < state.items and len(running) < WINDOW and not full:
                running.add(asyncio.create_task(_item(state.job_id, ordinal)))
                ordinal += 1
            if not running:
                workflow.continue_as_new(replace(state, next=ordinal))
            done, pending = await workflow.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            running = set(pending)


async def _item(job_id: str, ordinal: int) -> None:
    await workflow.execute_activity(
        "do_item", args=[job_id, ordinal], start_to_close_timeout=timedelta(minutes=1)
    )


class NaiveActivities:
    """Does one item and writes its row."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    @activity.defn
    async def do_item(self, job_id: str, ordinal: int) -> None:
        """Do one item."""
        await self._pool.execute(_UPDATE, job_id, ordinal)


async def main() -> None:
    """Run the worker until SIGTERM."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    client = await Client.connect(os.environ["TEMPORAL_ADDRESS"])
    dsn = os.environ["LONGHAUL_POSTGRES__DSN"]
    async with asyncpg.create_pool(dsn, min_size=1, max_size=CONNECTIONS) as pool:
        activities = NaiveActivities(pool)
        async with Worker(
            client, task_queue=QUEUE, workflows=[NaiveJob], activities=[activities.do_item]
        ):
            await stopped.wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
