"""The cluster of the embedded PostgreSQL: whole, or not there."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from longhaul.local import postgres
from longhaul.local.processes import ProcessFailed
from tests.stack import running
from tests.waiting import until


def version_files(folder: Path) -> list[Path]:
    return [path / "PG_VERSION" for path in folder.iterdir() if (path / "PG_VERSION").exists()]


async def test_a_cluster_whose_making_was_killed_is_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    making = asyncio.create_task(postgres.prepare(folder))

    async def is_half_made() -> bool:
        return bool(version_files(tmp_path))

    await until(is_half_made, what="initdb to be half-way")
    for alive, command in running().items():
        if str(tmp_path) in command:
            os.kill(alive.pid, signal.SIGKILL)
    with pytest.raises(ProcessFailed):
        await making
    left = folder.exists()

    await postgres.prepare(folder)
    made = folder.stat().st_mtime_ns
    await postgres.prepare(folder)

    assert not left
    assert version_files(tmp_path) == [folder / "PG_VERSION"]
    assert (folder / "global" / "pg_control").exists()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert folder.stat().st_mtime_ns == made
