"""The step of a flow that writes a quality report, joined."""

from longhaul.activities.quality_report import QualityReportAction
from longhaul.adapters.postgres.jobs import PostgresJobs
from longhaul.adapters.postgres.quality_reports import PostgresQualityReports
from longhaul.core.job_types import Resources
from longhaul.services.quality_reports import QualityReports


def quality_report(resources: Resources) -> QualityReportAction:
    """Build the action."""
    jobs = PostgresJobs()
    reports = QualityReports(store=PostgresQualityReports())
    return QualityReportAction(jobs=jobs, reports=reports)
