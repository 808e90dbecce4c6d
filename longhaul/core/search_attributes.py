"""The names by which jobs can be found in Temporal. No person's data goes into them."""

from collections.abc import Mapping

JOB_OWNER = "JobOwner"
JOB_STATUS = "JobStatus"
CYCLE_ID = "CycleId"
REPORT_ID = "ReportId"

KINDS: Mapping[str, str] = {
    JOB_OWNER: "Keyword",
    JOB_STATUS: "Keyword",
    CYCLE_ID: "Int",
    REPORT_ID: "Int",
}
