"""The job type on real servers: created, judged in one scan, stored, paused, resumed, summed up."""

import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis
from temporalio.client import Client

from longhaul.activities.rule_execution import RuleExecutionParameters
from longhaul.activities.rule_scans import RuleScans
from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.jobs import PostgresJobs
from longhaul.adapters.postgres.rule_results import PostgresRuleResults
from longhaul.adapters.regexes import BothDialects
from longhaul.adapters.sources.rule_evaluator import SourceRuleEvaluator
from longhaul.adapters.sources.sessions import SourceSessions
from longhaul.core.catalog import Catalog
from longhaul.core.controls import Action, Control
from longhaul.core.errors import InvalidInput, NothingApproved
from longhaul.core.job_types import Resources
from longhaul.core.jobs import JobStatus, Outcome, RunMode
from longhaul.core.rule_execution import RuleEvaluator, TableRule, TableVerdicts
from longhaul.core.sources import DataSource, SourceAccess
from longhaul.job_types.rule_execution import RuleExecutionJob, rule_execution
from tests.approved_rules import Approved, approve_rules, plan_items
from tests.engine import Engine, open_engine
from tests.factories import TESTER
from tests.waiting import until

_SHORT = timedelta(milliseconds=200)


class Bench:
    """An engine that knows rule execution, and a report whose rules are approved."""

    def __init__(self, engine: Engine, dsn: str, approved: Approved) -> None:
        database = engine.stores.database
        self.type: RuleExecutionJob = rule_execution(
            Resources(
                database=database,
                regexes=BothDialects(database),
                sources=SourceAccess(own_dsn=dsn),
            )
        )
        engine.parts = replace(engine.parts, catalog=Catalog([self.type]))
        self.engine = engine
        self.approved = approved

    async def submit(self, *, concurrency: int = 16, **parameters: Any) -> str:
        """Store a job as the API does, and start its workflow."""
        version = {"version_id": self.approved.version_id}
        return await self.engine.submit(self.type, concurrency=concurrency, **version | parameters)

    async def fetch(self, text: str, *values: object) -> list[Any]:
        async with self.engine.stores.database.begin() as tx:
            return list(await tx.fetch(text, *values))

    async def waiting(self) -> list[Any]:
        """The sessions on the source that wait for a lock."""
        return await self.fetch(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'longhaul-sources'"
            " AND datname = current_database() AND wait_event_type = 'Lock'"
        )

    async def scans(self) -> int:
        """How many times the source table has been read from its first row to its last."""
        rows = await self.fetch(
            "SELECT seq_scan FROM pg_stat_user_tables WHERE schemaname = 'sample'"
        )
        return int(rows[0]["seq_scan"])


@pytest.fixture
async def bench(
    temporal_client: Client, database: PostgresDatabase, redis_client: Redis, dsn: str
) -> AsyncIterator[Bench]:
    approved = await approve_rules(database, rows=120, attributes=24)
    async with open_engine(temporal_client, database, redis_client) as engine:
        yield Bench(engine, dsn, approved)


async def test_all_rules_of_a_version_are_judged_and_the_numbers_agree(bench: Bench) -> None:
    async with bench.engine.worker():
        job_id = await bench.submit()
        ended = await bench.engine.ends(job_id)

    rows = await bench.fetch("SELECT * FROM rule_result WHERE job_id = $1", job_id)
    items = await bench.engine.items(job_id)
    assert ended.result is not None
    assert (ended.status, ended.outcome) == (JobStatus.COMPLETED, Outcome.SUCCEEDED), [
        (item["error_code"], item["label"]) for item in items if item["state"] != "done"
    ]
    assert len(items) == len(rows) == ended.counts.done == bench.approved.rules
    summary = ended.result["summary"]
    assert summary["total_rules"] == summary["successful_rules"] == len(rows)
    assert summary["total_records_processed"] == 120
    assert summary["total_anomalies_found"] == sum(row["failed"] for row in rows)
    assert summary["violated_rules"] == sum(row["execution_status"] == "failed" for row in rows)
    assert all(row["passed"] + row["failed"] == row["considered"] for row in rows)
    assert all(row["has_anomaly"] == (row["failed"] > 0) for row in rows)
    assert ended.result["quality"]["overall"] == 100 * sum(row["passed"] for row in rows) / sum(
        row["considered"] for row in rows
    )
    assert {"completeness", "format", "validity"} <= set(ended.result["quality"]["by_dimension"])


