"""The API's metrics for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Histogram


class ApiMetrics:
    """Requests, starts and repairs of one API process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Histogram(
            "longhaul_http_request_seconds",
            "Time to answer, by route and status",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.dispatched = Counter(
            "longhaul_jobs_dispatched",
            "Attempts whose workflow this process has started",
            registry=self.registry,
        )
        self.repaired = Counter(
            "longhaul_jobs_repaired",
            "Jobs whose row and workflow did not agree, by what was found",
            ["found"],
            registry=self.registry,
        )
