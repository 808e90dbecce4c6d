"""Child processes that end with their parent, however it ends."""

import asyncio
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

STOP_PATIENCE = 20.0

_LAST_LINES = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to run and how to end it.

    Attributes:
        env: Added to the variables of this process; None removes one.
        stop_signal: Asks the process to end in good order.
        orphan_signal: Sent when its parent dies; the stop signal if not given.
        wrapper: Put in front of the command, after the guard that ties it to its parent.
        patience: Seconds to end before it is killed.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str | None] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
    orphan_signal: signal.Signals | None = None
    wrapper: Sequence[str] = ()
    patience: float = STOP_PATIENCE


class ProcessFailed(Exception):
    """A process of the stack ended before it was ready."""


class Process:
    """A running command whose output goes to a log file."""

    def __init__(self, command: Command, process: asyncio.subprocess.Process, log: Path) -> None:
        self.command = command
        self._process = process
        self._log = log

    @classmethod
    async def start(cls, command: Command, log: Path, inherit: Sequence[int] = ()) -> "Process":
        """Start a command; it is sent its signal when this process dies.

        The guard is tied to the thread that starts it, so this must be called from the
        main thread.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *_guard(command.orphan_signal or command.stop_signal),
                *command.wrapper,
                *command.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=_environment(command.env),
                # Ctrl-C reaches the whole foreground group; only the parent may act on it.
                start_new_session=True,
                pass_fds=tuple(inherit),
            )
        return cls(command, process, log)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """How it ended, or None while it runs."""
        return self._process.returncode

    async def wait(self) -> int:
        """Return how it ended."""
        return await self._process.wait()

    async def stop(self) -> None:
        """Ask it to end, and kill it after a while."""
        if self._process.returncode is not None:
            return
        self._process.send_signal(self.command.stop_signal)
        try:
            async with asyncio.timeout(self.command.patience):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        if self._process.returncode is None:
            self._process.send_signal(number)

    def last_lines(self) -> str:
        """The end of its log."""
        text = self._log.read_text(errors="replace") if self._log.exists() else ""
        return "\n".join(text.splitlines()[-_LAST_LINES:])


def _environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    changed = {**os.environ, **changes}
    return {name: value for name, value in changed.items() if value is not None}


def _guard(number: signal.Signals) -> list[str]:
    setpriv = shutil.which("setpriv")
    if setpriv is None:  # not Linux: the lock file's pid is checked at the next start instead
        return []
    return [setpriv, "--pdeathsig", number.name.removeprefix("SIG")]