async def test_few_items_in_flight_still_take_one_scan(bench: Bench) -> None:
    async with bench.engine.worker():
        job_id = await bench.submit(concurrency=2)
        await bench.engine.ends(job_id)

    rows = await bench.fetch(
        "SELECT expectation, x.failed FROM rule_result AS x JOIN rule AS r ON r.id = x.rule_id"
    )
    # One counts the rows and one judges; each rule about equal rows groups in one of its own,
    # and each that fails looks its rows up.
    own = sum("unique" in row["expectation"] for row in rows)
    failing = sum(row["failed"] > 0 for row in rows)
    assert len(rows) > 50
    assert own + failing < 20

    async def settled() -> bool:
        return await bench.scans() > 0

    await until(settled, what="the statistics")
    assert await bench.scans() <= 2 * (2 + own + 2 * failing)


class CountingEvaluator:
    """Evaluates, and counts the calls for each table."""

    def __init__(self, inner: RuleEvaluator) -> None:
        self.asked: Counter[str | None] = Counter()
        self._inner = inner

    async def evaluate(
        self, source: DataSource, table: str | None, rules: Sequence[TableRule], **more: Any
    ) -> TableVerdicts:
        self.asked[table] += 1
        return await self._inner.evaluate(source, table, rules, **more)


async def test_each_of_many_tables_is_scanned_once_though_their_rules_alternate(
    database: PostgresDatabase, dsn: str
) -> None:
    tables = 20
    approved = await approve_rules(database, rows=3, attributes=40)
    job_id = await plan_items(database, approved)
    async with database.begin() as tx:
        for number in range(tables):
            await tx.execute(
                f"CREATE TABLE sample.t{number} AS SELECT * FROM {approved.report.table}"
            )
        await tx.execute(
            "UPDATE pde_mapping SET table_name = 'sample.t' || attribute_id % $1", tables
        )
        await tx.execute("UPDATE data_source SET location = 'sample'")
        job = await PostgresJobs().read(tx, job_id)
        # Round after round each table comes once.
        rules = await tx.fetch(
            "SELECT id::text FROM rule WHERE kwargs ? 'column' AND NOT kwargs ? 'row_condition'"
            " ORDER BY execution_order, attribute_id / $1, attribute_id",
            tables,
        )
    assert job is not None
    evaluator = CountingEvaluator(SourceRuleEvaluator(SourceSessions(SourceAccess(own_dsn=dsn))))
    scans = RuleScans(database=database, store=PostgresRuleResults(), evaluator=evaluator)

    for rule in rules:
        await scans.judge(job, rule["id"], None)

    assert len(rules) > 2 * tables
    assert evaluator.asked == {f"sample.t{number}": 1 for number in range(tables)}


async def test_a_sample_of_the_rows_is_as_large_as_asked_for(bench: Bench) -> None:
    async with bench.engine.worker():
        by_size = await bench.submit(sample_size=40)
        by_share = await bench.submit(sample_percentage=50)
        await bench.engine.ends(by_size)
        await bench.engine.ends(by_share)

    sized = await bench.fetch("SELECT table_rows FROM rule_result WHERE job_id = $1", by_size)
    shared = await bench.fetch("SELECT table_rows FROM rule_result WHERE job_id = $1", by_share)
    assert len({row["table_rows"] for row in sized}) == 1
    assert 20 <= sized[0]["table_rows"] <= 40
    assert 30 <= shared[0]["table_rows"] <= 90


