"""The embedded stack, started as a person starts it, and everything that it leaves running."""

import asyncio
import os
import shlex
import signal
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
from temporalio.client import Client

from longhaul.adapters.data_folder import DataFolder
from longhaul.core.exit_codes import READY
from longhaul.local.ports import HOST
from longhaul.local.processes import Command, Process
from tests.conftest import connected, until
from tests.ports import new_port
from tests.tokens import SECRET, token

# Where the commands are that `make` installs: `longhaul`, `pip`.
COMMANDS = Path(sys.executable).parent

SERVERS = ("postgres", "redis", "temporal", "temporal_ui")


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    code: int
    output: str


class LocalStack:
    """`longhaul up` on a data folder of its own."""

    def __init__(self, folder: Path, *, env: Mapping[str, str] | None = None) -> None:
        self.data = folder / "data"
        self._log = folder / "up.log"
        self.env = {
            "PATH": os.pathsep.join([str(COMMANDS), os.environ["PATH"]]),
            "LONGHAUL_DATA_DIR": str(self.data),
            **(env or {}),
        }
        self._process: Process | None = None
        self._seen: Mapping[Alive, str] = {}

    @property
    def addresses(self) -> Mapping[str, Any]:
        """The addresses of the stack."""
        return DataFolder(self.data).read_addresses()

    @property
    def output(self) -> str:
        """The output of the stack since its first start."""
        return self._log.read_text(errors="replace")

    async def start(self, command: str = "longhaul up", cwd: Path | None = None) -> None:
        """Run a command of a shell that starts the stack, and wait until it says it is ready."""
        self.choose_ports()
        said = self.output.count(READY) if self._log.exists() else 0
        where = f"cd {shlex.quote(str(cwd))} && " if cwd else ""
        process = self._process = await Process.start(
            Command(
                name="longhaul up",
                argv=["sh", "-c", f"{where}exec {command}"],
                env={**self.env, "LONGHAUL_API__PORT": str(new_port())},
            ),
            self._log,
        )

        async def ready() -> bool:
            assert process.returncode is None, self.output
            return self.output.count(READY) > said

        await until(ready, what="the stack", every=0.05)

    def choose_ports(self) -> None:
        """Keep away from the usual ports: other stacks may be there at this moment."""
        if not self.addresses:
            self.data.mkdir(parents=True, exist_ok=True)
            ports = {f"{name}_port": new_port() for name in SERVERS}
            DataFolder(self.data).write_addresses(ports)

    async def end(self, number: signal.Signals) -> int:
        """Send the stack a signal, and wait for its own process to end."""
        assert self._process is not None
        self._seen = self.processes()
        self._process.send(number)
        return await self._process.wait()

    async def close(self) -> None:
        """Stop what still runs."""
        if self._process is not None and self._process.returncode is None:
            await self.end(signal.SIGTERM)

    async def run(self, command: str, cwd: Path | None = None) -> Ran:
        """Run a command in a shell, as in another terminal."""
        process = await asyncio.create_subprocess_exec(
            *("sh", "-c", command),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=cwd,
            env={**os.environ, **self.env},
        )
        output, _ = await process.communicate()
        return Ran(process.returncode or 0, output.decode(errors="replace"))

    def processes(self) -> Mapping["Alive", str]:
        """Every process that the stack has started, with its command."""
        everyone = running()
        found = {self._process.pid} if self._process is not None else set()
        for alive in sorted(everyone, key=lambda one: one.started):
            if alive.parent in found:
                found.add(alive.pid)
        return {alive: text for alive, text in everyone.items() if alive.pid in found}

    def running_here(self) -> list[str]:
        """Every process whose command names the stack's folder."""
        return [text for text in running().values() if str(self.data) in text]

    def kill(self, part: str) -> None:
        """End one process of the stack as a power cut would."""
        for alive, text in self.processes().items():
            if part in text:
                os.kill(alive.pid, signal.SIGKILL)

    def left(self) -> Mapping["Alive", str]:
        """Processes that still run, of those that ran when the stack was told to end."""
        return {one: text for one, text in running().items() if one.is_one_of(self._seen)}

    async def is_gone(self) -> None:
        """Wait until no process of the stack is left."""

        async def none() -> bool:
            return not self.left()

        try:
            await until(none, what="the stack's processes to end", every=0.1)
        finally:
            for alive in self.left():
                os.kill(alive.pid, signal.SIGKILL)

    def http(self) -> httpx2.AsyncClient:
        """A client of its API."""
        secret = DataFolder(self.data).read_secret() or SECRET
        return httpx2.AsyncClient(
            base_url=f"{self.addresses['api']}/api/v1",
            headers={"Authorization": f"Bearer {token('u-1', 'Admin', secret=secret)}"},
            timeout=30,
        )

    async def temporal(self) -> Client:
        """A client of its Temporal."""
        return await connected(f"{HOST}:{self.addresses['temporal_port']}")

    async def fetch(self, sql: str, *values: object) -> Sequence[Any]:
        """Rows of its database."""
        connection = await asyncpg.connect(self.addresses["postgres_dsn"])
        try:
            return list(await connection.fetch(sql, *values))
        finally:
            await connection.close()

    async def becomes(self, job_id: str, *statuses: str) -> dict[str, Any]:
        """Wait until a job has one of some statuses."""
        job: dict[str, Any] = {}

        async def has_become() -> bool:
            nonlocal job
            async with self.http() as client:
                response = await client.get(f"/jobs/{job_id}")
            job = response.json()
            return response.is_success and job["status"] in statuses

        await until(has_become, what=f"{job_id} to be {statuses}", every=0.1)
        return job


@dataclass(frozen=True)
class Alive:
    """A process of this machine; a number is used again, but not with the same start."""

    pid: int
    parent: int
    started: int

    def is_one_of(self, seen: Iterable["Alive"]) -> bool:
        """Whether it has been seen; the parent may differ, because orphans get another."""
        return (self.pid, self.started) in {(one.pid, one.started) for one in seen}


def running() -> dict[Alive, str]:
    """Every process of this machine that has not ended, with its command."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            # After the name in brackets: state, parent, and the start as the twentieth field.
            state, parent, *rest = (entry / "stat").read_text().rpartition(")")[2].split()
            if state != "Z":
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                alive = Alive(int(entry.name), int(parent), int(rest[17]))
                found[alive] = command.decode(errors="replace")
    return found


@asynccontextmanager
async def local_stack(folder: Path, **env: str) -> AsyncIterator[LocalStack]:
    """A stack that is not started yet; nothing of it is left after the block."""
    stack = LocalStack(folder, env=env)
    try:
        yield stack
    finally:
        await stack.close()
        await stack.is_gone()
