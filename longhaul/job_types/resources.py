"""What job types are built from, as the settings say; the same in every process."""

from longhaul.adapters.blobs import open_blobs
from longhaul.adapters.regexes import BothDialects
from longhaul.adapters.settings import Settings
from longhaul.core.job_types import Resources
from longhaul.core.ports import Database


def build_resources(settings: Settings, database: Database) -> Resources:
    """Join the adapters that job types may use."""
    return Resources(
        database=database,
        regexes=BothDialects(database),
        provider=settings.llm.provider,
        model=settings.llm.model,
        offline_seconds_per_item=settings.offline.seconds_per_item,
        blobs=open_blobs(settings.blobs, settings.data_dir),
    )
