"""Rules one by one, as people change them."""

import asyncpg

from longhaul.adapters.postgres.attributes import PostgresAttributes
from longhaul.core.errors import InvalidInput
from longhaul.core.expectations import kwargs_hash
from longhaul.core.ports import Transaction
from longhaul.core.rule_edits import EditableRule
from longhaul.core.rules import ProposedRule, RuleDraft

_TAKE = """
SELECT id, attribute_id, execution_order, expectation AS type, kwargs, name, description, rule_type,
       severity, rationale, regulatory_reference, confidence
FROM rule WHERE version_id = $1 AND id = $2 FOR NO KEY UPDATE
"""

_PUT_BACK = """
UPDATE rule SET expectation = $2, kwargs = $3, kwargs_hash = $4, name = $5, description = $6,
    rule_type = $7, severity = $8, execution_order = $9, rationale = $10,
    regulatory_reference = $11
WHERE id = $1
"""


class PostgresRuleShelf(PostgresAttributes):
    """Keeps rules; every method works in the caller's transaction."""

    async def take(self, tx: Transaction, version_id: str, rule_id: str) -> EditableRule | None:
        """Lock a rule of a version; None when it has no such rule."""
        rows = await tx.fetch(_TAKE, version_id, rule_id)
        if not rows:
            return None
        (row,) = rows
        return EditableRule(
            id=str(row["id"]),
            attribute_id=row["attribute_id"],
            execution_order=row["execution_order"],
            # It was checked when it was stored, perhaps under other limits.
            rule=ProposedRule.model_construct(
                **{name: row[name] for name in ProposedRule.model_fields}
            ),
        )

    async def put_back(self, tx: Transaction, rule_id: str, draft: RuleDraft) -> None:
        """Store a changed rule."""
        try:
            async with tx.nested():
                await tx.execute(
                    _PUT_BACK,
                    rule_id,
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
                )
        except asyncpg.UniqueViolationError:
            raise InvalidInput("Another rule of this attribute is the same.") from None
