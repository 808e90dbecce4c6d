"""What is due of each webhook, so that deliveries are leased webhook by webhook."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """CREATE INDEX webhook_delivery_due_of ON webhook_delivery (webhook_id, due_at)
           WHERE state = 'pending'"""
    )


def downgrade() -> None:
    op.execute("DROP INDEX webhook_delivery_due_of")
