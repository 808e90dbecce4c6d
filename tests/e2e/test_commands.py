"""The command for other programs: its exit codes, and only JSON on stdout."""

import asyncio
import json
import os
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from longhaul.local.ports import HOST
from tests.cluster import Cluster
from tests.ports import new_port


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    code: int | None
    out: str
    said: str


async def longhaul(*arguments: str, env: Mapping[str, str], answer: bytes = b"") -> Ran:
    """Run the command as another program does."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from longhaul.cli.main import main; main()", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **env},
    )
    out, said = await process.communicate(answer)
    return Ran(process.returncode, out.decode(), said.decode())


@pytest.mark.parametrize("command", ["migrate", "seed"])
async def test_a_database_that_is_away_cannot_be_reached(command: str, tmp_path: Path) -> None:
    env = {
        "LONGHAUL_POSTGRES__DSN": f"postgresql://nobody@{HOST}:{new_port()}/nothing",
        "LONGHAUL_DATA_DIR": str(tmp_path),
    }

    ran = await longhaul(command, env=env)

    assert (ran.code, ran.out) == (3, "")
    assert "Cannot reach PostgreSQL" in ran.said
    assert "Traceback" not in ran.said


@pytest.mark.parametrize("answer", [b"n\n", b""])
async def test_a_purge_that_nobody_confirms_is_none(answer: bytes, tmp_path: Path) -> None:
    env = {"LONGHAUL_DATA_DIR": str(tmp_path)}

    ran = await longhaul("jobs", "purge", str(uuid.uuid4()), "--json", env=env, answer=answer)

    assert (ran.code, ran.out.strip()) == (2, "")
    assert "Nothing was deleted." in ran.said


async def test_json_is_all_that_stdout_holds(cluster: Cluster, tmp_path: Path) -> None:
    await cluster.run_worker("worker")
    env = {
        **cluster.env,
        "LONGHAUL_API__PORT": str(cluster.api_ports[0]),
        "LONGHAUL_DATA_DIR": str(tmp_path),
    }

    submitted = await longhaul(
        *("jobs", "submit", "echo", "-p", "items=3", "--wait", "--json"), env=env
    )
    job: Mapping[str, Any] = json.loads(submitted.out)
    watched = await longhaul("jobs", "watch", job["job_id"], "--json", env=env)
    purged = await longhaul("jobs", "purge", job["job_id"], "--yes", "--json", env=env)

    assert (submitted.code, job["status"]) == (0, "completed")
    assert "3/3" in submitted.said
    assert json.loads(watched.out)["job_id"] == job["job_id"]
    assert (purged.code, json.loads(purged.out)["purged"]) == (0, True)
