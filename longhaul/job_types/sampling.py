"""Sampling, joined: its store, sampler and statistics, its workflow."""

from longhaul.activities.sampling import SamplingType
from longhaul.adapters.postgres.samples import PostgresSamples
from longhaul.adapters.sources.sampler import SourceSampler
from longhaul.adapters.sources.sessions import SourceSessions
from longhaul.adapters.statistics import AuditStatistics
from longhaul.core.job_types import Resources
from longhaul.workflows.sampling import Sampling


class SamplingJob(SamplingType):
    """Sampling with the workflow that drives it."""

    workflow = Sampling


def sampling(resources: Resources) -> SamplingJob:
    """Build the job type."""
    return SamplingJob(
        store=PostgresSamples(),
        sampler=SourceSampler(SourceSessions(resources.sources)),
        statistics=AuditStatistics(),
    )
