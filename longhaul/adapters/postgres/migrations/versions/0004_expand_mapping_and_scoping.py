"""What mappings are proposed with, and scoping versions with their recommendations."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_VERSION_STATUS = "('draft', 'pending_approval', 'approved', 'rejected', 'superseded')"
_DECISIONS = """
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'approved', 'rejected')),
    tester_decision text CHECK (tester_decision IN ('approved', 'rejected')),
    report_owner_decision text CHECK (report_owner_decision IN ('approved', 'rejected'))
"""
_PART = "smallint NOT NULL CHECK ({0} BETWEEN 1 AND 15)"
_FLAG = "smallint NOT NULL CHECK ({0} IN (0, 20))"

MAPPING_COLUMNS = {
    "mapping_type": "text CHECK (mapping_type IN ('direct', 'calculated', 'lookup', "
    "'conditional'))",
    "confidence": "double precision CHECK (confidence BETWEEN 0 AND 1)",
    "alternatives": "jsonb NOT NULL DEFAULT '[]'",
    "business_process": "text NOT NULL DEFAULT ''",
    "information_security_classification": "text CHECK (information_security_classification IN "
    "('HRCI', 'Confidential', 'Proprietary', 'Public'))",
    "criticality": "text CHECK (criticality IN ('High', 'Medium', 'Low'))",
    "risk": "text CHECK (risk IN ('High', 'Medium', 'Low'))",
    "regulatory_flag": "boolean NOT NULL DEFAULT false",
    "pii_flag": "boolean NOT NULL DEFAULT false",
    "regulatory_references": "jsonb NOT NULL DEFAULT '[]'",
    "rationale": "text NOT NULL DEFAULT ''",
    "provider": "text",
    "model": "text",
    "prompt_version": "text",
    "auto_approved": "boolean NOT NULL DEFAULT false",
    "status": "text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'approved', "
    "'rejected'))",
    "tester_decision": "text CHECK (tester_decision IN ('approved', 'rejected'))",
    "report_owner_decision": "text CHECK (report_owner_decision IN ('approved', 'rejected'))",
    "created_at": "timestamptz",
}

STATEMENTS = [
    *(
        f"ALTER TABLE pde_mapping ADD COLUMN {name} {kind}"
        for name, kind in MAPPING_COLUMNS.items()
    ),
    "CREATE INDEX pde_mapping_of_job ON pde_mapping (job_id, ordinal)",
    f"""
CREATE TABLE scoping_version (
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
    """CREATE UNIQUE INDEX scoping_version_one_draft ON scoping_version (cycle_id, report_id)
       WHERE status = 'draft'""",
    f"""
CREATE TABLE scoping_recommendation (
    version_id uuid NOT NULL REFERENCES scoping_version,
    attribute_id integer NOT NULL REFERENCES attribute,
    recommendation text NOT NULL CHECK (recommendation IN ('test', 'skip')),
    risk_score smallint NOT NULL CHECK (risk_score BETWEEN 1 AND 100),
    regulatory_impact {_PART.format("regulatory_impact")},
    data_complexity {_PART.format("data_complexity")},
    common_errors {_PART.format("common_errors")},
    downstream_dependencies {_PART.format("downstream_dependencies")},
    cde_points {_FLAG.format("cde_points")},
    historical_issue_points {_FLAG.format("historical_issue_points")},
    priority text NOT NULL CHECK (priority IN ('high', 'medium', 'low')),
    confidence double precision NOT NULL CHECK (confidence BETWEEN 0 AND 1),
    rationale jsonb NOT NULL,
    expected_source_documents jsonb NOT NULL,
    keywords jsonb NOT NULL,
    validation_hints jsonb NOT NULL,
    measured jsonb,
    provider text NOT NULL,
    model text NOT NULL,
    prompt_version text NOT NULL,
    {_DECISIONS.strip()},
    job_id uuid,
    ordinal integer,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (version_id, attribute_id),
    CHECK (risk_score = regulatory_impact + data_complexity + common_errors
           + downstream_dependencies + cde_points + historical_issue_points)
)
""",
    "CREATE INDEX scoping_recommendation_of_job ON scoping_recommendation (job_id, ordinal)",
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE scoping_recommendation")
    op.execute("DROP TABLE scoping_version")
    op.execute("DROP INDEX pde_mapping_of_job")
    for name in MAPPING_COLUMNS:
        op.execute(f"ALTER TABLE pde_mapping DROP COLUMN {name}")
