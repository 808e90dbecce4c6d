"""The platform's own tables: jobs, their items, calls and audit."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STATEMENTS = [
    """
CREATE TABLE job (
    id uuid PRIMARY KEY,
    job_type text NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'running', 'pausing', 'paused', 'resuming',
                                           'completed', 'failed', 'cancelled')),
    outcome text CHECK (outcome IN ('succeeded', 'partial', 'failed', 'cancelled')),
    owner text NOT NULL,
    attempt integer NOT NULL DEFAULT 1,
    epoch integer NOT NULL DEFAULT 0,
    version bigint NOT NULL DEFAULT 1,
    generation integer NOT NULL DEFAULT 0,
    mode text NOT NULL DEFAULT 'run' CHECK (mode IN ('run', 'drain', 'now')),
    pause jsonb,
    requested text CHECK (requested IN ('pause', 'resume', 'cancel')),
    priority smallint NOT NULL DEFAULT 5 CHECK (priority BETWEEN 0 AND 10),
    description text NOT NULL DEFAULT '',
    parameters jsonb NOT NULL,
    frozen jsonb NOT NULL DEFAULT '{}',
    concurrency integer NOT NULL CHECK (concurrency BETWEEN 1 AND 1000),
    stop_after_failure_ratio double precision,
    deadline_seconds double precision,
    metadata jsonb NOT NULL DEFAULT '{}',
    cycle_id integer,
    report_id integer,
    singleton_key text,
    total integer NOT NULL DEFAULT 0,
    done integer NOT NULL DEFAULT 0,
    failed integer NOT NULL DEFAULT 0,
    skipped integer NOT NULL DEFAULT 0,
    calls_made integer NOT NULL DEFAULT 0,
    calls_repeated integer NOT NULL DEFAULT 0,
    calls_retried integer NOT NULL DEFAULT 0,
    input_tokens bigint NOT NULL DEFAULT 0,
    output_tokens bigint NOT NULL DEFAULT 0,
    cost_usd numeric(18, 8),
    current_step text NOT NULL DEFAULT '',
    result jsonb,
    fault jsonb,
    run_id text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    start_at timestamptz,
    dispatch_after timestamptz NOT NULL,
    started_at timestamptz,
    planned_at timestamptz,
    paused_at timestamptz,
    completed_at timestamptz
) WITH (fillfactor = 50)
""",
    # Lists are newest first and walk by (created_at, id), for everyone, one owner, one report.
    "CREATE INDEX job_newest ON job (created_at DESC, id DESC)",
    "CREATE INDEX job_owner_newest ON job (owner, created_at DESC, id DESC)",
    "CREATE INDEX job_type_newest ON job (job_type, created_at DESC, id DESC)",
    "CREATE INDEX job_status_newest ON job (status, created_at DESC, id DESC)",
    "CREATE INDEX job_report_newest ON job (cycle_id, report_id, created_at DESC, id DESC)",
    """CREATE INDEX job_live_newest ON job (created_at DESC, id DESC)
       WHERE status NOT IN ('completed', 'failed', 'cancelled')""",
    "CREATE INDEX job_due ON job (dispatch_after) WHERE status = 'pending'",
    """CREATE UNIQUE INDEX job_singleton ON job (singleton_key)
       WHERE status NOT IN ('completed', 'failed', 'cancelled')""",
    # A finished item is rewritten in place: no index names a column that changes. No foreign
    # key to job either: it would look up and lock the same job row for each of a million items.
    """
CREATE TABLE job_item (
    job_id uuid NOT NULL,
    ordinal integer NOT NULL,
    item_key text NOT NULL,
    label text NOT NULL DEFAULT '',
    payload jsonb,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'done', 'failed', 'skipped')),
    attempts smallint NOT NULL DEFAULT 0,
    losses smallint NOT NULL DEFAULT 0,
    error_code text,
    error_message text,
    output jsonb,
    duration_ms integer,
    updated_at timestamptz,
    PRIMARY KEY (job_id, ordinal),
    UNIQUE (item_key, job_id)
) WITH (fillfactor = 45)
""",
    """
CREATE TABLE llm_call (
    job_id uuid NOT NULL,
    attempt integer NOT NULL,
    ordinal integer NOT NULL,
    step text NOT NULL,
    try integer NOT NULL,
    token uuid NOT NULL,
    state text NOT NULL DEFAULT 'sent' CHECK (state IN ('sent', 'answered', 'failed')),
    provider text NOT NULL,
    model text NOT NULL,
    fingerprint text NOT NULL,
    reply text,
    reply_model text,
    failure text,
    input_tokens integer,
    output_tokens integer,
    cached_tokens integer,
    cost_usd numeric(18, 8),
    duration_ms integer,
    sent_at timestamptz NOT NULL,
    ended_at timestamptz,
    PRIMARY KEY (job_id, ordinal, attempt, step, try)
) WITH (fillfactor = 50)
""",
    """
CREATE TABLE job_audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id uuid NOT NULL,
    attempt integer NOT NULL,
    version bigint NOT NULL,
    action text NOT NULL,
    by text NOT NULL,
    details jsonb NOT NULL DEFAULT '{}',
    time timestamptz NOT NULL
)
""",
    "CREATE INDEX job_audit_of_job ON job_audit (job_id, id)",
    """
CREATE TABLE idempotency_key (
    owner text NOT NULL,
    key text NOT NULL,
    body_hash text NOT NULL,
    job_id uuid NOT NULL REFERENCES job ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (owner, key)
)
""",
    "CREATE INDEX idempotency_key_expiry ON idempotency_key (expires_at)",
    "CREATE INDEX idempotency_key_of_job ON idempotency_key (job_id)",
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    for table in ("idempotency_key", "job_audit", "llm_call", "job_item", "job"):
        op.execute(f"DROP TABLE {table}")
