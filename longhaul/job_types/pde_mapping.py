"""PDE mapping, joined: its mappers, its store, its sources, its workflow."""

from longhaul.activities.pde_mapping import OFFLINE, PdeMappingType
from longhaul.adapters.llm import prompts
from longhaul.adapters.llm.mapper import TASK, ModelMapper
from longhaul.adapters.matching.finder import WordMatcher
from longhaul.adapters.offline import mapper as offline
from longhaul.adapters.postgres.mappings import PostgresMappings
from longhaul.adapters.sources.sessions import SourceSessions
from longhaul.core.job_types import Resources
from longhaul.workflows.pde_mapping import PdeMapping


class PdeMappingJob(PdeMappingType):
    """PDE mapping with the workflow that drives it."""

    workflow = PdeMapping


def pde_mapping(resources: Resources) -> PdeMappingJob:
    """Build the job type."""
    if resources.provider == OFFLINE:
        model, version = offline.MODEL, offline.VERSION
    else:
        model, version = resources.model, prompts.newest(TASK)
    return PdeMappingJob(
        store=PostgresMappings(),
        sources=SourceSessions(resources.sources),
        finder=WordMatcher(),
        offline=offline.OfflineMapper(seconds_per_item=resources.offline_seconds_per_item),
        model=ModelMapper(),
        frozen={"provider": resources.provider, "model": model, "prompt_version": version},
    )
