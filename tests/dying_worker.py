"""A worker that kills itself at one exact point, the first time it gets there.

    python -m tests.dying_worker --at plan|sent|before_commit|after_commit|finish

It is the product's own worker over the product's own adapters; only the ports of the point
in question are wrapped, so that the process ends there as kill -9 would end it.
"""

import argparse
import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any, Unpack

from longhaul.adapters.settings import Settings
from longhaul.adapters.telemetry.logs import configure_logging
from longhaul.core.calls import CallPlace, ModelReply, ModelRequest, SentCall
from longhaul.core.items import NewItem
from longhaul.core.jobs import Job
from longhaul.core.ports import (
    CallJournal,
    CountChanges,
    Database,
    JobChanges,
    Jobs,
    Ledger,
    NewJob,
    Transaction,
)
from longhaul.worker.build import Parts
from longhaul.worker.main import open_parts, poll

POINTS = ("plan", "sent", "before_commit", "after_commit", "finish")


def die() -> None:
    """End this process without a word to anybody."""
    os.kill(os.getpid(), signal.SIGKILL)


class DyingLedger:
    """Dies when the items are copied and nothing is committed yet."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    async def add(self, tx: Transaction, job_id: str, items: AsyncIterator[NewItem]) -> int:
        await self._ledger.add(tx, job_id, items)
        die()
        return 0


class DyingJournal:
    """Dies when a call is journalled as sent, before the request leaves."""

    def __init__(self, journal: CallJournal) -> None:
        self._journal = journal

    async def reusable(self, place: CallPlace, fingerprint: str) -> ModelReply | None:
        return await self._journal.reusable(place, fingerprint)

    async def sent(self, call: SentCall, request: ModelRequest, fingerprint: str) -> None:
        await self._journal.sent(call, request, fingerprint)
        die()

    async def answered(self, call: SentCall, reply: ModelReply, duration_ms: int) -> None:
        await self._journal.answered(call, reply, duration_ms)

    async def failed(self, call: SentCall, reason: str, duration_ms: int) -> None:
        await self._journal.failed(call, reason, duration_ms)


class DyingJobs:
    """Dies around the commit of a batch, or before that of the end."""

    def __init__(self, jobs: Jobs, point: str) -> None:
        self._jobs = jobs
        self._point = point
        self.batch_written = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._jobs, name)

    async def insert(self, tx: Transaction, job: NewJob) -> Job | None:
        return await self._jobs.insert(tx, job)

    async def count(
        self, tx: Transaction, job_id: str, epoch: int, changes: CountChanges
    ) -> Job | None:
        row = await self._jobs.count(tx, job_id, epoch, changes)
        if changes.done and self._point == "before_commit":
            die()
        self.batch_written = bool(changes.done) and self._point == "after_commit"
        return row

    async def update(self, tx: Transaction, job: Job, **changes: Unpack[JobChanges]) -> Job:
        row = await self._jobs.update(tx, job, **changes)
        if row.status.is_terminal and self._point == "finish":
            die()
        return row


class DyingDatabase:
    """Dies after the commit of a batch."""

    def __init__(self, database: Database, jobs: DyingJobs) -> None:
        self._database = database
        self._jobs = jobs

    def begin(self) -> AbstractAsyncContextManager[Transaction]:
        return self._begin()

    @asynccontextmanager
    async def _begin(self) -> AsyncIterator[Transaction]:
        async with self._database.begin() as tx:
            yield tx
        if self._jobs.batch_written:
            die()


def dying(parts: Parts, point: str) -> Parts:
    """The parts of a worker that dies at a point."""
    stores = parts.stores
    jobs = DyingJobs(stores.jobs, point)
    wrapped: Mapping[str, Any] = {
        "jobs": jobs,
        "database": DyingDatabase(stores.database, jobs),
        "ledger": DyingLedger(stores.ledger) if point == "plan" else stores.ledger,
    }
    journal = DyingJournal(parts.journal) if point == "sent" else parts.journal
    return replace(parts, stores=replace(stores, **wrapped), journal=journal)


async def run(point: str, types: list[str]) -> None:
    configure_logging()
    settings = Settings()
    async with open_parts(settings, types) as (client, parts):
        await poll(client, dying(parts, point), settings.worker)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--at", choices=POINTS, default=os.environ.get("LH_TEST_DIE_AT"))
    parser.add_argument("--types", action="append", default=[])
    arguments = parser.parse_args()
    asyncio.run(run(arguments.at, arguments.types))


if __name__ == "__main__":
    main()
