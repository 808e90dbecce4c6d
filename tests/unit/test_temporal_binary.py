"""The `temporal` command is built once, however many need it at the same time."""

import asyncio
import sys
from pathlib import Path

import pytest

from longhaul.local.temporal import VERSION, alone_in, find_binary

OTHER_PROCESS = """
import asyncio, pathlib, sys
from longhaul.local.temporal import alone_in

async def main(folder):
    print("ready", flush=True)
    async with alone_in(folder):
        (folder / "made").touch()

asyncio.run(main(pathlib.Path(sys.argv[1])))
"""


async def test_another_process_waits_until_what_is_made_here_is_made(tmp_path: Path) -> None:
    async with alone_in(tmp_path):
        other = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", OTHER_PROCESS, str(tmp_path)), stdout=asyncio.subprocess.PIPE
        )
        assert other.stdout is not None
        await other.stdout.readline()
        await asyncio.wait([asyncio.create_task(other.wait())], timeout=0.5)
        made_meanwhile = (tmp_path / "made").exists()

    assert await other.wait() == 0
    assert not made_meanwhile
    assert (tmp_path / "made").exists()


async def test_who_has_waited_takes_what_another_has_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "longhaul" / f"temporal-{VERSION}"
    folder.mkdir(parents=True)
    said: list[str] = []

    async with alone_in(folder):
        waiting = asyncio.create_task(find_binary(said.append))
        await asyncio.sleep(0)
        (folder / "temporal").touch()

    assert await waiting == folder / "temporal"
    assert said == [f"Temporal: {folder / 'temporal'} (built earlier)"]
