"""Rules on their way to a table, and what executing them has shown."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from longhaul.adapters.postgres.data_sources import data_sources
from longhaul.core.formats import DataType, UnknownFormat, parse_format
from longhaul.core.ports import Row, Transaction
from longhaul.core.rule_execution import (
    ApprovedRule,
    Dimension,
    Fault,
    NewRuleResult,
    ResultTotals,
    TableRule,
    Target,
    Targets,
    columns_of,
)
from longhaul.core.sources import DataSource

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

_ATTRIBUTES = """
SELECT a.name, a.data_type, a.format, a.is_key, m.data_source_id, m.table_name, m.column_name
FROM attribute AS a JOIN phase AS p ON p.id = a.phase_id
    LEFT JOIN pde_mapping AS m ON m.phase_id = a.phase_id AND m.attribute_id = a.id
        AND m.status <> 'rejected'
WHERE p.cycle_id = $1 AND p.report_id = $2 AND a.is_active
ORDER BY a.line_no, a.id
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
        """Where the rules of a job's open items are to be asked."""
        rules = await tx.fetch(_OPEN_RULES, job_id)
        if not rules:
            return Targets(targets=(), faults={})
        report_id = rules[0]["report_id"]
        rows = await tx.fetch(_ATTRIBUTES, rules[0]["cycle_id"], report_id)
        sources = list((await data_sources(tx, report_id)).values())
        return _group(rules, {row["name"]: row for row in rows}, sources)

    async def store(
        self, tx: Transaction, version_id: str, job_id: str, results: Sequence[NewRuleResult]
    ) -> None:
        """Keep what became of rules."""
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


_Place = tuple[int, str | None]

_NO_SOURCE = Fault(
    code="no_source",
    sentence="The attribute is not mapped, and the report has not just one table to look in.",
)
_SCATTERED = Fault(
    code="several_tables", sentence="The rule compares attributes that lie in different tables."
)


def _group(
    rules: Sequence[Row], attributes: Mapping[str, Row], sources: Sequence[DataSource]
) -> Targets:
    """Sort rules by the table that they are to be asked of."""
    faults: dict[str, Fault] = {}
    places: dict[_Place, list[TableRule]] = defaultdict(list)
    by_id = {source.id: source for source in sources}
    usual = _usual(attributes.values(), sources)
    for row in rules:
        names = [row["attribute"], *columns_of(row["kwargs"])]
        found = {name: attributes[name] for name in names if name in attributes}
        mapped = {place for one in found.values() if (place := _place(one))}
        own = found.get(row["attribute"])
        place = (_place(own) if own else None) or next(iter(mapped), None) or usual
        rule_id = str(row["id"])
        if place is None or place[0] not in by_id:
            faults[rule_id] = _NO_SOURCE
        elif len(mapped) > 1:
            faults[rule_id] = _SCATTERED
        else:
            places[place].append(_table_rule(rule_id, row, found))
    return Targets(
        targets=[
            Target(source=by_id[place[0]], table=place[1], key=_key(attributes, place), rules=found)
            for place, found in places.items()
        ],
        faults=faults,
    )


def _usual(attributes: Iterable[Row], sources: Sequence[DataSource]) -> _Place | None:
    """Where an attribute is looked for that nobody has mapped, if there is one place only."""
    places = {place for one in attributes if (place := _place(one))}
    if len(places) == 1:
        return places.pop()
    if not places and len(sources) == 1 and sources[0].id is not None:
        return sources[0].id, None
    return None


def _place(attribute: Row) -> _Place | None:
    if attribute["data_source_id"] is None:
        return None
    return attribute["data_source_id"], attribute["table_name"]


def _key(attributes: Mapping[str, Row], place: _Place) -> Sequence[str]:
    return [
        row["column_name"] or name
        for name, row in attributes.items()
        if row["is_key"] and _place(row) in (place, None)
    ]


def _table_rule(rule_id: str, row: Row, found: Mapping[str, Row]) -> TableRule:
    return TableRule(
        id=rule_id,
        expectation=row["expectation"],
        kwargs=row["kwargs"],
        columns={name: one["column_name"] or name for name, one in found.items()},
        types={name: DataType(one["data_type"]) for name, one in found.items()},
        written={name: form for name, one in found.items() if (form := _written(one["format"]))},
    )


def _written(format_text: str) -> str | None:
    try:
        return parse_format(format_text).strftime
    except UnknownFormat:
        return None
