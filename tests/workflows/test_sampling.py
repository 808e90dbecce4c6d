"""Sampling over the real servers, from samples to executed test cases."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from redis.asyncio import Redis
from temporalio.client import Client

from longhaul.adapters.postgres.cases import PostgresCases
from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.samples import PostgresSamples
from longhaul.adapters.regexes import BothDialects
from longhaul.adapters.sources.sampler import SourceSampler
from longhaul.adapters.sources.sessions import SourceSessions
from longhaul.adapters.statistics import AuditStatistics
from longhaul.core.catalog import Catalog
from longhaul.core.controls import Action, Control
from longhaul.core.job_types import Resources
from longhaul.core.jobs import Job, JobStatus, Outcome, RunMode
from longhaul.core.sampling import TableRequest, TableSampler, TableSamples
from longhaul.core.sources import SourceAccess
from longhaul.job_types import test_execution
from longhaul.job_types.sampling import SamplingJob
from tests.engine import Engine, open_engine
from tests.loans import Loans, seed_loans
from tests.waiting import until

# Enough rows for every slot, one of them without an LTV and one with a strange one.
MAKE_ROWS = """
INSERT INTO landing.loans
SELECT (5000000000 + n)::text,
       CASE n WHEN 7 THEN NULL WHEN 11 THEN '990.00' ELSE (60 + n % 20)::text || '.00' END,
       to_char(date '2024-01-01' + n, 'YYYYMMDD'), CASE n % 3 WHEN 0 THEN 'CA' ELSE 'TX' END
FROM generate_series(1, 60) AS n RETURNING 1
"""


class GatedSampler:
    """Draws on demand, and counts its calls."""

    def __init__(self, inner: TableSampler) -> None:
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self._inner = inner

    async def sample(self, request: TableRequest) -> TableSamples:
        self.asked += 1
        await self.gate.wait()
        return await self._inner.sample(request)


@dataclass
class Bench:
    """An engine with sampling and test execution over a small report."""

    engine: Engine
    loans: Loans
    sampler: GatedSampler
    sampling: SamplingJob
    execution: test_execution.CaseExecutionJob

    async def submit(self, **parameters: Any) -> str:
        seeded = self.loans.seeded
        return await self.engine.submit(
            self.sampling,
            cycle_id=seeded.cycle_id,
            report_id=seeded.report_id,
            **parameters,
        )

    async def samples(self, job: Job) -> list[Any]:
        return await self.loans.fetch(
            "SELECT ordinal, category, kind, key_hash, attribute_id, rationale FROM sample"
            " WHERE job_id = $1 ORDER BY ordinal",
            job.id,
        )


@pytest.fixture
async def bench(
    temporal_client: Client, database: PostgresDatabase, redis_client: Redis, dsn: str
) -> AsyncIterator[Bench]:
    loans = await seed_loans(database)
    await loans.fetch(MAKE_ROWS)
    access = SourceAccess(own_dsn=dsn)
    sampler = GatedSampler(SourceSampler(SourceSessions(access)))
    sampling = SamplingJob(store=PostgresSamples(), sampler=sampler, statistics=AuditStatistics())
    execution = test_execution.test_execution(
        Resources(database=database, regexes=BothDialects(database), sources=access)
    )
    async with open_engine(temporal_client, database, redis_client) as engine:
        engine.parts = replace(engine.parts, catalog=Catalog([sampling, execution]))
        async with engine.worker():
            yield Bench(engine, loans, sampler, sampling, execution)


async def test_samples_become_test_cases_and_are_executed(bench: Bench) -> None:
    job = await bench.engine.ends(await bench.submit(target_sample_size=10, seed=3))

    assert (job.status, job.outcome) == (JobStatus.COMPLETED, Outcome.SUCCEEDED)
    assert job.result is not None
    # Two rows lack an LTV, two have a strange one, and nothing else is odd.
    assert job.result["shortfall"] == {"anomaly": 1}
    assert job.result["samples_generated"] == 9
    assert job.counts.skipped == 1
    samples = await bench.samples(job)
    assert len(samples) == 9
    assert bench.sampler.asked == 1

    await bench.loans.fetch(
        "UPDATE sample SET status = 'approved', tester_decision = 'approved',"
        " report_owner_decision = 'approved' RETURNING id"
    )
    (approved,) = await bench.loans.fetch("UPDATE sample_set SET status = 'approved' RETURNING id")
    # What is decided on mappings from now on does not change where the samples came from.
    await bench.loans.fetch(
        "UPDATE pde_mapping SET column_name = 'ln_nbr' WHERE column_name = 'st_cd' RETURNING 1"
    )
    await bench.loans.fetch(
        "UPDATE pde_mapping SET status = 'rejected', column_name = 'close_dt'"
        " WHERE column_name = 'orig_ltv' RETURNING 1"
    )
    async with bench.loans.database.begin() as tx:
        assert await PostgresCases().make_cases(tx, str(approved["id"])) == 9 * 4
    seeded = bench.loans.seeded
    executed = await bench.engine.ends(
        await bench.engine.submit(
            bench.execution, cycle_id=seeded.cycle_id, report_id=seeded.report_id
        )
    )

    assert executed.result is not None
    assert executed.result["by_outcome"] == {
        "match": 0,
        "mismatch": 0,
        "unchanged": 36,
        "not_found": 0,
    }


@pytest.mark.invariant("I4")
@pytest.mark.parametrize("mode", list(RunMode)[1:])
async def test_a_pause_before_the_drawing_is_over_changes_no_sample(
    bench: Bench, mode: RunMode
) -> None:
    undisturbed = await bench.engine.ends(await bench.submit(target_sample_size=20, seed=5))
    await bench.loans.fetch("UPDATE sample_set SET status = 'approved' RETURNING id")
    bench.sampler.gate.clear()
    job_id = await bench.submit(target_sample_size=20, seed=5, concurrency=3)

    async def it_was_asked() -> bool:
        return bench.sampler.asked == 2

    await until(it_was_asked, what="the drawing to begin")
    control = Control(action=Action.PAUSE, mode=mode, by="u-1", reason="lunch")
    assert await bench.engine.workflows.control(job_id, control)

    async def chunks_have_heard() -> bool:
        return job_id in bench.engine.flags.heard

    await until(chunks_have_heard, what="the chunks to see the flag")
    if mode is RunMode.NOW:
        paused = await bench.engine.becomes(job_id, JobStatus.PAUSED)
        assert paused.counts.done == 0
    bench.sampler.gate.set()
    await bench.engine.becomes(job_id, JobStatus.PAUSED)
    assert await bench.engine.workflows.control(job_id, Control(action=Action.RESUME, by="u-1"))
    job = await bench.engine.ends(job_id)

    def of(rows: list[Any]) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in rows]

    assert job.outcome is Outcome.SUCCEEDED
    assert of(await bench.samples(job)) == of(await bench.samples(undisturbed))
    assert job.result is not None
    assert undisturbed.result is not None
    ours, theirs = (
        {name: value for name, value in one.items() if name != "version_id"}
        for one in (job.result, undisturbed.result)
    )
    assert ours == theirs
