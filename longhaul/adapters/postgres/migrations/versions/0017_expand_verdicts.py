"""What people say of an execution is one of four words."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_CONSTRAINT = "test_execution_test_result_check"
_RESULTS = ("pending_review", "pass", "fail", "inconclusive")


def upgrade() -> None:
    op.execute(
        f"ALTER TABLE test_execution ADD CONSTRAINT {_CONSTRAINT} CHECK (test_result IN {_RESULTS})"
    )


def downgrade() -> None:
    op.execute(f"ALTER TABLE test_execution DROP CONSTRAINT {_CONSTRAINT}")
