"""PDE mapping, joined: its mappers, its store, its sources, its workflow."""

from longhaul.activities.pde_mapping import PdeMappingType
from longhaul.adapters.llm.mapper import TASK, ModelMapper
from longhaul.adapters.matching.finder import WordMatcher
from longhaul.adapters.offline import mapper as offline
from longhaul.adapters.postgres.mappings import PostgresMappings
from longhaul.adapters.sources.sessions import SourceSessions
from longhaul.core.job_types import Resources
from longhaul.job_types.analysts import freeze_analyst
from longhaul.workflows.pde_mapping import PdeMapping


class PdeMappingJob(PdeMappingType):
    """PDE mapping with the workflow that drives it."""

    workflow = PdeMapping


def pde_mapping(resources: Resources) -> PdeMappingJob:
    """Build the job type."""
    return PdeMappingJob(
        store=PostgresMappings(),
        sources=SourceSessions(resources.sources),
        finder=WordMatcher(),
        offline=offline.OfflineMapper(seconds_per_item=resources.offline_seconds_per_item),
        model=ModelMapper(),
        frozen=freeze_analyst(resources, TASK, offline=(offline.MODEL, offline.VERSION)),
    )
