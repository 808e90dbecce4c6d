"""Scoping, joined: its scorers, its store, its workflow."""

from longhaul.activities.scoping import ScopingType
from longhaul.adapters.llm.scorer import TASK, ModelScorer
from longhaul.adapters.offline import scorer as offline
from longhaul.adapters.postgres.scoping import PostgresScoping
from longhaul.core.job_types import Resources
from longhaul.job_types.analysts import freeze_analyst
from longhaul.workflows.scoping import Scoping


class ScopingJob(ScopingType):
    """Scoping with the workflow that drives it."""

    workflow = Scoping


def scoping(resources: Resources) -> ScopingJob:
    """Build the job type."""
    return ScopingJob(
        store=PostgresScoping(),
        offline=offline.OfflineScorer(seconds_per_item=resources.offline_seconds_per_item),
        model=ModelScorer(),
        frozen=freeze_analyst(resources, TASK, offline=(offline.MODEL, offline.VERSION)),
    )
