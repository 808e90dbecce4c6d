"""The next jobs to start are found where they are, however many wait behind them."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

STATEMENTS = [
    "CREATE INDEX job_urgent ON job (priority DESC, dispatch_after) WHERE status = 'pending'",
    # Of types that are limited: the next ones, and how many have a place already. The last one
    # takes the place of job_live_type, which the code before this release still uses.
    """CREATE INDEX job_urgent_of_type ON job (job_type, priority DESC, dispatch_after)
       WHERE status = 'pending' AND dispatched_at IS NULL""",
    """CREATE INDEX job_started_of_type ON job (job_type)
       WHERE status NOT IN ('completed', 'failed', 'cancelled')
       AND (status <> 'pending' OR dispatched_at IS NOT NULL)""",
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    for index in ("job_started_of_type", "job_urgent_of_type", "job_urgent"):
        op.execute(f"DROP INDEX {index}")
