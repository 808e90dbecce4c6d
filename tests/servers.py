"""The servers that tests run on: how each is started, and reached."""

import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.client import Client

from longhaul.local import postgres, redis, temporal
from longhaul.local.processes import Command, Process
from tests.ports import new_port
from tests.waiting import until


@dataclass(frozen=True)
class Server:
    """A process that is of use once it is ready."""

    command: Command
    is_ready: Callable[[], Awaitable[bool]]

    async def start(self, log: Path) -> Process:
        """Start it, and come back when it is ready."""
        process = await Process.start(self.command, log)

        async def ready() -> bool:
            if process.returncode is not None:
                name, lines = self.command.name, process.last_lines()
                raise AssertionError(f"{name} ended at its start:\n{lines}")
            return await self.is_ready()

        try:
            await until(ready, what=self.command.name, every=0.05)
        except BaseException:
            await process.stop()
            raise
        return process


def postgres_server(data: Path, port: int, *, durable: bool = False) -> Server:
    """PostgreSQL over a folder that was prepared."""
    return Server(postgres.command(data, port, durable=durable), lambda: postgres.is_ready(port))


def redis_server(port: int) -> Server:
    """Redis, which stores nothing."""
    return Server(redis.command(port), lambda: redis.is_ready(port))


async def temporal_server(file: Path, port: int) -> Server:
    """Temporal with its store in a file; the command is built if there is none."""
    binary = await temporal.find_binary(lambda line: print(line, file=sys.stderr))  # noqa: T201
    return Server(
        temporal.command(binary, file=file, port=port, ui_port=new_port()),
        lambda: temporal.is_ready(port),
    )


async def connected(address: str, **options: Any) -> Client:
    """A client of Temporal: on a busy machine the server may drop its first connections."""
    clients: list[Client] = []

    async def connects() -> bool:
        with suppress(RuntimeError):
            clients.append(await Client.connect(address, **options))
        return bool(clients)

    await until(connects, what="Temporal to take a connection", every=0.2)
    return clients[0]
