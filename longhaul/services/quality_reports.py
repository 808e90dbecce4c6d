"""The report of a run of rules: made when it is first read, the same from then on."""

from longhaul.core.errors import NotFound
from longhaul.core.jobs import Job
from longhaul.core.ports import Transaction
from longhaul.core.quality_report import QualityReport, QualityReportStore, build_report


class QualityReports:
    """Reads or makes the report of a job."""

    def __init__(self, *, store: QualityReportStore) -> None:
        self._store = store

    async def of(self, tx: Transaction, job: Job) -> QualityReport:
        """The report of a run, or of the one run below a flow.

        Decisions and mappings may change after a run, so the first report of an attempt
        stays.

        Raises:
            NotFound: The job has no report, or not yet; the message says why.
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
            # If two write at once, the first has written for both.
            report = await self._store.read(tx, run) or report
        return report
