"""Test execution, joined: its readers of evidence, its store, its workflow."""

from longhaul.activities.test_execution import CaseExecutionType
from longhaul.adapters.documents.reader import StoredDocuments
from longhaul.adapters.llm.extractor import TASK, ModelExtractor
from longhaul.adapters.offline import extractor as offline
from longhaul.adapters.postgres.cases import PostgresCases
from longhaul.adapters.sources.evidence import SourceEvidence, for_queries
from longhaul.adapters.sources.sessions import SourceSessions
from longhaul.core.job_types import Resources
from longhaul.job_types.analysts import freeze_analyst
from longhaul.workflows.test_execution import CaseExecution


class CaseExecutionJob(CaseExecutionType):
    """Test execution with the workflow that drives it."""

    workflow = CaseExecution


def test_execution(resources: Resources) -> CaseExecutionJob:
    """Build the job type."""
    return CaseExecutionJob(
        store=PostgresCases(),
        documents=StoredDocuments(resources.blobs),
        sources=SourceEvidence(
            sessions=SourceSessions(resources.sources),
            queries=SourceSessions(for_queries(resources.sources)),
        ),
        offline=offline.OfflineExtractor(seconds_per_item=resources.offline_seconds_per_item),
        model=ModelExtractor(),
        frozen=freeze_analyst(resources, TASK, offline=(offline.MODEL, offline.VERSION)),
    )
