"""Reads the quality report of a job for those who may see the job."""

from longhaul.api.reading import Reading
from longhaul.core.ports import Database, Jobs
from longhaul.core.principals import Principal, existing
from longhaul.core.quality_report import QualityReport
from longhaul.services.quality_reports import QualityReports

_HTML = ("text/html", "text/*", "*/*")
_JSON = ("application/json", "application/*", "*/*")


class QualityReading:
    """Answers the report route."""

    def __init__(
        self,
        *,
        database: Database,
        jobs: Jobs,
        reading: Reading,
        reports: QualityReports,
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._reading = reading
        self._reports = reports

    async def report(self, principal: Principal, job_id: str) -> QualityReport:
        """The report of a job.

        Raises:
            NotFound: The caller has no such job, or it has no report.
        """
        await self._reading.job(principal, job_id)
        async with self._database.begin() as tx:
            job = existing(await self._jobs.read(tx, job_id))
            return await self._reports.of(tx, job)


def prefers_html(accept: str) -> bool:
    """Whether a caller prefers a page to JSON, the default."""
    weights = _weights(accept)
    return _best(weights, _HTML) > _best(weights, _JSON)


def _best(weights: dict[str, float], kinds: tuple[str, ...]) -> float:
    # The most specific range counts, as in RFC 9110.
    return next((weights[kind] for kind in kinds if kind in weights), 0.0)


def _weights(accept: str) -> dict[str, float]:
    weights = {}
    for part in accept.split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = next((one[2:] for one in parameters if one.startswith("q=")), "1")
        try:
            weights[kind] = float(quality)
        except ValueError:
            weights[kind] = 0.0
    return weights
