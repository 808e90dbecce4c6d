"""Executions that saw only the row that the sample came from, and found it unchanged."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_CONSTRAINT = "test_execution_outcome_check"


def upgrade() -> None:
    _allow("match", "mismatch", "unchanged", "not_found")


def downgrade() -> None:
    op.execute("UPDATE test_execution SET outcome = 'match' WHERE outcome = 'unchanged'")
    _allow("match", "mismatch", "not_found")


def _allow(*outcomes: str) -> None:
    op.execute(
        f"ALTER TABLE test_execution DROP CONSTRAINT {_CONSTRAINT},"
        f" ADD CONSTRAINT {_CONSTRAINT} CHECK (outcome IN {outcomes})"
    )
