"""Sampling and rule execution judge rows by the same rules in the same way."""

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.rule_results import PostgresRuleResults
from longhaul.adapters.postgres.samples import PostgresSamples
from longhaul.adapters.sources.rule_evaluator import SourceRuleEvaluator
from longhaul.adapters.sources.sampler import SourceSampler
from longhaul.adapters.sources.sessions import SourceSessions
from longhaul.core.rule_execution import Verdict
from longhaul.core.sampling import Category, Scope, TableRequest
from longhaul.core.sources import SourceAccess
from tests.approved_rules import Approved, approve_rules, plan_items


async def scope_of(database: PostgresDatabase, approved: Approved) -> Scope:
    report = approved.report
    async with database.begin() as tx:
        return await PostgresSamples().scope(tx, report.cycle_id, report.report_id, None)


async def test_rows_that_fail_in_execution_are_those_that_sampling_suspects(
    database: PostgresDatabase, dsn: str
) -> None:
    approved = await approve_rules(database, rows=1_000)
    sessions = SourceSessions(SourceAccess(own_dsn=dsn))
    job_id = await plan_items(database, approved)
    async with database.begin() as tx:
        (target,) = (await PostgresRuleResults().targets(tx, job_id)).targets
    scope = await scope_of(database, approved)
    # Days and months are where the two could differ in their reading.
    dates = {rule.id for rule in target.rules if rule.written}

    judged = await SourceRuleEvaluator(sessions).evaluate(
        target.source, target.table, [one for one in target.rules if one.id in dates]
    )
    assert target.source.id is not None
    rules = [r for r in scope.rules[target.source.id, target.table] if r.rule.id in dates]
    owners = {one.attribute_id for one in rules}
    samples = await SourceSampler(sessions).sample(
        TableRequest(
            source=target.source,
            table=target.table,
            key=target.key,
            attributes=[one for one in scope.attributes if one.id in owners],
            rules=rules,
            seed=7,
            wanted={Category.ANOMALY: 1},
        )
    )

    failed = {
        one.rule_id: one.outcome.failed
        for one in judged.judged
        if isinstance(one.outcome, Verdict) and one.outcome.failed
    }
    suspected = {
        pool.rule_id: pool.count for pool in samples.pools if pool.kind == "rule_violation"
    }
    assert len(failed) > 3
    assert suspected == failed
