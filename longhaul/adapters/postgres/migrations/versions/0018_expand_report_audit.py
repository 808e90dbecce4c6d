"""Who brought a report, and who added a data source to it."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

STATEMENTS = [
    """
CREATE TABLE report_audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    report_id integer NOT NULL REFERENCES report,
    action text NOT NULL,
    by text NOT NULL,
    details jsonb NOT NULL DEFAULT '{}',
    time timestamptz NOT NULL
)
""",
    "CREATE INDEX report_audit_of ON report_audit (report_id, id)",
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE report_audit")
