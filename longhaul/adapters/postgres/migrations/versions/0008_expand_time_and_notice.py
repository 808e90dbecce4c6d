"""Webhooks, schedules, retention, and what the limits of job types are counted by."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

STATEMENTS = [
    # When the current attempt was leased to be started; it holds its place from then on.
    "ALTER TABLE job ADD COLUMN dispatched_at timestamptz",
    """CREATE INDEX job_live_type ON job (job_type)
       WHERE status NOT IN ('completed', 'failed', 'cancelled')""",
    """CREATE INDEX job_ended ON job (completed_at)
       WHERE status IN ('completed', 'failed', 'cancelled')""",
    # The starts of the last minute, of job types that are limited by it.
    "CREATE TABLE job_start (job_type text NOT NULL, time timestamptz NOT NULL)",
    "CREATE INDEX job_start_of_type ON job_start (job_type, time)",
    """
CREATE TABLE webhook (
    id uuid PRIMARY KEY,
    owner text NOT NULL,
    url text NOT NULL,
    events text[] NOT NULL,
    sealed_secret bytea NOT NULL,
    created_at timestamptz NOT NULL
)
""",
    "CREATE INDEX webhook_of_owner ON webhook (owner, created_at)",
    # The outbox. No foreign keys: the end of a job must not wait for somebody who deletes
    # a webhook, nor the purge of a job for its deliveries.
    """
CREATE TABLE webhook_delivery (
    id uuid PRIMARY KEY,
    webhook_id uuid NOT NULL,
    event text NOT NULL,
    job_id uuid NOT NULL,
    job_version bigint NOT NULL,
    payload jsonb NOT NULL,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'failed')),
    tries integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    ended_at timestamptz
)
""",
    "CREATE INDEX webhook_delivery_due ON webhook_delivery (due_at) WHERE state = 'pending'",
    "CREATE INDEX webhook_delivery_newest ON webhook_delivery (webhook_id, created_at DESC)",
    "CREATE INDEX webhook_delivery_age ON webhook_delivery (created_at)",
    """
CREATE TABLE webhook_try (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    delivery_id uuid NOT NULL REFERENCES webhook_delivery ON DELETE CASCADE,
    time timestamptz NOT NULL,
    status_code integer,
    error text,
    duration_ms integer NOT NULL
)
""",
    "CREATE INDEX webhook_try_of_delivery ON webhook_try (delivery_id, id)",
    """
CREATE TABLE schedule (
    id uuid PRIMARY KEY,
    owner text NOT NULL,
    roles text[] NOT NULL,
    lob text,
    job_type text NOT NULL,
    request jsonb NOT NULL,
    cron text,
    every_seconds integer,
    time_zone text NOT NULL,
    paused boolean NOT NULL DEFAULT false,
    version bigint NOT NULL DEFAULT 1,
    synced_version bigint NOT NULL DEFAULT 0,
    deleted boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CHECK ((cron IS NULL) <> (every_seconds IS NULL))
)
""",
    "CREATE INDEX schedule_of_owner ON schedule (owner, created_at)",
    "CREATE INDEX schedule_unsynced ON schedule (id) WHERE version <> synced_version OR deleted",
    """
CREATE TABLE schedule_firing (
    schedule_id uuid NOT NULL REFERENCES schedule ON DELETE CASCADE,
    scheduled_at timestamptz NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('started', 'skipped', 'refused')),
    job_id uuid,
    detail text NOT NULL DEFAULT '',
    time timestamptz NOT NULL,
    PRIMARY KEY (schedule_id, scheduled_at)
)
""",
    "CREATE INDEX schedule_firing_age ON schedule_firing (time)",
    # Jobs whose row is gone and whose items and calls are still to be deleted.
    "CREATE TABLE job_purge (job_id uuid PRIMARY KEY, time timestamptz NOT NULL)",
    # What the system's own schedules came to: the last run of each.
    """
CREATE TABLE system_run (
    name text PRIMARY KEY,
    ok boolean NOT NULL,
    details jsonb NOT NULL,
    time timestamptz NOT NULL
)
""",
]

TABLES = [
    "system_run", "job_purge", "schedule_firing", "schedule", "webhook_try", "webhook_delivery",
    "webhook", "job_start",
]  # fmt: skip


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    for table in TABLES:
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP INDEX job_ended")
    op.execute("DROP INDEX job_live_type")
    op.execute("ALTER TABLE job DROP COLUMN dispatched_at")
