"""Rule versions and rules."""

from collections import Counter
from collections.abc import Sequence

from longhaul.adapters.postgres.attributes import PostgresAttributes
from longhaul.core.errors import Unavailable
from longhaul.core.expectations import kwargs_hash
from longhaul.core.ports import Row, Transaction
from longhaul.core.rules import NewRules, RuleTotals, RuleVersion, VersionStatus

PHASE = "Data Profiling"

# A result is shown to people: past this many names they look at the items instead.
MOST_NAMES = 1_000

_TRIES = 5

_VERSION = """
SELECT v.id, v.cycle_id, v.report_id, v.phase_id, v.status, r.name AS report_name, r.lob
FROM rule_version AS v JOIN report AS r ON r.id = v.report_id
"""

_ONE_VERSION = f"{_VERSION} WHERE v.id = $1"

_DRAFT = f"{_VERSION} WHERE v.cycle_id = $1 AND v.report_id = $2 AND v.status = 'draft'"

_KNOWN = "SELECT 1 FROM cycle_report WHERE cycle_id = $1 AND report_id = $2"

_ENSURE_PHASE = """
INSERT INTO phase (cycle_id, report_id, name) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
"""

# Without a conflict target, so that losing the race for the number is no error either.
_CREATE_DRAFT = """
INSERT INTO rule_version (id, cycle_id, report_id, phase_id, number, created_by, created_at)
SELECT gen_random_uuid(), p.cycle_id, p.report_id, p.id,
       1 + coalesce((SELECT max(number) FROM rule_version
                     WHERE cycle_id = p.cycle_id AND report_id = p.report_id), 0),
       $4, clock_timestamp()
FROM phase AS p WHERE p.cycle_id = $1 AND p.report_id = $2 AND p.name = $3
ON CONFLICT DO NOTHING
"""

_HAS_RULES = "SELECT 1 FROM rule WHERE version_id = $1 AND attribute_id = $2 LIMIT 1"

_HOLD = "SELECT status FROM rule_version WHERE id = $1 FOR SHARE"

_DELETE_UNDECIDED = """
DELETE FROM rule WHERE version_id = $1 AND attribute_id = ANY ($2) AND status = 'pending'
    AND tester_decision IS NULL AND report_owner_decision IS NULL
"""

# A rule that somebody has decided on stays, and its equal is not proposed a second time.
_INSERT = """
INSERT INTO rule (version_id, job_id, attribute_id, ordinal, expectation, kwargs, kwargs_hash, name,
                  description, rule_type, severity, execution_order, rationale,
                  regulatory_reference, confidence, provider, model, prompt_version, created_at)
SELECT $1, $2, new.*, clock_timestamp()
FROM unnest($3::integer[], $4::integer[], $5::text[], $6::jsonb[], $7::text[], $8::text[],
            $9::text[], $10::text[], $11::text[], $12::integer[], $13::text[], $14::text[],
            $15::double precision[], $16::text[], $17::text[], $18::text[]) AS new
ON CONFLICT (version_id, attribute_id, expectation, kwargs_hash) DO NOTHING
"""

_TOTALS = """
SELECT rule_type, severity, count(*) AS rules FROM rule WHERE version_id = $1 AND job_id = $2
GROUP BY rule_type, severity ORDER BY rule_type, severity
"""

_WITHOUT_RULES = """
SELECT a.name
FROM job_item AS i JOIN attribute AS a ON a.id = (i.payload ->> 'attribute_id')::integer
WHERE i.job_id = $2
    AND NOT EXISTS (SELECT FROM rule AS r WHERE r.version_id = $1 AND r.attribute_id = a.id)
ORDER BY i.ordinal LIMIT $3
"""

_EXAMPLES = """
SELECT * FROM (
    SELECT DISTINCT ON (r.rule_type) r.*, a.name AS attribute
    FROM rule AS r JOIN attribute AS a ON a.id = r.attribute_id
    WHERE r.job_id = $1
    ORDER BY r.rule_type, r.confidence DESC, r.ordinal, r.execution_order
) AS kinds
ORDER BY execution_order DESC, rule_type LIMIT $2
"""


