"""The tables of the peers: smaller than Longhaul's, which is to their advantage."""

CREATE = """
CREATE TABLE IF NOT EXISTS peer_run (
    id uuid PRIMARY KEY,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz
);
CREATE TABLE IF NOT EXISTS peer_item (
    job_id uuid NOT NULL,
    ordinal integer NOT NULL,
    state text NOT NULL DEFAULT 'open',
    output text,
    updated_at timestamptz,
    PRIMARY KEY (job_id, ordinal)
)
"""

SECONDS = """
SELECT extract(epoch FROM ended_at - started_at)::float8 FROM peer_run
WHERE id = $1 AND ended_at IS NOT NULL
"""
