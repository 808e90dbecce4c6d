from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cluster import Cluster, open_cluster
from tests.job_types.echo import CREATE_TABLE

# Each e2e test kills what others would need, so each has its own installation.


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    """An installation without a worker, with the job type of the tests."""
    async with open_cluster(tmp_path, types=["tests.job_types.echo"], workers=0) as opened:
        await opened.fetch(CREATE_TABLE)
        yield opened