async def test_a_rule_that_cannot_run_fails_alone_and_says_why(bench: Bench) -> None:
    await bench.fetch(
        "UPDATE pde_mapping SET column_name = 'no_such_column' WHERE column_name = 'ln_close_dt'"
        " RETURNING id"
    )

    async with bench.engine.worker():
        job_id = await bench.submit()
        ended = await bench.engine.ends(job_id)

    items = await bench.engine.items(job_id)
    failed = [item for item in items if item["state"] == "failed"]
    assert ended.outcome is Outcome.PARTIAL
    assert failed
    assert {item["error_code"] for item in failed} == {"column_missing"}
    rows = await bench.fetch("SELECT 1 FROM rule_result WHERE job_id = $1", job_id)
    assert len(rows) == len(items) - len(failed) == ended.counts.done


async def test_a_locked_table_fails_every_rule_with_its_reason(bench: Bench, dsn: str) -> None:
    bench.type = rule_execution(
        Resources(
            database=bench.engine.stores.database,
            regexes=BothDialects(bench.engine.stores.database),
            sources=replace(SourceAccess(own_dsn=dsn), lock_timeout=_SHORT),
        )
    )
    bench.engine.parts = replace(bench.engine.parts, catalog=Catalog([bench.type]))
    holder = await asyncpg.connect(dsn)
    async with holder.transaction():
        await holder.execute("LOCK TABLE sample.fry14m_a1 IN ACCESS EXCLUSIVE MODE")
        async with bench.engine.worker():
            job_id = await bench.submit()
            ended = await bench.engine.ends(job_id)
    await holder.close()

    items = await bench.engine.items(job_id)
    assert ended.status is JobStatus.FAILED
    assert {item["error_code"] for item in items} == {"source_locked"}


async def test_a_paused_job_lets_go_of_its_source_and_goes_on_where_it_was(
    bench: Bench, dsn: str
) -> None:
    holder = await asyncpg.connect(dsn)
    lock = holder.transaction()
    await lock.start()
    await holder.execute("LOCK TABLE sample.fry14m_a1 IN ACCESS EXCLUSIVE MODE")

    async def waits_for_the_lock() -> bool:
        return bool(await bench.waiting())

    async def has_let_go() -> bool:
        return not await bench.waiting()

    async with bench.engine.worker():
        job_id = await bench.submit()
        await until(waits_for_the_lock, what="the scan")
        pause = Control(action=Action.PAUSE, mode=RunMode.NOW, by="u-1", request_id="r-1")
        await bench.engine.workflows.control(job_id, pause)
        paused = await bench.engine.becomes(job_id, JobStatus.PAUSED)
        await until(has_let_go, what="the scan to end")
        assert paused.counts.ended == 0
        await lock.rollback()
        await bench.engine.workflows.control(
            job_id, Control(action=Action.RESUME, by="u-1", request_id="r-2")
        )
        ended = await bench.engine.ends(job_id)
    await holder.close()

    rows = await bench.fetch("SELECT 1 FROM rule_result WHERE job_id = $1", job_id)
    assert ended.outcome is Outcome.SUCCEEDED
    assert len(rows) == bench.approved.rules


async def test_a_version_without_approved_rules_is_refused(bench: Bench) -> None:
    await bench.fetch("UPDATE rule SET report_owner_decision = NULL RETURNING id")

    with pytest.raises(NothingApproved, match="both the tester and the report owner"):
        await bench.submit()
    with pytest.raises(InvalidInput, match="no rule version"):
        await bench.submit(version_id=uuid.uuid4())


async def test_a_report_of_another_line_of_business_is_as_if_there_were_none(bench: Bench) -> None:
    wanted = RuleExecutionParameters(version_id=uuid.UUID(bench.approved.version_id))
    async with bench.engine.stores.database.begin() as tx:
        with pytest.raises(InvalidInput, match="no rule version"):
            await bench.type.prepare(tx, wanted, replace(TESTER, lob="Cards"))
