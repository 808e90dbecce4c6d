from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cluster import Cluster, open_cluster
from tests.job_types import echo, flows


@pytest.fixture(scope="module")
async def installation(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """An installation for the tests of one file, with the job types of the tests."""
    folder = tmp_path_factory.mktemp("installation")
    types = ["tests.job_types.echo", "tests.job_types.flows"]
    async with open_cluster(folder, types=types, workers=0) as opened:
        await opened.fetch(echo.CREATE_TABLE)
        await opened.fetch(flows.CREATE_TABLE)
        yield opened


@pytest.fixture
async def cluster(installation: Cluster, tmp_path: Path) -> AsyncIterator[Cluster]:
    """The installation, without a worker; what a test kills is started again after it."""
    installation.gate = tmp_path / "gate"
    yield installation
    await installation.restore()


@pytest.fixture
async def worker(cluster: Cluster) -> None:
    """A worker of the installation; its name is `worker-0`."""
    await cluster.run_worker("worker-0")
