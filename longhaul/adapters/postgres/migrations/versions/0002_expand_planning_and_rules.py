"""Planning (reports, cycles, attributes, sources, mappings) and rules."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_VERSION_STATUS = "('draft', 'pending_approval', 'approved', 'rejected', 'superseded')"

STATEMENTS = [
    """
CREATE TABLE report (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    regulation text NOT NULL,
    lob text NOT NULL
)
""",
    """
CREATE TABLE cycle (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    starts_on date NOT NULL
)
""",
    """
CREATE TABLE cycle_report (
    cycle_id integer NOT NULL REFERENCES cycle,
    report_id integer NOT NULL REFERENCES report,
    PRIMARY KEY (cycle_id, report_id)
)
""",
    """
CREATE TABLE phase (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cycle_id integer NOT NULL,
    report_id integer NOT NULL,
    name text NOT NULL,
    FOREIGN KEY (cycle_id, report_id) REFERENCES cycle_report,
    UNIQUE (cycle_id, report_id, name)
)
""",
    """
CREATE TABLE attribute (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    phase_id integer NOT NULL REFERENCES phase,
    line_no integer NOT NULL,
    name text NOT NULL,
    mdrm text NOT NULL DEFAULT '',
    data_type text NOT NULL CHECK (data_type IN ('String', 'Integer', 'Decimal', 'Date', 'DateTime',
                                                 'Boolean', 'JSON')),
    mandatory text NOT NULL CHECK (mandatory IN ('Mandatory', 'Conditional', 'Optional')),
    description text NOT NULL DEFAULT '',
    format text NOT NULL DEFAULT '',
    is_key boolean NOT NULL DEFAULT false,
    is_cde boolean NOT NULL DEFAULT false,
    has_issues boolean NOT NULL DEFAULT false,
    is_active boolean NOT NULL DEFAULT true,
    sample_values jsonb NOT NULL DEFAULT '[]',
    UNIQUE (phase_id, name)
)
""",
    """
CREATE TABLE data_source (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    report_id integer NOT NULL REFERENCES report,
    name text NOT NULL,
    kind text NOT NULL,
    location text NOT NULL,
    secret_ref text,
    UNIQUE (report_id, name)
)
""",
    """
CREATE TABLE pde_mapping (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    phase_id integer NOT NULL REFERENCES phase,
    attribute_id integer NOT NULL REFERENCES attribute,
    data_source_id integer REFERENCES data_source,
    table_name text,
    column_name text,
    job_id uuid,
    ordinal integer,
    UNIQUE (phase_id, attribute_id)
)
""",
    f"""
CREATE TABLE rule_version (
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
    """CREATE UNIQUE INDEX rule_version_one_draft ON rule_version (cycle_id, report_id)
       WHERE status = 'draft'""",
    """
CREATE TABLE rule (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    version_id uuid NOT NULL REFERENCES rule_version,
    attribute_id integer NOT NULL REFERENCES attribute,
    expectation text NOT NULL,
    kwargs jsonb NOT NULL,
    kwargs_hash text NOT NULL,
    name text NOT NULL,
    description text NOT NULL DEFAULT '',
    rule_type text NOT NULL CHECK (rule_type IN ('completeness', 'validity', 'accuracy',
                                                 'consistency', 'uniqueness', 'format')),
    severity text NOT NULL CHECK (severity IN ('low', 'medium', 'high', 'critical')),
    execution_order integer NOT NULL,
    rationale text NOT NULL,
    regulatory_reference text NOT NULL DEFAULT '',
    confidence double precision NOT NULL CHECK (confidence BETWEEN 0 AND 1),
    provider text NOT NULL,
    model text NOT NULL,
    prompt_version text NOT NULL,
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'approved', 'rejected')),
    tester_decision text CHECK (tester_decision IN ('approved', 'rejected')),
    report_owner_decision text CHECK (report_owner_decision IN ('approved', 'rejected')),
    job_id uuid,
    ordinal integer,
    created_at timestamptz NOT NULL,
    UNIQUE (version_id, attribute_id, expectation, kwargs_hash)
)
""",
    "CREATE INDEX rule_of_job ON rule (job_id, ordinal)",
]

TABLES = [
    "rule",
    "rule_version",
    "pde_mapping",
    "data_source",
    "attribute",
    "phase",
    "cycle_report",
    "cycle",
    "report",
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    for table in TABLES:
        op.execute(f"DROP TABLE {table}")
