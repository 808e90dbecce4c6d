"""Versions with entries to decide on."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.rules import PostgresRules
from longhaul.core.expectations import BETWEEN, NOT_NULL, UNIQUE
from longhaul.core.rules import NewRules, RuleDraft, RuleProposal, RuleType, Severity
from tests.rule_samples import Seeded, form_attributes, seed_report

RULES_AN_ATTRIBUTE = 3


@dataclass(frozen=True)
class SeededVersion:
    """A draft of rules, three for each attribute."""

    id: str
    report: Seeded

    @property
    def rules(self) -> int:
        return RULES_AN_ATTRIBUTE * len(self.report.attribute_ids)


def make_draft(expectation: str, column: str, order: int, **kwargs: object) -> RuleDraft:
    return RuleDraft(
        expectation=expectation,
        kwargs={"column": column, **kwargs},
        name=f"{column} {order}",
        description="It checks.",
        rule_type=RuleType.VALIDITY,
        severity=Severity.HIGH,
        execution_order=order,
        rationale="Because.",
        regulatory_reference="line 1",
        confidence=0.5,
    )


async def seed_rules(
    database: PostgresDatabase,
    *,
    attributes: int = 2,
    name: str = "FR Y-14M A.1",
    report: Seeded | None = None,
) -> SeededVersion:
    """Store a report, unless there is one, with a draft version of rules."""
    fields = form_attributes("a1")[:attributes]
    report = report or await seed_report(database, fields, name=name)
    rules = [
        NewRules(
            attribute_id=attribute_id,
            ordinal=ordinal,
            proposal=RuleProposal(
                drafts=tuple(
                    make_draft(expectation, field.name, order)
                    for order, expectation in enumerate((NOT_NULL, UNIQUE, BETWEEN), start=1)
                ),
                provider="offline",
                model="rules",
                prompt_version="1",
            ),
        )
        for ordinal, (attribute_id, field) in enumerate(
            zip(report.attribute_ids, fields, strict=True)
        )
    ]
    store = PostgresRules()
    async with database.begin() as tx:
        version = await store.draft(tx, report.cycle_id, report.report_id, "u-1")
        assert version is not None
        await store.replace(tx, version.id, str(uuid.uuid4()), rules)
    return SeededVersion(version.id, report)


async def rule_ids(database: PostgresDatabase, version_id: str) -> Sequence[str]:
    async with database.begin() as tx:
        rows = await tx.fetch(
            "SELECT id FROM rule WHERE version_id = $1 ORDER BY attribute_id, execution_order",
            version_id,
        )
    return [str(row["id"]) for row in rows]
