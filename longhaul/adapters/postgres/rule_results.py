"""Rules for tables, and the results of executing them."""

from collections.abc import Sequence

from longhaul.adapters.postgres.data_sources import data_sources
from longhaul.adapters.postgres.table_rules import key_of, place_rules, report_attributes
from longhaul.core.ports import Transaction
from longhaul.core.rule_execution import (
    ApprovedRule,
    Dimension,
    NewRuleResult,
    ResultTotals,
    Target,
    Targets,
)

PAGE = 1_000

_APPROVED = "r.tester_decision = 'approved' AND r.report_owner_decision = 'approved'"

_PAGE = f"""
SELECT r.id, r.name, a.line_no, r.execution_order
FROM rule AS r JOIN attribute AS a ON a.id = r.attribute_id
WHERE r.version_id = $1 AND {_APPROVED} AND (a.line_no, r.execution_order, r.id) > ($2, $3, $4)
ORDER BY a.line_no, r.execution_order, r.id LIMIT $5
"""

_NOBODY = "00000000-0000-0000-0000-000000000000"

_OPEN_RULES = f"""
SELECT r.id, r.expectation, r.kwargs, a.name AS attribute, p.cycle_id, p.report_id
FROM job_item AS i JOIN rule AS r ON r.id = (i.payload ->> 'rule_id')::uuid
    JOIN attribute AS a ON a.id = r.attribute_id JOIN phase AS p ON p.id = a.phase_id
WHERE i.job_id = $1 AND i.state = 'open' AND {_APPROVED}
ORDER BY i.ordinal
"""

_INSERT = """
INSERT INTO rule_result (version_id, job_id, rule_id, ordinal, data_source_id, table_name,
                         table_rows, execution_status, total, considered, passed, failed,
                         pass_rate, has_anomaly, observed, examples, duration_ms, created_at)
SELECT $1, $2, new.*, clock_timestamp()
FROM jsonb_to_recordset($3) AS new (
    rule_id uuid, ordinal integer, data_source_id integer, table_name text, table_rows bigint,
    execution_status text, total bigint, considered bigint, passed bigint, failed bigint,
    pass_rate double precision, has_anomaly boolean, observed double precision, examples jsonb,
    duration_ms integer)
ON CONFLICT (job_id, rule_id) DO NOTHING
"""

_BY_DIMENSION = """
SELECT r.rule_type, count(*) AS rules,
       count(*) FILTER (WHERE x.execution_status = 'passed') AS satisfied,
       sum(x.considered)::bigint AS considered, sum(x.passed)::bigint AS passed,
       sum(x.failed)::bigint AS failed
FROM rule_result AS x JOIN rule AS r ON r.id = x.rule_id
WHERE x.job_id = $1 GROUP BY r.rule_type ORDER BY r.rule_type
"""

_RECORDS = """
SELECT coalesce(sum(rows), 0)::bigint AS records
FROM (SELECT max(table_rows) AS rows FROM rule_result WHERE job_id = $1
      GROUP BY data_source_id, table_name) AS tables
"""

_SECONDS = """
SELECT coalesce(extract(epoch FROM clock_timestamp() - started_at), 0)::double precision AS seconds
FROM job WHERE id = $1
"""


class PostgresRuleResults:
    """Keeps rule results; every method works in the caller's transaction."""

    async def approved(
        self, tx: Transaction, version_id: str, after: ApprovedRule | None
    ) -> Sequence[ApprovedRule]:
        """The next rules that both have approved, in the order of the form; empty at the end."""
        last = (after.line_no, after.execution_order, after.id) if after else (-1, -1, _NOBODY)
        rows = await tx.fetch(_PAGE, version_id, *last, PAGE)
        return [ApprovedRule(**{**row, "id": str(row["id"])}) for row in rows]

    async def targets(self, tx: Transaction, job_id: str) -> Targets:
        """The tables of the rules of a job's open items."""
        rules = await tx.fetch(_OPEN_RULES, job_id)
        if not rules:
            return Targets(targets=(), faults={})
        report_id = rules[0]["report_id"]
        attributes = await report_attributes(tx, rules[0]["cycle_id"], report_id)
        sources = await data_sources(tx, report_id)
        placed = place_rules(rules, attributes, sources)
        return Targets(
            targets=[
                Target(
                    source=sources[place[0]],
                    table=place[1],
                    key=key_of(attributes, place),
                    rules=found,
                )
                for place, found in placed.by_place.items()
            ],
            faults=placed.faults,
        )

    async def store(
        self, tx: Transaction, version_id: str, job_id: str, results: Sequence[NewRuleResult]
    ) -> None:
        """Store results of rules."""
        await tx.execute(_INSERT, version_id, job_id, [_record(new) for new in results])

    async def totals(self, tx: Transaction, job_id: str) -> ResultTotals:
        """Add up what a job has stored."""
        rows = await tx.fetch(_BY_DIMENSION, job_id)
        (records,) = await tx.fetch(_RECORDS, job_id)
        (seconds,) = await tx.fetch(_SECONDS, job_id)
        return ResultTotals(
            by_dimension={
                row["rule_type"]: Dimension(
                    **{name: row[name] for name in Dimension.__dataclass_fields__}
                )
                for row in rows
            },
            records=records["records"],
            seconds=seconds["seconds"],
        )


def _record(new: NewRuleResult) -> dict[str, object]:
    verdict = new.verdict
    return {
        "rule_id": new.rule_id,
        "ordinal": new.ordinal,
        "data_source_id": new.data_source_id,
        "table_name": new.table,
        "table_rows": new.table_rows,
        "execution_status": "passed" if verdict.success else "failed",
        "total": verdict.total,
        "considered": verdict.considered,
        "passed": verdict.passed,
        "failed": verdict.failed,
        "pass_rate": verdict.pass_rate,
        "has_anomaly": verdict.failed > 0,
        "observed": verdict.observed,
        "examples": verdict.examples,
        "duration_ms": new.duration_ms,
    }
