"""People's decisions, joined: where they are kept, and what follows from them."""

from longhaul.activities.decisions import Decisions
from longhaul.activities.rule_editing import RuleEditing
from longhaul.adapters.postgres.approved_samples import ApprovedSamples
from longhaul.adapters.postgres.cases import PostgresCases
from longhaul.adapters.postgres.decisions import PostgresDecisions
from longhaul.adapters.postgres.rule_edits import PostgresRuleShelf
from longhaul.core.decisions import Kind
from longhaul.core.ports import RegexDialects


def build_decisions() -> Decisions:
    """Build what carries out decisions."""
    return Decisions(
        PostgresDecisions(), consequences={Kind.SAMPLES: ApprovedSamples(PostgresCases())}
    )


def build_rule_editing(regexes: RegexDialects) -> RuleEditing:
    """Build what changes rules."""
    return RuleEditing(shelf=PostgresRuleShelf(), decisions=PostgresDecisions(), regexes=regexes)
