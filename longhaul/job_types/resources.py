"""The resources of job types, from the settings; the same in every process."""

from datetime import timedelta

from longhaul.adapters.blobs import open_blobs
from longhaul.adapters.llm.providers import model_of
from longhaul.adapters.regexes import BothDialects
from longhaul.adapters.settings import Settings
from longhaul.core.job_types import Resources
from longhaul.core.ports import Database
from longhaul.core.sources import SourceAccess


def build_resources(settings: Settings, database: Database) -> Resources:
    """Join the adapters that job types may use."""
    return Resources(
        database=database,
        regexes=BothDialects(database),
        provider=settings.llm.provider,
        model=model_of(settings.llm),
        offline_seconds_per_item=settings.offline.seconds_per_item,
        blobs=open_blobs(settings.blobs, settings.data_dir),
        sources=source_access(settings),
    )


def source_access(settings: Settings) -> SourceAccess:
    """How data sources are reached."""
    own = settings.postgres.dsn
    folders = settings.sources.folders or (settings.data_dir / "sources",)
    return SourceAccess(
        own_dsn=own.get_secret_value() if own else "",
        statement_timeout=timedelta(seconds=settings.sources.statement_seconds),
        lock_timeout=timedelta(seconds=settings.sources.lock_seconds),
        memory_mb=settings.sources.memory_mb,
        scratch=settings.sources.scratch,
        folders=[folder.absolute() for folder in folders],
        secrets=settings.sources.secrets,
    )