class PostgresRules(PostgresAttributes):
    """Keeps rules; every method works in the caller's transaction."""

    async def version(self, tx: Transaction, version_id: str) -> RuleVersion | None:
        """Read a version."""
        rows = await tx.fetch(_ONE_VERSION, version_id)
        return _version(rows[0]) if rows else None

    async def draft(
        self, tx: Transaction, cycle_id: int, report_id: int, by: str
    ) -> RuleVersion | None:
        """The report's draft version, created if there is none."""
        if not await tx.fetch(_KNOWN, cycle_id, report_id):
            return None
        for _ in range(_TRIES):
            rows = await tx.fetch(_DRAFT, cycle_id, report_id)
            if rows:
                return _version(rows[0])
            # Whoever is second waits here for the first one's commit.
            await tx.execute(_ENSURE_PHASE, cycle_id, report_id, PHASE)
            await tx.execute(_CREATE_DRAFT, cycle_id, report_id, PHASE, by)
        raise Unavailable("The report's draft version keeps changing; try again.")

    async def has_rules(self, tx: Transaction, version_id: str, attribute_id: int) -> bool:
        """Whether the attribute has rules in the version."""
        return bool(await tx.fetch(_HAS_RULES, version_id, attribute_id))

    async def hold_draft(self, tx: Transaction, version_id: str) -> bool:
        """Keep the version as it is until the transaction ends; False when it is no draft."""
        rows = await tx.fetch(_HOLD, version_id)
        return bool(rows) and rows[0]["status"] == VersionStatus.DRAFT

    async def replace(
        self, tx: Transaction, version_id: str, job_id: str, rules: Sequence[NewRules]
    ) -> None:
        """Put new rules in the place of those that nobody has decided on."""
        await tx.execute(_DELETE_UNDECIDED, version_id, [new.attribute_id for new in rules])
        records = [record for new in rules for record in _records(new)]
        if records:
            columns = [list(column) for column in zip(*records, strict=True)]
            await tx.execute(_INSERT, version_id, job_id, *columns)

    async def totals(self, tx: Transaction, version_id: str, job_id: str) -> RuleTotals:
        """Add up what a job has stored."""
        by_type: Counter[str] = Counter()
        by_severity: Counter[str] = Counter()
        for row in await tx.fetch(_TOTALS, version_id, job_id):
            by_type[row["rule_type"]] += row["rules"]
            by_severity[row["severity"]] += row["rules"]
        without = await tx.fetch(_WITHOUT_RULES, version_id, job_id, MOST_NAMES)
        return RuleTotals(
            rules=by_type.total(),
            by_type=dict(by_type),
            by_severity=dict(by_severity),
            attributes_without_rules=tuple(row["name"] for row in without),
        )

    async def examples(self, tx: Transaction, job_id: str, count: int) -> Sequence[Row]:
        """Some rules of a job to show to a person: with their attribute, each of another type."""
        return await tx.fetch(_EXAMPLES, job_id, count)


def _records(new: NewRules) -> list[tuple[object, ...]]:
    proposal = new.proposal
    return [
        (
            new.attribute_id,
            new.ordinal,
            draft.expectation,
            draft.kwargs,
            kwargs_hash(draft.kwargs),
            draft.name,
            draft.description,
            draft.rule_type,
            draft.severity,
            draft.execution_order,
            draft.rationale,
            draft.regulatory_reference,
            draft.confidence,
            proposal.provider,
            proposal.model,
            proposal.prompt_version,
        )
        for draft in proposal.drafts
    ]


def _version(row: Row) -> RuleVersion:
    return RuleVersion(
        id=str(row["id"]),
        cycle_id=row["cycle_id"],
        report_id=row["report_id"],
        phase_id=row["phase_id"],
        status=VersionStatus(row["status"]),
        report_name=row["report_name"],
        lob=row["lob"],
    )
