"""Processes that keep dying: restarted three times, given up the fourth time."""

import signal
import sys
from pathlib import Path

import pytest

from longhaul.local.processes import Command, Process, ProcessFailed
from longhaul.local.supervisor import Service, Supervisor
from tests.waiting import until


def service(folder: Path, script: str) -> Service:
    async def at_once() -> bool:
        return True

    command = Command(name="Patient", argv=[sys.executable, "-c", script])
    return Service(command=command, log=folder / "patient.log", is_ready=at_once)


async def test_what_keeps_dying_stops_the_stack_with_its_last_words(tmp_path: Path) -> None:
    said: list[str] = []
    supervisor = Supervisor(said.append)
    await supervisor.start(service(tmp_path, "print('no licence'); raise SystemExit(3)"))

    with pytest.raises(ProcessFailed) as failed:
        await supervisor.watch()
    await supervisor.stop()

    assert "died 4 times within a minute" in str(failed.value)
    assert "no licence" in str(failed.value)
    assert said.count("Patient ended with code 3; starting it again") == 3


async def test_what_dies_before_it_is_ready_again_has_died_once_more(tmp_path: Path) -> None:
    first, later = tmp_path / "first", tmp_path / "later"
    script = f"""
import pathlib, sys, time
first, later = pathlib.Path({str(first)!r}), pathlib.Path({str(later)!r})
if first.exists():
    later.write_text(later.read_text() + "x" if later.exists() else "x")
    sys.exit("the disk is full")
first.touch()
time.sleep(0.2)
sys.exit(3)
"""

    async def only_at_first() -> bool:
        return first.exists() and not later.exists()

    patient = service(tmp_path, script)
    said: list[str] = []
    supervisor = Supervisor(said.append)
    await supervisor.start(
        Service(command=patient.command, log=patient.log, is_ready=only_at_first)
    )

    with pytest.raises(ProcessFailed, match=r"died 4 times within a minute:\n.*the disk is full"):
        await supervisor.watch()
    await supervisor.stop()

    assert later.read_text() == "xxx"


async def test_a_command_has_the_time_to_end_that_it_asks_for(tmp_path: Path) -> None:
    deaf = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(600)
"""
    command = Command(name="Deaf", argv=[sys.executable, "-c", deaf], patience=0.1)
    process = await Process.start(command, tmp_path / "deaf.log")

    async def is_deaf() -> bool:
        return bool(process.last_lines())

    await until(is_deaf, what="the process to be deaf")
    await process.stop()

    assert process.returncode == -signal.SIGKILL


async def test_what_is_not_there_to_start_says_so_at_once(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    patient = service(tmp_path, "raise SystemExit('wrong password')")
    unready = Service(command=patient.command, log=patient.log, is_ready=never)
    supervisor = Supervisor(lambda line: None)

    with pytest.raises(ProcessFailed, match="ended at its start:\nwrong password"):
        await supervisor.start(unready)
    await supervisor.stop()
