"""Quality reports: what a run of rules came to, kept as a document."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

STATEMENTS = [
    # Of each attempt one, written once. It goes when its job is purged.
    """
CREATE TABLE quality_report (
    job_id uuid NOT NULL REFERENCES job ON DELETE CASCADE,
    attempt integer NOT NULL,
    document jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (job_id, attempt)
)
""",
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE quality_report")
