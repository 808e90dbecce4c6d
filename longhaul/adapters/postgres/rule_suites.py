"""The rules of versions as suites."""

from collections.abc import Mapping, Sequence

from longhaul.adapters.postgres.attributes import PostgresAttributes
from longhaul.core.expectations import kwargs_hash
from longhaul.core.ports import Transaction
from longhaul.core.rules import NewRules
from longhaul.core.suite_files import SuiteRule

_RULES = """
SELECT r.*, a.name AS attribute
FROM rule AS r JOIN attribute AS a ON a.id = r.attribute_id
WHERE r.version_id = $1 ORDER BY a.line_no, a.id, r.execution_order, r.id
"""

_IDS = """
SELECT a.name, a.id FROM attribute AS a JOIN phase AS p ON p.id = a.phase_id
WHERE p.cycle_id = $1 AND p.report_id = $2 AND a.is_active ORDER BY a.line_no, a.id
"""

_ADD = """
INSERT INTO rule (version_id, ordinal, attribute_id, expectation, kwargs, kwargs_hash, name,
                  description, rule_type, severity, execution_order, rationale,
                  regulatory_reference, confidence, provider, model, prompt_version, created_at)
SELECT $1, NULL, new.*, clock_timestamp()
FROM jsonb_to_recordset($2) AS new (
    attribute_id integer, expectation text, kwargs jsonb, kwargs_hash text, name text,
    description text, rule_type text, severity text, execution_order integer, rationale text,
    regulatory_reference text, confidence double precision, provider text, model text,
    prompt_version text)
ON CONFLICT (version_id, attribute_id, expectation, kwargs_hash) DO NOTHING
RETURNING id
"""

_ABOUT = (
    *("attribute", "name", "description", "rule_type", "severity", "execution_order"),
    *("rationale", "regulatory_reference", "confidence", "provider", "model", "prompt_version"),
)


class PostgresRuleSuites(PostgresAttributes):
    """Reads and adds rules; every method works in the caller's transaction."""

    async def rules(self, tx: Transaction, version_id: str) -> Sequence[SuiteRule]:
        """The rules of a version in the order of the form, with the name of their attribute."""
        return [
            SuiteRule(
                type=row["expectation"],
                kwargs=row["kwargs"],
                severity=row["severity"],
                about={name: row[name] for name in _ABOUT},
            )
            for row in await tx.fetch(_RULES, version_id)
        ]

    async def attribute_ids(
        self, tx: Transaction, cycle_id: int, report_id: int
    ) -> Mapping[str, int]:
        """The ids of the report's active attributes by their names."""
        return {row["name"]: row["id"] for row in await tx.fetch(_IDS, cycle_id, report_id)}

    async def add(
        self, tx: Transaction, version_id: str, rules: Sequence[NewRules]
    ) -> Sequence[str]:
        """Add rules to those that a version has, and return the ids of the new ones."""
        records = [record for new in rules for record in _records(new)]
        return [str(row["id"]) for row in await tx.fetch(_ADD, version_id, records)]


def _records(new: NewRules) -> Sequence[dict[str, object]]:
    proposal = new.proposal
    return [
        {
            "attribute_id": new.attribute_id,
            "expectation": draft.expectation,
            "kwargs": draft.kwargs,
            "kwargs_hash": kwargs_hash(draft.kwargs),
            "name": draft.name,
            "description": draft.description,
            "rule_type": draft.rule_type,
            "severity": draft.severity,
            "execution_order": draft.execution_order,
            "rationale": draft.rationale,
            "regulatory_reference": draft.regulatory_reference,
            "confidence": draft.confidence,
            "provider": proposal.provider,
            "model": proposal.model,
            "prompt_version": proposal.prompt_version,
        }
        for draft in proposal.drafts
    ]
