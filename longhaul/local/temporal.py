"""Temporal's own dev server on a file; its binary is found, downloaded or built."""

import asyncio
import fcntl
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.resources import as_file, files
from pathlib import Path

from temporalio.testing import WorkflowEnvironment

from longhaul.core.search_attributes import KINDS
from longhaul.local.ports import HOST, answers
from longhaul.local.processes import Command, ProcessFailed

VERSION = "1.8.2"

_LOOK_AGAIN = 0.2

_BUILD = (
    *("build", "-trimpath"),
    *("-ldflags", f"-s -w -X github.com/temporalio/cli/internal/temporalcli.Version={VERSION}"),
)


def command(binary: Path, *, file: Path, port: int, ui_port: int) -> Command:
    """How to run the dev server with its web UI."""
    return Command(
        name="Temporal",
        argv=[
            str(binary),
            *("server", "start-dev", "--db-filename", str(file), "--ip", HOST),
            *("--port", str(port), "--ui-port", str(ui_port), "--log-level", "error"),
            *("--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=1"),
            *("--dynamic-config-value", "matching.enableFairness=true"),
            *("--dynamic-config-value", "frontend.enableServerVersionCheck=false"),
            *(
                part
                for key, kind in KINDS.items()
                for part in ("--search-attribute", f"{key}={kind}")
            ),
        ],
    )


def no_other() -> dict[str, str | None]:
    """Variables for another server, which a process of this one must not have."""
    others = {name: None for name in os.environ if name.startswith("TEMPORAL_")}
    return {**others, "TEMPORAL_CONFIG_FILE": os.devnull}


async def is_ready(port: int) -> bool:
    """Whether the server accepts connections."""
    return await answers(port)


async def find_binary(say: Callable[[str], None]) -> Path:
    """Find the `temporal` command: on PATH, in our cache, by download, or by building it.

    Raises:
        ProcessFailed: There is none and none can be made; the text says what to do.
    """
    if found := shutil.which("temporal"):
        say(f"Temporal: {found} (from PATH)")
        return Path(found)
    built = _cache() / "temporal"
    async with alone_in(_cache_made()):
        if built.exists():
            say(f"Temporal: {built} (built earlier)")
            return built
        if downloaded := await _download():
            say(f"Temporal: {downloaded} (downloaded)")
            return downloaded
        return await _build(built, say)


@asynccontextmanager
async def alone_in(folder: Path) -> AsyncIterator[None]:
    """Wait for other processes that build in a folder, and make others wait."""
    with (folder / "lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                await asyncio.sleep(_LOOK_AGAIN)
            else:
                break
        yield


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "longhaul" / f"temporal-{VERSION}"


async def _download() -> Path | None:
    """Let the SDK download its dev server; None where the network does not allow it."""
    try:
        environment = await WorkflowEnvironment.start_local(
            dev_server_download_version=f"v{VERSION}", download_dest_dir=str(_cache_made())
        )
    except RuntimeError:
        return None
    await environment.shutdown()
    return next(iter(sorted(_cache().glob("temporal-cli*"))), None)


def _cache_made() -> Path:
    _cache().mkdir(parents=True, exist_ok=True)
    return _cache()


async def _build(target: Path, say: Callable[[str], None]) -> Path:
    go = shutil.which("go")
    if go is None:
        raise ProcessFailed(
            "There is no `temporal` command on PATH, it cannot be downloaded from here, and there "
            "is no Go to build it with. Install one of them, or set TEMPORAL_ADDRESS."
        )
    say(f"Temporal: building {VERSION} with Go; this takes some minutes, once")
    unfinished = target.with_name("temporal.unfinished")
    with as_file(files("longhaul.local") / "temporal_cli") as module:
        build = await asyncio.create_subprocess_exec(
            go,
            *_BUILD,
            *("-o", str(unfinished), "github.com/temporalio/cli/cmd/temporal"),
            cwd=module,
            env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await build.communicate()
    if build.returncode:
        raise ProcessFailed(f"Building Temporal failed:\n{output.decode(errors='replace')[-2000:]}")
    # The remains of a killed build are never used as the command.
    unfinished.rename(target)
    say(f"Temporal: {target} (built)")
    return target
