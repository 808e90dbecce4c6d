"""Flows: jobs that are steps of a job, and what people were asked."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

COLUMNS = {
    "parent_id": "uuid",
    "step": "text",
    "waiting_for": "text",
    "owner_roles": "text[] NOT NULL DEFAULT '{}'",
    "owner_lob": "text",
    "approvers": "text[] NOT NULL DEFAULT '{}'",
}

STATEMENTS = [
    *(f"ALTER TABLE job ADD COLUMN {name} {kind}" for name, kind in COLUMNS.items()),
    # A step has one job for good: its retries are attempts of that job.
    "CREATE UNIQUE INDEX job_step ON job (parent_id, step) WHERE parent_id IS NOT NULL",
    """
CREATE TABLE job_approval (
    job_id uuid NOT NULL REFERENCES job ON DELETE CASCADE,
    step text NOT NULL,
    attempt integer NOT NULL,
    state text NOT NULL DEFAULT 'waiting'
        CHECK (state IN ('waiting', 'approved', 'rejected', 'timed_out')),
    asked_at timestamptz NOT NULL,
    deadline timestamptz NOT NULL,
    remind_at timestamptz,
    decided_at timestamptz,
    decided_by text,
    reason text NOT NULL DEFAULT '',
    PRIMARY KEY (job_id, step, attempt)
)
""",
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE job_approval")
    op.execute("DROP INDEX job_step")
    for name in COLUMNS:
        op.execute(f"ALTER TABLE job DROP COLUMN {name}")
