"""People's decisions, joined: where they are kept, and what follows from an approval."""

from longhaul.activities.decisions import Decisions
from longhaul.adapters.postgres.decisions import PostgresDecisions


def build_decisions() -> Decisions:
    """Build what carries out decisions."""
    return Decisions(PostgresDecisions(), hooks={})
