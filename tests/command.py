"""The `longhaul` command as another program runs it."""

import asyncio
import os
import sys
from dataclasses import dataclass

LONGHAUL = [sys.executable, "-c", "from longhaul.cli.main import main; main()"]


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    code: int | None
    out: str
    said: str


async def start(*arguments: str, **env: str) -> asyncio.subprocess.Process:
    """Start the command, with variables besides those of the test."""
    return await asyncio.create_subprocess_exec(
        *LONGHAUL,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "COLUMNS": "200", **env},
    )


async def longhaul(*arguments: str, **env: str) -> Ran:
    """Run the command to its end."""
    process = await start(*arguments, **env)
    out, said = await process.communicate()
    return Ran(process.returncode, out.decode(), said.decode())
