"""Sample sets, samples, and what is sampled of a report."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from longhaul.adapters.postgres.attributes import PostgresAttributes
from longhaul.adapters.postgres.data_sources import data_sources
from longhaul.adapters.postgres.table_rules import (
    Place,
    place_rules,
    report_attributes,
    written_as,
)
from longhaul.adapters.postgres.versions import PostgresVersions
from longhaul.core.attributes import Obligation
from longhaul.core.formats import DataType
from longhaul.core.job_types import OFFLINE
from longhaul.core.jobs import Job
from longhaul.core.ports import Row, Transaction
from longhaul.core.sampling import (
    Category,
    Frame,
    NewSample,
    Risk,
    SampledAttribute,
    SampledRule,
    SampleTotals,
    Scope,
    Stratum,
    key_hash,
)
from longhaul.core.sources import DataSource

PHASE = "Sample Selection"

MODEL = "seeded-draw"
VERSION = "2"

# One row if scoping was approved, also if nothing is tested.
_SCOPED = """
SELECT array_agg(r.attribute_id) FILTER (
    WHERE r.recommendation = 'test' AND r.status <> 'rejected') AS attribute_ids
FROM scoping_version AS v LEFT JOIN scoping_recommendation AS r ON r.version_id = v.id
WHERE v.cycle_id = $1 AND v.report_id = $2 AND v.status = 'approved'
GROUP BY v.id, v.number ORDER BY v.number DESC LIMIT 1
"""

# Rules that both have approved, of the approved version; before there is one, of the newest that
# has such rules.
_RULES = """
SELECT r.id, r.attribute_id, a.name AS attribute, r.expectation, r.kwargs, r.name, r.severity
FROM rule AS r JOIN attribute AS a ON a.id = r.attribute_id
WHERE r.tester_decision = 'approved' AND r.report_owner_decision = 'approved'
    AND r.version_id = (
        SELECT v.id FROM rule_version AS v
        WHERE v.cycle_id = $1 AND v.report_id = $2 AND v.status NOT IN ('rejected', 'superseded')
            AND EXISTS (SELECT FROM rule AS x
                        WHERE x.version_id = v.id AND x.tester_decision = 'approved'
                            AND x.report_owner_decision = 'approved')
        ORDER BY v.status = 'approved' DESC, v.number DESC LIMIT 1)
ORDER BY r.execution_order, r.id
"""

_IS_UNDECIDED = "tester_decision IS NULL AND report_owner_decision IS NULL AND status = 'pending'"

_DECIDED = f"""
SELECT table_name, source_key FROM sample
WHERE set_id = $1 AND job_id IS DISTINCT FROM $2::uuid AND NOT ({_IS_UNDECIDED})
"""

_TAKEN = f"""
SELECT key_hash FROM sample
WHERE set_id = $1 AND key_hash = ANY ($3) AND NOT (job_id <> $2 AND {_IS_UNDECIDED})
"""

# Locked in the order in which people's decisions lock them.
_DELETE_UNDECIDED = f"""
DELETE FROM sample WHERE id IN (
    SELECT id FROM sample WHERE set_id = $1 AND job_id <> $2 AND {_IS_UNDECIDED}
        AND NOT EXISTS (SELECT FROM test_case AS c WHERE c.sample_id = sample.id)
    ORDER BY id FOR UPDATE)
"""

_INSERT = """
INSERT INTO sample (set_id, job_id, ordinal, attribute_id, category, kind, data_source_id,
                    table_name, source_key, key_hash, key_values, row_data, rationale, rule_id,
                    risk, confidence, provider, model, prompt_version, created_at)
SELECT $1, $2, new.ordinal, new.attribute_id, new.category, new.kind, new.data_source_id,
       new.table_name, new.source_key, new.key_hash, new.key_values, new.row_data, new.rationale,
       (SELECT r.id FROM rule AS r WHERE r.id = new.rule_id), new.risk, new.confidence, $4, $5,
       $6, clock_timestamp()
FROM jsonb_to_recordset($3) AS new (
    ordinal integer, attribute_id integer, category text, kind text, data_source_id integer,
    table_name text, source_key jsonb, key_hash text, key_values jsonb, row_data jsonb,
    rationale text, rule_id uuid, risk text, confidence double precision)
"""

_STORE_FRAME = """
INSERT INTO sample_frame (job_id, set_id, frame, created_at)
VALUES ($2, $1, $3, clock_timestamp()) ON CONFLICT (job_id) DO NOTHING
"""

_REQUESTED = """
SELECT payload ->> 'category' AS category, count(*) AS slots,
       min(error_message) FILTER (WHERE state IN ('skipped', 'failed')) AS reason
