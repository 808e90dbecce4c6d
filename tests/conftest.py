"""Real servers for the session, and a separate database for each test that needs one."""

import asyncio
import gc
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import hypothesis
import pytest
from redis.asyncio import Redis
from temporalio.client import Client
from temporalio.service import RPCError

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.migrate import migrate
from longhaul.adapters.redis.connection import open_redis
from longhaul.local import postgres, redis
from tests.ports import new_port
from tests.servers import connected, postgres_server, redis_server, temporal_server

# A test must not depend on the shell it is started from.
for name in [name for name in os.environ if name.startswith(("LONGHAUL_", "TEMPORAL_", "OTEL_"))]:
    del os.environ[name]

# Nor on whether that shell runs it in the background, where Ctrl-C is ignored, also by children.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Much is alive in a process of tests and little of it is garbage: by default a tenth of the time
# goes into looking for it.
gc.set_threshold(20_000, 20, 20)

# The same examples everywhere, however slow the machine; a counter-example becomes a test.
hypothesis.settings.register_profile("tests", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("tests")

# Linux keeps the files of this folder in memory; each process of the tests needs some of it.
MEMORY = Path("/dev/shm")
MEMORY_NEEDED = 4 * 2**30

# Files whose tests wait the longest come first, so that no process is left with one at the end.
LONGEST_FIRST = ("e2e", "workflows", "api", "contract")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        folder = item.path.parent.name
        return LONGEST_FIRST.index(folder) if folder in LONGEST_FIRST else len(LONGEST_FIRST)

    items.sort(key=rank)


@dataclass(frozen=True)
class Servers:
    """Addresses of the session's servers."""

    postgres_port: int
    redis_port: int
    temporal_port: int

    @property
    def temporal_address(self) -> str:
        return f"127.0.0.1:{self.temporal_port}"


@pytest.fixture(scope="session")
def servers_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in memory, where there is room.

    Each database is 300 files that come and go, and a file system on a disk takes longer for
    that than most tests.
    """
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_NEEDED:
        with TemporaryDirectory(prefix="longhaul-tests-", dir=MEMORY) as folder:
            yield Path(folder)
    else:
        yield tmp_path_factory.mktemp("servers")


@pytest.fixture(scope="session")
async def servers(servers_folder: Path) -> AsyncIterator[Servers]:
    """PostgreSQL, Redis and Temporal for the whole session."""
    folder = servers_folder
    found = Servers(*(new_port() for _ in range(3)))
    await postgres.prepare(folder / "postgres")
    starting = [
        postgres_server(folder / "postgres", found.postgres_port),
        redis_server(found.redis_port),
        await temporal_server(folder / "temporal.db", found.temporal_port),
    ]
    processes = [await server.start(folder / f"{server.command.name}.log") for server in starting]
    yield found
    for process in reversed(processes):
        await process.stop()


@pytest.fixture(scope="session")
async def template(servers: Servers) -> str:
    """The name of a migrated database to clone."""
    name = "template_longhaul"
    connection = await asyncpg.connect(postgres.dsn(servers.postgres_port, "postgres"))
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    await migrate(postgres.dsn(servers.postgres_port, name))
    return name


@pytest.fixture
async def dsn(servers: Servers, template: str) -> AsyncIterator[str]:
    """A migrated, empty database of this test's own."""
    name = f"test_{os.urandom(6).hex()}"
    admin = await asyncpg.connect(postgres.dsn(servers.postgres_port, "postgres"))
    await admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    yield postgres.dsn(servers.postgres_port, name)
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[PostgresDatabase]:
    async with PostgresDatabase.open(dsn, connections=20) as opened:
        yield opened


@pytest.fixture
async def redis_client(servers: Servers) -> AsyncIterator["Redis"]:
    """A client of the session's Redis; keys carry job ids, so tests do not meet."""
    async with open_redis(redis.url(servers.redis_port)) as client:
        yield client


@pytest.fixture
async def other_redis_client(servers: Servers) -> AsyncIterator["Redis"]:
    """As another process would have it."""
    async with open_redis(redis.url(servers.redis_port)) as client:
        yield client


@pytest.fixture
async def temporal_client(servers: Servers) -> Client:
    return await connected(servers.temporal_address)


async def end_workflows(client: Client, database: PostgresDatabase) -> None:
    """End the running jobs of a test: the next one works on the same task queues."""

    async def end(job_id: str) -> None:
        with suppress(RPCError):
            await client.get_workflow_handle(job_id).terminate("The test is over.")

    async with database.begin() as tx:
        jobs = await tx.fetch("SELECT id::text FROM job")
    await asyncio.gather(*(end(row["id"]) for row in jobs))
