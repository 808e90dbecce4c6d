"""The report of a run of rules: written once when it is first wanted, the same from then on."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from longhaul.core.errors import ItemFailed, NotFound
from longhaul.core.jobs import Job
from longhaul.core.ports import Jobs, Transaction
from longhaul.core.principals import may_see
from longhaul.core.quality_report import QualityReport, QualityReportStore, build_report
from longhaul.core.step_actions import ActionContext, StepAction


class QualityReports:
    """Finds, or writes, the report of a job."""

    def __init__(self, *, store: QualityReportStore) -> None:
        self._store = store

    async def of(self, tx: Transaction, job: Job) -> QualityReport:
        """The report of a run, or of the one run below a flow.

        What people decide and what is mapped may change after a run, so the first report of
        an attempt stays.

        Raises:
            NotFound: The job has no report, or not yet; it says why.
        """
        runs = await self._store.runs_of(tx, job)
        if not runs:
            raise NotFound("The job has no report: it has executed no rules.")
        if len(runs) > 1:
            raise NotFound("The job has executed rules more than once; ask for one run's report.")
        (run,) = runs
        if not run.status.is_terminal:
            raise NotFound(f"The job has no report yet: its rules are {run.status}.")
        report = await self._store.read(tx, run)
        if report is None:
            report = build_report(await self._store.facts(tx, run))
            await self._store.keep(tx, run, report)
            # Of two who write at once, the first has written for both.
            report = await self._store.read(tx, run) or report
        return report


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
        """Write the report, and hand on where it is and what it comes to.

        Raises:
            ItemFailed: There is no such job for the owner of the flow, or no report of it.
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