FROM job_item WHERE job_id = $1 GROUP BY payload ->> 'category'
"""

_STORED = """
SELECT category, attribute_id, count(*) AS samples FROM sample WHERE job_id = $1
GROUP BY category, attribute_id
"""

# The places, among the drawn clean rows, of those in the sample.
_CLEAN = """
SELECT (i.payload ->> 'place')::integer AS place
FROM sample AS s JOIN job_item AS i ON i.job_id = s.job_id AND i.ordinal = s.ordinal
WHERE s.job_id = $1 AND s.category = 'clean'
"""

_FRAME = "SELECT frame FROM sample_frame WHERE job_id = $1"


class PostgresSamples(PostgresVersions, PostgresAttributes):
    """Keeps samples; every method works in the caller's transaction."""

    def __init__(self) -> None:
        super().__init__("sample_set", PHASE)

    async def scope(
        self, tx: Transaction, cycle_id: int, report_id: int, attribute_ids: Sequence[int] | None
    ) -> Scope:
        """The attributes that are sampled, the rules that people approved, and the sources.

        Key attributes are always among them: they identify the rows.
        """
        attributes = await report_attributes(tx, cycle_id, report_id)
        every = [_attribute(row) for row in attributes.values()]
        wanted, scoped_by = {one.id for one in every}, "report"
        if attribute_ids is not None:
            wanted, scoped_by = set(attribute_ids), "request"
        elif rows := await tx.fetch(_SCOPED, cycle_id, report_id):
            wanted, scoped_by = set(rows[0]["attribute_ids"] or ()), "scoping"
        sources = await data_sources(tx, report_id)
        rules = await tx.fetch(_RULES, cycle_id, report_id)
        return Scope(
            attributes=[one for one in every if one.id in wanted],
            keys=[one for one in every if one.is_key],
            rules={
                place: [one for one in found if one.attribute_id in wanted]
                for place, found in _sampled(rules, attributes, sources).items()
            },
            sources=sources,
            scoped_by=scoped_by,
        )

    async def decided_keys(
        self, tx: Transaction, set_id: str, job_id: str
    ) -> Mapping[str, Sequence[Mapping[str, str | None]]]:
        """Keys of the rows in a set that people have decided on, by table, without a job's own."""
        found: dict[str, list[Mapping[str, str | None]]] = {}
        for row in await tx.fetch(_DECIDED, set_id, job_id):
            found.setdefault(row["table_name"], []).append(row["source_key"])
        return found

    async def taken(
        self, tx: Transaction, set_id: str, job_id: str, hashes: Sequence[str]
    ) -> set[str]:
        """Which of some keys are already in the set, without those that `replace` removes."""
        return {row["key_hash"] for row in await tx.fetch(_TAKEN, set_id, job_id, hashes)}

    async def replace(
        self,
        tx: Transaction,
        set_id: str,
        job_id: str,
        samples: Sequence[NewSample],
        frame: Frame,
    ) -> None:
        """Store samples, replacing those of earlier jobs that nobody has decided on."""
        await tx.execute(_DELETE_UNDECIDED, set_id, job_id)
        await tx.execute(_STORE_FRAME, set_id, job_id, frame.to_json())
        records = [_record(one) for one in samples]
        await tx.execute(_INSERT, set_id, job_id, records, OFFLINE, MODEL, VERSION)

    async def totals(self, tx: Transaction, job: Job) -> SampleTotals:
        """What a job has stored, and which slots stayed empty."""
        slots = await tx.fetch(_REQUESTED, job.id)
        stored = await tx.fetch(_STORED, job.id)
        frames = await tx.fetch(_FRAME, job.id)
        frame = frames[0]["frame"] if frames else None
        by_category = dict.fromkeys(Category, 0)
        by_attribute: dict[int, int] = {}
        for row in stored:
            by_category[Category(row["category"])] += row["samples"]
            attribute_id = row["attribute_id"]
            by_attribute[attribute_id] = by_attribute.get(attribute_id, 0) + row["samples"]
        return SampleTotals(
            requested={Category(row["category"]): row["slots"] for row in slots},
            by_category=by_category,
            by_attribute=by_attribute,
            reasons={Category(row["category"]): row["reason"] for row in slots if row["reason"]},
            clean=_strata(frame, [row["place"] for row in await tx.fetch(_CLEAN, job.id)]),
            frame=frame,
        )


def _strata(frame: Mapping[str, Any] | None, places: Sequence[int]) -> Sequence[Stratum]:
    if frame is None:
        return ()
    # A frame of an older release does not have a row's stratum.
    strata = frame.get("strata", ())
    drawn = Counter(strata[place] for place in places if place < len(strata))
    return [Stratum(rows, drawn[at]) for at, rows in enumerate(frame["clean"])]


def _attribute(row: Row) -> SampledAttribute:
    return SampledAttribute(
        id=row["id"],
        name=row["name"],
        data_type=DataType(row["data_type"]),
        is_mandatory=row["mandatory"] == Obligation.MANDATORY,
        is_key=row["is_key"],
        is_critical=row["is_cde"],
        source_id=row["data_source_id"],
        table=row["table_name"],
        column=row["column_name"],
        written=written_as(row["format"]),
    )


def _sampled(
    rules: Sequence[Row], attributes: Mapping[str, Row], sources: Mapping[int, DataSource]
) -> Mapping[Place, Sequence[SampledRule]]:
    by_id = {str(row["id"]): row for row in rules}
    return {
        place: [
            SampledRule(
                rule=rule,
                attribute_id=by_id[rule.id]["attribute_id"],
                name=by_id[rule.id]["name"],
                severity=Risk(by_id[rule.id]["severity"]),
            )
            for rule in found
        ]
        for place, found in place_rules(rules, attributes, sources).by_place.items()
    }


def _record(one: NewSample) -> Mapping[str, object]:
    row, pool = one.row, one.row.pick.pool
    return {
        "ordinal": one.ordinal,
        "attribute_id": pool.attribute_id,
        "category": pool.category,
        "kind": pool.kind,
        "data_source_id": row.source_id,
        "table_name": row.table,
        "source_key": row.source_key,
        "key_hash": key_hash(row.table, row.source_key),
        "key_values": one.key_values,
        "row_data": row.data,
        "rationale": pool.reason,
        "rule_id": pool.rule_id,
        "risk": pool.risk,
        "confidence": pool.confidence,
    }
