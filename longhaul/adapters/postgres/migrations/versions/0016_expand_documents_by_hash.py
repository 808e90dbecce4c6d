"""Documents are found by their hash, whatever test case they were given for."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE INDEX evidence_of_document ON evidence (content_hash, id)"
        " WHERE content_hash IS NOT NULL"
    )


def downgrade() -> None:
    op.execute("DROP INDEX evidence_of_document")
