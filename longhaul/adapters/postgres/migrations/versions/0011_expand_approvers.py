"""Approvers by role, the line of business that bounds them, and how they find what asks them."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

COLUMNS = {
    "job": {"approver_roles": "text[] NOT NULL DEFAULT '{}'", "lob": "text"},
    # Whom it may be told of: its owner as they were when it was made.
    "webhook": {"roles": "text[] NOT NULL DEFAULT '{}'", "lob": "text"},
}

STATEMENTS = [
    *(
        f"ALTER TABLE {table} ADD COLUMN {name} {kind}"
        for table, columns in COLUMNS.items()
        for name, kind in columns.items()
    ),
    # Most jobs ask nobody; they are in neither.
    "CREATE INDEX job_approvers ON job USING gin (approvers) WHERE cardinality(approvers) > 0",
    """CREATE INDEX job_approver_roles ON job USING gin (approver_roles)
       WHERE cardinality(approver_roles) > 0""",
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP INDEX job_approver_roles")
    op.execute("DROP INDEX job_approvers")
    for table, columns in COLUMNS.items():
        for name in columns:
            op.execute(f"ALTER TABLE {table} DROP COLUMN {name}")
