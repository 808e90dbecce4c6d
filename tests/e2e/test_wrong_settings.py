"""Processes that cannot start say why, and exit with the code of wrong usage."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.ports import new_port


async def ended(module: str) -> tuple[int | None, str]:
    """How a process ended, and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


@pytest.mark.parametrize("module", ["longhaul.api", "longhaul.worker", "longhaul.local"])
async def test_wrong_settings_are_wrong_usage(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setenv("LONGHAUL_AUTH__MODE", "off")
    monkeypatch.setenv("LONGHAUL_API__HOST", "0.0.0.0")

    code, said = await ended(module)

    assert code == 2
    assert "LONGHAUL_AUTH__MODE=off needs LONGHAUL_API__HOST to be loopback" in said
    assert "Traceback" not in said


async def test_a_stack_whose_database_is_away_cannot_reach_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LONGHAUL_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("LONGHAUL_POSTGRES__DSN", f"postgresql://127.0.0.1:{new_port()}/x")
    monkeypatch.setenv("LONGHAUL_REDIS__URL", f"redis://127.0.0.1:{new_port()}/0")
    monkeypatch.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{new_port()}")

    code, said = await ended("longhaul.local")

    assert code == 3
    assert "The database cannot be reached" in said
    assert "Traceback" not in said


async def test_a_limit_of_an_unknown_job_type_is_wrong_usage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LONGHAUL_POSTGRES__DSN", "postgresql://127.0.0.1:1/x")
    monkeypatch.setenv("LONGHAUL_REDIS__URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("LONGHAUL_LIMITS__MAX_RUNNING", "rule_gen=2")

    code, said = await ended("longhaul.api")

    assert code == 2
    assert "Unknown job type 'rule_gen'" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("module", ["longhaul.api", "longhaul.worker"])
async def test_a_process_without_its_servers_says_what_to_set(module: str) -> None:
    code, said = await ended(module)

    assert code == 2
    assert "Set LONGHAUL_POSTGRES__DSN and LONGHAUL_REDIS__URL" in said
    assert "Traceback" not in said
