"""Rule versions and rules."""

from collections import Counter
from collections.abc import Sequence

from longhaul.adapters.postgres.attributes import PostgresAttributes
from longhaul.adapters.postgres.versions import PostgresVersions
from longhaul.core.expectations import kwargs_hash
from longhaul.core.ports import Transaction
from longhaul.core.rules import NewRules, RuleTotals

PHASE = "Data Profiling"

# The most names in a result; for more, people read the items.
MOST_NAMES = 1_000

_HAS_RULES = "SELECT 1 FROM rule WHERE version_id = $1 AND attribute_id = $2 LIMIT 1"

# Locked in the order in which people's decisions lock them.
_DELETE_UNDECIDED = """
DELETE FROM rule WHERE id IN (
    SELECT id FROM rule WHERE version_id = $1 AND attribute_id = ANY ($2) AND status = 'pending'
        AND tester_decision IS NULL AND report_owner_decision IS NULL
    ORDER BY id FOR UPDATE)
"""

# A rule that somebody has decided on stays, and an equal one is not proposed again.
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


class PostgresRules(PostgresVersions, PostgresAttributes):
    """Keeps rules; every method works in the caller's transaction."""

    def __init__(self) -> None:
        super().__init__("rule_version", PHASE)

    async def has_rules(self, tx: Transaction, version_id: str, attribute_id: int) -> bool:
        """Whether the attribute has rules in the version."""
        return bool(await tx.fetch(_HAS_RULES, version_id, attribute_id))

    async def replace(
        self, tx: Transaction, version_id: str, job_id: str, rules: Sequence[NewRules]
    ) -> None:
        """Replace the rules that nobody has decided on."""
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
