"""The ledger under random histories: attempts, pauses, crashes, zombies and late batches.

Each step is what a process would do, through the same code; a crash is a step whose
transaction never commits. After every step the numbers agree (I8), and at the end every item
was stored exactly once (I2, I3).
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from temporalio.testing import ActivityEnvironment

from longhaul.activities.control import ControlActivities
from longhaul.activities.finish import FinishActivities
from longhaul.activities.flush import BatchWriter
from longhaul.activities.plan import PlanActivities
from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.jobs import PostgresJobs
from longhaul.adapters.postgres.ledger import PostgresLedger
from longhaul.adapters.postgres.retention import PostgresRetention
from longhaul.adapters.telemetry.logs import LoggedErrors
from longhaul.api.controls import Controls
from longhaul.api.schemas import RetryRequest
from longhaul.core.catalog import Catalog
from longhaul.core.errors import Fenced, WrongState
from longhaul.core.items import Done, Failed, Item, ItemOutcome, ItemResult, Skipped
from longhaul.core.jobs import Job, JobStatus, Outcome, RunMode
from longhaul.core.messages import ControlWrite, FinishRequest, PlanRequest
from longhaul.core.ports import (
    CountChanges,
    Stores,
    Transaction,
)
from longhaul.core.principals import Principal
from longhaul.services.job_finisher import JobFinisher
from tests.factories import make_new_job
from tests.fakes import NoBoard, NoFlags, NoTraces, NoWorkflows
from tests.job_types.echo import CREATE_TABLE, Echo

ITEMS = 12


class Crash(Exception):
    """The process died before its transaction committed."""


@dataclass
class History:
    """One job, the writers that believe they work on it, and what they do."""

    database: PostgresDatabase
    stores: Stores
    job: Job
    writers: list[Job] = field(default_factory=list)

    @classmethod
    async def begin(cls, database: PostgresDatabase) -> "History":
        stores = Stores(
            database=database,
            jobs=PostgresJobs(),
            ledger=PostgresLedger(database),
            board=NoBoard(),
        )
        new = make_new_job(
            parameters={"items": ITEMS},
        )
        async with database.begin() as tx:
            job = await stores.jobs.insert(tx, new)
        assert job is not None
        history = cls(database, stores, job)
        await history.plan()
        return history

    async def read(self) -> Job:
        async with self.database.begin() as tx:
            job = await self.stores.jobs.read(tx, self.job.id)
        assert job is not None
        return job

    async def plan(self) -> None:
        job = await self.read()
        activities = PlanActivities(
            stores=self.stores, catalog=Catalog([Echo()]), errors=LoggedErrors()
        )
        request = PlanRequest(job_id=job.id, attempt=job.attempt, run_id=f"run-{job.attempt}")
        plan = await ActivityEnvironment().run(activities.plan, request)
        if job.status is JobStatus.PENDING:
            assert not plan.stale
            self.writers.append(await self.read())

    async def write(self, writer: int, results: Mapping[int, ItemResult], *, crash: bool) -> None:
        """A batch of some writer, perhaps of a zombie, perhaps by a process that dies."""
        job = self.writers[writer % len(self.writers)]
        batch = [
            ItemOutcome(Item(ordinal=ordinal, key=f"echo-{ordinal}"), result)
            for ordinal, result in results.items()
        ]
        before = await self.read()
        is_zombie = job.epoch != before.epoch or before.status.is_terminal
        try:
            stores = replace(self.stores, jobs=CrashingJobs()) if crash else self.stores
            await BatchWriter(stores, Echo()).write(job, batch)
        except Fenced:
            assert is_zombie
        except Crash:
            pass
        else:
            assert not is_zombie
        if is_zombie or crash:
            assert await self.read() == before

    async def pause(self, mode: RunMode, status: JobStatus) -> None:
        job = await self.read()
        if job.status.is_terminal or job.status is JobStatus.PENDING:
            return
        write = ControlWrite(
            job_id=job.id,
            attempt=job.attempt,
            epoch=job.epoch,
            generation=job.generation + 1,
            mode=mode,
            status=status,
        )
        controls = ControlActivities(stores=self.stores, flags=NoFlags())
        once = await controls.write_control(write)
        assert await controls.write_control(write) == once

    async def finish(self, *, cancelled: bool) -> None:
        job = await self.read()
        if job.status is JobStatus.PAUSED and not cancelled:
            return
        finisher = JobFinisher(stores=self.stores, catalog=Catalog([Echo()]), errors=LoggedErrors())
        activities = FinishActivities(stores=self.stores, finisher=finisher)
        request = FinishRequest(
            job_id=job.id, attempt=job.attempt, epoch=job.epoch, cancelled=cancelled
        )
        await ActivityEnvironment().run(activities.finish, request)

    async def retry(self) -> None:
        controls = Controls(
            database=self.database,
            jobs=PostgresJobs(),
            ledger=self.stores.ledger,
            retention=PostgresRetention(self.database),
            board=NoBoard(),
            traces=NoTraces(),
            workflows=NoWorkflows(),
            finisher=JobFinisher(
                stores=self.stores, catalog=Catalog([Echo()]), errors=LoggedErrors()
            ),
            wake=lambda: None,
            check=lambda: None,
        )
        before = await self.read()
        try:
            await controls.retry(Principal(sub="u-1"), self.job.id, RetryRequest())
        except WrongState:
            assert not before.status.is_terminal or before.outcome is Outcome.SUCCEEDED
        await self.plan()

    async def check(self) -> None:
        """I8, at every commit."""
        async with self.database.begin() as tx:
            job = await self.stores.jobs.read(tx, self.job.id)
            counts, _ = await self.stores.ledger.count(tx, self.job.id)
            rows = await tx.fetch(
                """SELECT i.ordinal, i.state, e.ordinal AS stored FROM job_item AS i
                   FULL JOIN echo AS e ON e.job_id = i.job_id AND e.ordinal = i.ordinal
                   WHERE coalesce(i.job_id, e.job_id) = $1""",
                self.job.id,
            )
        assert job is not None
        assert job.counts == counts
        assert all((row["state"] == "done") == (row["stored"] is not None) for row in rows)
        assert max(Counter(row["ordinal"] for row in rows).values()) == 1


class CrashingJobs(PostgresJobs):
    """Dies after everything is written and before the commit."""

    async def count(
        self, tx: Transaction, job_id: str, epoch: int, changes: CountChanges
    ) -> Job | None:
        await super().count(tx, job_id, epoch, changes)
        raise Crash


results = st.dictionaries(
    st.integers(0, ITEMS - 1),
    st.sampled_from([Done({"echo": 1}), Failed("no_echo", "No echo."), Skipped("Nothing.")]),
    min_size=1,
    max_size=6,
)
steps = st.one_of(
    st.tuples(st.just("write"), st.integers(0, 50), results, st.booleans()),
    st.tuples(
        st.just("pause"),
        st.sampled_from([RunMode.DRAIN, RunMode.NOW]),
        st.sampled_from([JobStatus.PAUSING, JobStatus.PAUSED]),
    ),
    st.tuples(st.just("resume")),
    st.tuples(st.just("finish"), st.booleans()),
    st.tuples(st.just("retry")),
)


async def take(history: History, step: tuple[Any, ...]) -> None:
    match step:
        case "write", writer, batch, crash:
            await history.write(writer, batch, crash=crash)
        case "pause", mode, status:
            await history.pause(mode, status)
        case ("resume",):
            await history.pause(RunMode.RUN, JobStatus.RUNNING)
        case "finish", cancelled:
            await history.finish(cancelled=cancelled)
        case ("retry",):
            await history.retry()


async def bring_to_its_end(history: History) -> None:
    """Whatever has happened, the job can be completed from the ledger."""
    if (await history.read()).status.is_terminal:
        await history.retry()
    job = await history.read()
    if job.status.is_terminal:
        return
    await history.pause(RunMode.RUN, JobStatus.RUNNING)
    newest = len(history.writers) - 1
    await history.write(newest, {n: Done({"echo": n}) for n in range(ITEMS)}, crash=False)
    await history.finish(cancelled=False)
    await history.retry()
    if not (await history.read()).status.is_terminal:
        newest = len(history.writers) - 1
        await history.write(newest, {n: Done({"echo": n}) for n in range(ITEMS)}, crash=False)
        await history.finish(cancelled=False)


@pytest.mark.invariant("I2")
@pytest.mark.invariant("I8")
@given(st.lists(steps, max_size=14))
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_no_history_loses_an_item_or_stores_one_twice(
    database: PostgresDatabase, taken: list[tuple[Any, ...]]
) -> None:
    async with database.begin() as tx:
        await tx.execute(CREATE_TABLE)
    history = await History.begin(database)

    for step in taken:
        await take(history, step)
        await history.check()
    await bring_to_its_end(history)

    await history.check()
    job = await history.read()
    assert job.status.is_terminal
    assert job.counts.open == 0
    assert job.counts.failed == 0
