"""What a call followed: the state of the call before it, as it was when this one was sent."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Null for the first call of a step, and for calls of releases that did not note it.
    op.execute("ALTER TABLE llm_call ADD COLUMN follows text")


def downgrade() -> None:
    op.execute("ALTER TABLE llm_call DROP COLUMN follows")
