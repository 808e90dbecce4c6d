"""The action `report`: writes the quality report of a step that has executed rules."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from longhaul.core.errors import ItemFailed, NotFound
from longhaul.core.ports import Jobs
from longhaul.core.principals import may_see
from longhaul.core.step_actions import ActionContext, StepAction
from longhaul.services.quality_reports import QualityReports


class QualityReportParameters(BaseModel):
    """Which job the report is about."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    job_id: UUID
    version_id: UUID | None = Field(None, description="the rules that it must have executed")


class QualityReportAction(StepAction[QualityReportParameters]):
    """Writes the report of a step that has executed rules."""

    name = "report"
    title = "Quality report"
    parameters = QualityReportParameters

    def __init__(self, *, jobs: Jobs, reports: QualityReports) -> None:
        self._jobs = jobs
        self._reports = reports

    async def do(
        self, context: ActionContext, parameters: QualityReportParameters
    ) -> Mapping[str, Any]:
        """Write the report, and return its address and scores.

        Raises:
            ItemFailed: The owner of the flow has no such job, or it has no report.
        """
        async with context.database.begin() as tx:
            job = await self._jobs.read(tx, str(parameters.job_id))
            if job is None or not may_see(context.principal, job):
                raise ItemFailed("job_missing", "There is no such job.")
            try:
                report = await self._reports.of(tx, job)
            except NotFound as exc:
                raise ItemFailed("no_report", exc.sentence) from None
        if parameters.version_id not in (None, UUID(report.run.version_id)):
            raise ItemFailed("other_version", "The job has executed rules of another version.")
        overall = report.overall
        return {
            "job_id": report.run.job_id,
            "report": f"/api/v1/jobs/{report.run.job_id}/report",
            "quality": overall.pass_rate,
            "rules": overall.rules,
            "violated": overall.violated,
            "not_run": overall.not_run,
            "failing_values": overall.failed,
        }
