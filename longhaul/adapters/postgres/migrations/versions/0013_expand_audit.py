"""Who did what to schedules and webhooks; and deliveries that tell of no job: tests."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

STATEMENTS = [
    # No foreign keys: what was done stays known when the thing is gone.
    """
CREATE TABLE object_audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    object_id uuid NOT NULL,
    owner text NOT NULL,
    action text NOT NULL,
    by text NOT NULL,
    details jsonb NOT NULL DEFAULT '{}',
    time timestamptz NOT NULL
)
""",
    "CREATE INDEX object_audit_of ON object_audit (kind, object_id, id)",
    "ALTER TABLE webhook_delivery ALTER job_id DROP NOT NULL, ALTER job_version DROP NOT NULL",
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DELETE FROM webhook_delivery WHERE job_id IS NULL")
    op.execute(
        "ALTER TABLE webhook_delivery ALTER job_id SET NOT NULL, ALTER job_version SET NOT NULL"
    )
    op.execute("DROP TABLE object_audit")
