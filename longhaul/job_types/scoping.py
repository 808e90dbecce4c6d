"""Scoping, joined: its scorers, its store, its workflow."""

from longhaul.activities.scoping import OFFLINE, ScopingType
from longhaul.adapters.llm import prompts
from longhaul.adapters.llm.scorer import TASK, ModelScorer
from longhaul.adapters.offline import scorer as offline
from longhaul.adapters.postgres.scoping import PostgresScoping
from longhaul.core.job_types import Resources
from longhaul.workflows.scoping import Scoping


class ScopingJob(ScopingType):
    """Scoping with the workflow that drives it."""

    workflow = Scoping


def scoping(resources: Resources) -> ScopingJob:
    """Build the job type."""
    if resources.provider == OFFLINE:
        model, version = offline.MODEL, offline.VERSION
    else:
        model, version = resources.model, prompts.newest(TASK)
    return ScopingJob(
        store=PostgresScoping(),
        offline=offline.OfflineScorer(seconds_per_item=resources.offline_seconds_per_item),
        model=ModelScorer(),
        frozen={"provider": resources.provider, "model": model, "prompt_version": version},
    )
