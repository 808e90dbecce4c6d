"""Sample sets, samples, test cases, their evidence and their executions."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_VERSION_STATUS = "('draft', 'pending_approval', 'approved', 'rejected', 'superseded')"
_DECISION = "('approved', 'rejected')"

STATEMENTS = [
    f"""
CREATE TABLE sample_set (
    id uuid PRIMARY KEY,
    cycle_id integer NOT NULL,
    report_id integer NOT NULL,
    phase_id integer NOT NULL REFERENCES phase,
    number integer NOT NULL,
    status text NOT NULL DEFAULT 'draft' CHECK (status IN {_VERSION_STATUS}),
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    FOREIGN KEY (cycle_id, report_id) REFERENCES cycle_report,
    UNIQUE (cycle_id, report_id, number)
)
""",
    """CREATE UNIQUE INDEX sample_set_one_draft ON sample_set (cycle_id, report_id)
       WHERE status = 'draft'""",
    f"""
CREATE TABLE sample (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    set_id uuid NOT NULL REFERENCES sample_set,
    attribute_id integer NOT NULL REFERENCES attribute,
    category text NOT NULL CHECK (category IN ('clean', 'anomaly', 'boundary')),
    kind text NOT NULL,
    data_source_id integer REFERENCES data_source,
    table_name text NOT NULL,
    source_key jsonb NOT NULL,
    key_hash text NOT NULL,
    key_values jsonb NOT NULL,
    row_data jsonb NOT NULL,
    rationale text NOT NULL,
    rule_id uuid REFERENCES rule ON DELETE SET NULL,
    risk text NOT NULL CHECK (risk IN ('low', 'medium', 'high', 'critical')),
    confidence double precision NOT NULL CHECK (confidence BETWEEN 0 AND 1),
    provider text NOT NULL,
    model text NOT NULL,
    prompt_version text NOT NULL,
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'approved', 'rejected')),
    tester_decision text CHECK (tester_decision IN {_DECISION}),
    report_owner_decision text CHECK (report_owner_decision IN {_DECISION}),
    job_id uuid,
    ordinal integer,
    created_at timestamptz NOT NULL,
    UNIQUE (set_id, key_hash)
)
""",
    "CREATE INDEX sample_of_job ON sample (job_id, ordinal)",
    # Beside the set, so that storing it asks for no lock that a reader of the set holds.
    """
CREATE TABLE sample_frame (
    job_id uuid PRIMARY KEY,
    set_id uuid NOT NULL REFERENCES sample_set,
    frame jsonb NOT NULL,
    created_at timestamptz NOT NULL
)
""",
    """
CREATE TABLE test_case (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cycle_id integer NOT NULL,
    report_id integer NOT NULL,
    phase_id integer NOT NULL REFERENCES phase,
    sample_id uuid NOT NULL REFERENCES sample,
    attribute_id integer NOT NULL REFERENCES attribute,
    expected_value text,
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL,
    FOREIGN KEY (cycle_id, report_id) REFERENCES cycle_report,
    UNIQUE (sample_id, attribute_id)
)
""",
    "CREATE INDEX test_case_of_report ON test_case (cycle_id, report_id, id)",
    """
CREATE TABLE evidence (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    test_case_id integer NOT NULL REFERENCES test_case,
    kind text NOT NULL CHECK (kind IN ('document', 'query', 'source')),
    content_hash text,
    content_type text,
    file_name text,
    size bigint,
    data_source_id integer REFERENCES data_source,
    query text,
    parameters jsonb,
    table_name text,
    column_name text,
    source_key jsonb,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    CHECK (kind <> 'document' OR content_hash IS NOT NULL),
    CHECK (kind <> 'query' OR (query IS NOT NULL AND data_source_id IS NOT NULL)),
    CHECK (kind <> 'source' OR (table_name IS NOT NULL AND column_name IS NOT NULL
                                AND source_key IS NOT NULL AND data_source_id IS NOT NULL))
)
""",
    "CREATE INDEX evidence_of_case ON evidence (test_case_id, id)",
    """
CREATE TABLE test_execution (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    test_case_id integer NOT NULL REFERENCES test_case,
    number integer NOT NULL,
    is_latest boolean NOT NULL,
    evidence_id integer NOT NULL REFERENCES evidence,
    reason text NOT NULL CHECK (reason IN ('initial', 'retry', 'evidence_updated',
                                           'manual_rerun')),
    status text NOT NULL CHECK (status = 'completed'),
    outcome text NOT NULL CHECK (outcome IN ('match', 'mismatch', 'not_found')),
    test_result text NOT NULL DEFAULT 'pending_review',
    extracted_value text,
    found_keys jsonb NOT NULL,
    location jsonb NOT NULL,
    comparison jsonb NOT NULL,
    confidence double precision NOT NULL CHECK (confidence BETWEEN 0 AND 1),
    rationale text NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    prompt_version text NOT NULL,
    duration_ms integer NOT NULL,
    job_id uuid NOT NULL,
    ordinal integer NOT NULL,
    executed_by text NOT NULL,
    executed_at timestamptz NOT NULL,
    UNIQUE (test_case_id, number)
)
""",
    """CREATE UNIQUE INDEX test_execution_one_latest ON test_execution (test_case_id)
       WHERE is_latest""",
    "CREATE INDEX test_execution_of_job ON test_execution (job_id, ordinal)",
    """
CREATE TABLE test_execution_audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    execution_id uuid NOT NULL REFERENCES test_execution,
    time timestamptz NOT NULL,
    action text NOT NULL,
    by text NOT NULL,
    details jsonb NOT NULL
)
""",
    "CREATE INDEX test_execution_audit_of ON test_execution_audit (execution_id, id)",
]

TABLES = [
    "test_execution_audit",
    "test_execution",
    "evidence",
    "test_case",
    "sample_frame",
    "sample",
    "sample_set",
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    for table in TABLES:
        op.execute(f"DROP TABLE {table}")
