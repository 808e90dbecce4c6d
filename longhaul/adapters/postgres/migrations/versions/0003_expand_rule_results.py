"""What executing rules has shown."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATEMENTS = [
    """
CREATE TABLE rule_result (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    job_id uuid NOT NULL,
    ordinal integer NOT NULL,
    version_id uuid NOT NULL REFERENCES rule_version,
    rule_id uuid NOT NULL REFERENCES rule,
    data_source_id integer REFERENCES data_source,
    table_name text NOT NULL,
    table_rows bigint NOT NULL,
    execution_status text NOT NULL CHECK (execution_status IN ('passed', 'failed')),
    total bigint NOT NULL,
    considered bigint NOT NULL,
    passed bigint NOT NULL,
    failed bigint NOT NULL,
    pass_rate double precision NOT NULL CHECK (pass_rate BETWEEN 0 AND 100),
    has_anomaly boolean NOT NULL,
    observed double precision,
    examples jsonb NOT NULL DEFAULT '[]',
    duration_ms integer NOT NULL,
    created_at timestamptz NOT NULL,
    UNIQUE (job_id, rule_id)
)
""",
    "CREATE INDEX rule_result_of_rule ON rule_result (rule_id, created_at)",
    "CREATE INDEX rule_result_of_version ON rule_result (version_id, created_at)",
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE rule_result")
