"""A whole installation of real processes that can be killed, frozen and started again."""

import asyncio
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg
import httpx2
from redis.asyncio import Redis
from temporalio.client import Client

from longhaul.adapters.postgres.migrate import migrate
from longhaul.local import postgres, redis
from longhaul.local.ports import HOST, answers
from longhaul.local.processes import Command, Process
from longhaul.local.stack import WORKER_PATIENCE
from tests.ports import new_port
from tests.servers import Server, connected, postgres_server, redis_server, temporal_server
from tests.tokens import SECRET, token
from tests.waiting import PATIENCE, until

_TEMPLATE = TemporaryDirectory(prefix="longhaul-template-")

TERMINAL = ("completed", "failed", "cancelled")

Job = dict[str, Any]


class Cluster:
    """PostgreSQL, Redis, Temporal, one API or more, one worker or more.

    Args:
        settings: Further variables for API and workers.

    Attributes:
        gate: Create this file to let the items that wait for it go on.
    """

    def __init__(
        self, folder: Path, *, types: Sequence[str] = (), settings: Mapping[str, str] | None = None
    ) -> None:
        self._folder = folder
        self._types = [part for one in types for part in ("--types", one)]
        self._settings = dict(settings or {})
        self._servers: dict[str, Server] = {}
        self._processes: dict[str, Process] = {}
        self._permanent: frozenset[str] = frozenset()
        self.gate = folder / "gate"
        self.postgres_port, self.redis_port, self.temporal_port = (new_port() for _ in range(3))
        self.api_ports: list[int] = []

    @property
    def dsn(self) -> str:
        return postgres.dsn(self.postgres_port)

    @property
    def env(self) -> dict[str, str]:
        return {
            "LONGHAUL_POSTGRES__DSN": self.dsn,
            "LONGHAUL_REDIS__URL": redis.url(self.redis_port),
            "TEMPORAL_ADDRESS": f"{HOST}:{self.temporal_port}",
            "LONGHAUL_AUTH__SECRET": SECRET,
            "LONGHAUL_DATA_DIR": str(self._folder / "data"),
            **self._settings,
        }

    async def open(self, *, apis: int = 1, workers: int = 1, durable: bool = False) -> None:
        """Start everything."""
        await asyncio.gather(
            self._run_postgres(durable=durable), self._run_redis(), self._run_temporal()
        )
        for number in range(apis):
            await self.run_api(f"api-{number}")
        for number in range(workers):
            await self.run_worker(f"worker-{number}")
        self._permanent = frozenset(self._servers)

    async def _run_postgres(self, *, durable: bool) -> None:
        data = self._folder / "postgres"
        shutil.copytree(await _migrated(), data)
        await self.run("postgres", postgres_server(data, self.postgres_port, durable=durable))

    async def _run_redis(self) -> None:
        await self.run("redis", redis_server(self.redis_port))

    async def _run_temporal(self) -> None:
        file = self._folder / "temporal.db"
        await self.run("temporal", await temporal_server(file, self.temporal_port))

    async def restore(self) -> None:
        """Start what has ended since the opening, and stop what has been added to it."""
        for name in self._servers.keys() - self._permanent:
            self.thaw(name)
            await self.stop(name)
            del self._servers[name], self._processes[name]
        for name in self._servers:
            if self._processes[name].returncode is not None:
                await self.start(name)

    async def close(self) -> None:
        """Stop everything, the last one first."""
        for process in reversed(self._processes.values()):
            process.send(signal.SIGCONT)
            await process.stop()

    async def run(self, name: str, server: Server) -> None:
        """Start a process and remember how."""
        self._servers[name] = server
        await self.start(name)

    async def run_api(self, name: str) -> None:
        """Start one more API process."""
        port = new_port()
        self.api_ports.append(port)
        command = Command(
            name=name,
            argv=[sys.executable, "-m", "longhaul.api", *self._types],
            env={**self.env, "LONGHAUL_API__PORT": str(port)},
        )
        await self.run(name, Server(command, lambda: answers(port)))

    async def run_worker(self, name: str, module: str = "longhaul.worker", **env: str) -> None:
        """Start one more worker process."""
        command = Command(
            name=name,
            argv=[sys.executable, "-m", module, *self._types],
            env={**self.env, **env},
            patience=WORKER_PATIENCE,
        )
        await self.run(name, Server(command, _at_once))

    async def start(self, name: str) -> None:
        """Start a process that has been run before, and wait until it is ready."""
        self._processes[name] = await self._servers[name].start(self._folder / f"{name}.log")

    async def kill(self, name: str) -> None:
        """End a process as a power cut would."""
        process = self._processes[name]
        process.send(signal.SIGKILL)
        await process.wait()

    async def ended(self, name: str) -> int:
        """Wait for a process to end by itself."""
        return await self._processes[name].wait()

    async def stop(self, name: str) -> int:
        """Ask a process to leave; how it ended."""
        await self._processes[name].stop()
        return self._processes[name].returncode or 0

    async def lose_temporals_store(self) -> None:
        """Let Temporal forget every workflow."""
        await self.kill("temporal")
        for file in self._folder.glob("temporal.db*"):
            file.unlink()
        await self.start("temporal")

    def freeze(self, name: str) -> None:
        """Freeze a process."""
        self._processes[name].send(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let a frozen process go on."""
        self._processes[name].send(signal.SIGCONT)

    def log(self, name: str) -> str:
        """The output of a process so far."""
        return (self._folder / f"{name}.log").read_text(errors="replace")

    def faults(self) -> list[str]:
        """The faults that the processes have logged."""
        return [
            line
            for name in self._processes
            for line in self.log(name).splitlines()
            if '"event": "fault"' in line
        ]

    def http(self, sub: str = "u-1", *roles: str, api: int = 0) -> httpx2.AsyncClient:
        """A client of one of the APIs, as some person."""
        return httpx2.AsyncClient(
            base_url=f"http://{HOST}:{self.api_ports[api]}/api/v1",
            headers={"Authorization": f"Bearer {token(sub, *(roles or ('Admin',)))}"},
            timeout=30,
        )

    def redis(self) -> "Redis":
        """A client of Redis."""
        return Redis.from_url(redis.url(self.redis_port), decode_responses=True)

    async def temporal(self) -> Client:
        """A client of Temporal."""
        return await connected(f"{HOST}:{self.temporal_port}")

    async def fetch(self, sql: str, *values: object) -> list[Any]:
        """Rows of the database, asked for over a connection of its own."""
        connection = await asyncpg.connect(self.dsn)
        try:
            return list(await connection.fetch(sql, *values))
        finally:
            await connection.close()

    async def submit(self, job_type: str, *, concurrency: int = 16, **parameters: Any) -> str:
        """Create a job."""
        body = {
            "job_type": job_type,
            "parameters": parameters,
            "options": {"concurrency": concurrency},
        }
        async with self.http() as client:
            response = await client.post("/jobs", json=body)
        assert response.status_code == 202, response.text
        return str(response.json()["job_id"])

    async def job(self, job_id: str) -> Job:
        """A job as the API shows it; repeated while the API is down."""
        found: Job = {}

        async def answered() -> bool:
            nonlocal found
            try:
                async with self.http() as client:
                    response = await client.get(f"/jobs/{job_id}")
            except httpx2.TransportError:
                return False
            found = response.json()
            return response.status_code == httpx2.codes.OK

        await until(answered, what="the API", every=0.1)
        return found

    async def becomes(self, job_id: str, *statuses: str, seconds: float = PATIENCE) -> Job:
        """Wait until a job has one of some statuses."""
        job: Job = {}

        async def has_become() -> bool:
            nonlocal job
            job = await self.job(job_id)
            return job["status"] in statuses

        await until(has_become, what=f"{job_id} to be {statuses}", seconds=seconds, every=0.05)
        return job

    async def ends(self, job_id: str, seconds: float = PATIENCE) -> Job:
        """Wait until a job has ended."""
        return await self.becomes(job_id, *TERMINAL, seconds=seconds)


@asynccontextmanager
async def open_cluster(
    folder: Path,
    *,
    types: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
    apis: int = 1,
    workers: int = 1,
    durable: bool = False,
) -> AsyncIterator[Cluster]:
    """A cluster for a block; nothing of it is left afterwards."""
    cluster = Cluster(folder, types=types, settings=settings)
    try:
        await cluster.open(apis=apis, workers=workers, durable=durable)
        yield cluster
    finally:
        await cluster.close()


async def _at_once() -> bool:
    return True


async def _migrated() -> Path:
    """The folder of a migrated database to copy: making one takes longer than all the rest."""
    made, unfinished = Path(_TEMPLATE.name) / "postgres", Path(_TEMPLATE.name) / "unfinished"
    if made.exists():
        return made
    await postgres.prepare(unfinished)
    port = new_port()
    process = await postgres_server(unfinished, port).start(Path(_TEMPLATE.name) / "postgres.log")
    await migrate(postgres.dsn(port))
    await process.stop()
    return unfinished.rename(made)
