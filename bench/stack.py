"""Real servers in a separate folder, and the processes of a scenario."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from bench.api import SECRET, Api
from longhaul.adapters.postgres.migrate import migrate
from longhaul.core.job_types import Queue
from longhaul.local import postgres, redis, temporal
from longhaul.local.ports import HOST, answers, free_port
from longhaul.local.processes import Command, Process, ProcessFailed

ROOT = Path(__file__).resolve().parent.parent
READY_PATIENCE = 60.0

ENDED = ("completed", "failed", "cancelled")


class Stack:
    """PostgreSQL, Redis and Temporal for one scenario, the same for Longhaul and its peers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.redis: Process
        self.client: Client
        self._pool: asyncpg.Pool
        self._redis_port = free_port(0)
        self._postgres_port = free_port(0)
        self._temporal_port = free_port(0)
        self._exit = AsyncExitStack()

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator["Stack"]:
        """Start the servers; stop them and remove their folder afterwards."""
        with TemporaryDirectory(prefix="longhaul-bench-", ignore_cleanup_errors=True) as folder:
            stack = cls(Path(folder))
            async with stack._exit:
                await stack._start()
                yield stack

    @property
    def dsn(self) -> str:
        """The database."""
        return postgres.dsn(self._postgres_port)

    @property
    def redis_url(self) -> str:
        """Redis."""
        return redis.url(self._redis_port)

    @property
    def temporal_address(self) -> str:
        """Temporal."""
        return f"{HOST}:{self._temporal_port}"

    @asynccontextmanager
    async def api(self) -> AsyncIterator[Api]:
        """Run one more API process; returns a client."""
        port = free_port(0)
        env = {"LONGHAUL_API__PORT": str(port)}
        async with self.process("longhaul.api", env, lambda: answers(port)):
            api = Api(port)
            async with api.http:
                yield api

    @asynccontextmanager
    async def worker(
        self, *, module: str = "longhaul.worker", **settings: object
    ) -> AsyncIterator[Process]:
        """Run one more worker process.

        Args:
            module: A module to run instead, for measuring inside it.
            settings: Worker settings that differ from their defaults.
        """
        env = {f"LONGHAUL_WORKER__{name.upper()}": str(value) for name, value in settings.items()}
        async with self.process(module, env, _at_once) as process:
            await self.until(lambda: self._polls(process.pid), "the worker to poll", process)
            yield process

    @asynccontextmanager
    async def process(
        self,
        module: str,
        env: Mapping[str, str],
        is_ready: Callable[[], Awaitable[bool]],
        arguments: Sequence[str] = ("--types", "bench.job_types"),
    ) -> AsyncIterator[Process]:
        """Run a Python module against the servers, and stop it afterwards."""
        command = Command(
            name=module,
            argv=[sys.executable, "-m", module, *arguments],
            env={**self._env(), **env},
        )
        async with self._running(command, is_ready) as process:
            yield process

    async def start_redis(self) -> None:
        """Start Redis, again after it was stopped."""
        self.redis = await self._exit.enter_async_context(
            self._running(redis.command(self._redis_port), lambda: redis.is_ready(self._redis_port))
        )

    async def fetch(self, sql: str, *values: object) -> list[Any]:
        """Run one statement and return its rows."""
        rows: list[Any] = await self._pool.fetch(sql, *values)
        return rows

    async def execute(self, sql: str, *values: object) -> None:
        """Run one statement, or several without values."""
        await self._pool.execute(sql, *values)

    async def value(self, sql: str, *values: object) -> Any:
        """Run one statement and return the first value of its first row."""
        return await self._pool.fetchval(sql, *values)

    async def becomes(
        self, job_id: str, *statuses: str, seconds: float = 600, every: float = 0.05
    ) -> str:
        """Wait until the job's row has one of some statuses, and return it."""
        found = ""

        async def has_become() -> bool:
            nonlocal found
            found = await self.value("SELECT status FROM job WHERE id = $1", job_id)
            return found in statuses

        what = f"job {job_id} to be {' or '.join(statuses)}"
        await self.until(has_become, what, seconds=seconds, every=every)
        return found

    async def until(
        self,
        is_so: Callable[[], Awaitable[bool]],
        what: str,
        process: Process | None = None,
        *,
        seconds: float = READY_PATIENCE,
        every: float = 0.05,
    ) -> None:
        """Wait until something is true.

        Raises:
            ProcessFailed: The process that should do it has ended.
            TimeoutError: It took too long.
        """
        try:
            async with asyncio.timeout(seconds):
                while not await is_so():
                    if process is not None and process.returncode is not None:
                        lines = process.last_lines()
                        raise ProcessFailed(f"{process.command.name} has ended:\n{lines}")
                    await asyncio.sleep(every)
        except TimeoutError:
            raise TimeoutError(f"waited {seconds:g} s for {what}") from None

    async def clean(self) -> None:
        """Delete the items of earlier rounds, so that every round has the same tables."""
        await self.execute("TRUNCATE job_item, job_audit")
        await self.execute("CHECKPOINT")

    async def _start(self) -> None:
        binary = await temporal.find_binary(lambda _: None)
        await postgres.prepare(self.folder / "postgres")
        await self._server(
            postgres.command(self.folder / "postgres", self._postgres_port, durable=True),
            lambda: postgres.is_ready(self._postgres_port),
        )
        await self.start_redis()
        file, ui_port = self.folder / "temporal.db", free_port(0)
        await self._server(
            temporal.command(binary, file=file, port=self._temporal_port, ui_port=ui_port),
            lambda: temporal.is_ready(self._temporal_port),
        )
        await migrate(self.dsn)
        self._pool = await self._exit.enter_async_context(
            asyncpg.create_pool(self.dsn, min_size=1, max_size=8)
        )
        self.client = await Client.connect(self.temporal_address)

    async def _server(self, command: Command, is_ready: Callable[[], Awaitable[bool]]) -> None:
        await self._exit.enter_async_context(self._running(command, is_ready))

    @asynccontextmanager
    async def _running(
        self, command: Command, is_ready: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[Process]:
        process = await Process.start(command, self.folder / f"{command.name}.log")
        try:
            await self.until(is_ready, command.name, process)
            yield process
        finally:
            await process.stop()

    def _env(self) -> dict[str, str]:
        return {
            "PYTHONPATH": str(ROOT),
            "TEMPORAL_ADDRESS": self.temporal_address,
            "LONGHAUL_POSTGRES__DSN": self.dsn,
            "LONGHAUL_REDIS__URL": self.redis_url,
            "LONGHAUL_AUTH__SECRET": SECRET,
        }

    async def _polls(self, pid: int) -> bool:
        request = DescribeTaskQueueRequest(
            namespace=self.client.namespace,
            task_queue=TaskQueue(name=Queue.DATA),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        )
        answer = await self.client.workflow_service.describe_task_queue(request)
        return any(poller.identity.startswith(f"{pid}@") for poller in answer.pollers)


async def _at_once() -> bool:
    """A worker has no port; Temporal knows when it polls."""
    return True
