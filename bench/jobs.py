"""Runs one job to its end and returns when its work began and ended."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bench.api import Api
from bench.histories import first_scheduled
from bench.stack import ENDED, Stack

WARM_UP_ITEMS = 100

_TIMES = "SELECT status, done, total, run_id, created_at, completed_at FROM job WHERE id = $1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A job that has completed.

    Attributes:
        run_id: The first run of its workflow.
        scheduled_at: When its first chunk was.
    """

    job_id: str
    run_id: str
    items: int
    created_at: datetime
    scheduled_at: datetime
    completed_at: datetime

    @property
    def per_second(self) -> float:
        """Items a second, from the first chunk scheduled to the last commit."""
        return self.items / ((self.completed_at - self.scheduled_at) / timedelta(seconds=1))

    @property
    def whole_seconds(self) -> float:
        """From the job's creation, planning included, to the last commit."""
        return (self.completed_at - self.created_at) / timedelta(seconds=1)


async def completed(
    stack: Stack, api: Api, job_type: str, *, concurrency: int, **parameters: Any
) -> Timed:
    """Run a job.

    Raises:
        RuntimeError: It did not complete with every item done.
    """
    job_id = await api.submit(job_type, concurrency=concurrency, **parameters)
    await stack.becomes(job_id, *ENDED, seconds=1_800)
    (row,) = await stack.fetch(_TIMES, job_id)
    if row["status"] != "completed" or row["done"] != parameters["items"]:
        raise RuntimeError(f"job {job_id} is {row['status']} with {row['done']} items done")
    return Timed(
        job_id=job_id,
        run_id=row["run_id"],
        items=row["done"],
        created_at=row["created_at"],
        scheduled_at=await first_scheduled(stack.client, job_id, "run_chunk", row["run_id"]),
        completed_at=row["completed_at"],
    )


async def warm_up(stack: Stack, api: Api, job_type: str = "bench_trivial", **more: Any) -> None:
    """Let processes make their connections before anything is measured."""
    await completed(stack, api, job_type, concurrency=16, items=WARM_UP_ITEMS, **more)
