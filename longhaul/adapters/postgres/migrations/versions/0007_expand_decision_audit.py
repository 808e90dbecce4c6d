"""Who decided what: on one entry, or on a version as a whole."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

STATEMENTS = [
    # No foreign keys: what was decided stays known when entries give way to new ones.
    """
CREATE TABLE decision_audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    version_id text NOT NULL,
    entry_id text,
    action text NOT NULL,
    reviewer text CHECK (reviewer IN ('tester', 'report_owner')),
    by text NOT NULL,
    reason text NOT NULL DEFAULT '',
    details jsonb NOT NULL DEFAULT '{}',
    time timestamptz NOT NULL
)
""",
    "CREATE INDEX decision_audit_of_version ON decision_audit (kind, version_id, id)",
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE decision_audit")
