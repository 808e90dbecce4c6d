"""Processes that keep dying: started again three times, given up the fourth time."""

import sys
from pathlib import Path

import pytest

from longhaul.local.processes import Command, ProcessFailed
from longhaul.local.supervisor import Service, Supervisor


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


async def test_what_is_not_there_to_start_says_so_at_once(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    patient = service(tmp_path, "raise SystemExit('wrong password')")
    unready = Service(command=patient.command, log=patient.log, is_ready=never)
    supervisor = Supervisor(lambda line: None)

    with pytest.raises(ProcessFailed, match="ended at its start:\nwrong password"):
        await supervisor.start(unready)
    await supervisor.stop()
