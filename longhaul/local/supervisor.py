"""Keeps processes running: restarts those that die, and gives up if one keeps dying."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from longhaul.local.processes import Command, Process, ProcessFailed

MAX_DEATHS = 3
WITHIN_SECONDS = 60.0
READY_PATIENCE = 60.0

_LOOK_EVERY = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One process of the stack.

    Attributes:
        is_ready: Whether it can be used.
        renewal_codes: Exit codes with which it asks for a restart; they do not count as deaths.
    """

    command: Command
    log: Path
    is_ready: Callable[[], Awaitable[bool]]
    renewal_codes: frozenset[int] = frozenset()


class Supervisor:
    """Starts services in order and stops them in the reverse order.

    Args:
        say: Prints a line.
        inherit: Descriptors that every process keeps open.
    """

    def __init__(self, say: Callable[[str], None], inherit: Sequence[int] = ()) -> None:
        self._say = say
        self._inherit = inherit
        self._running: list[tuple[Service, Process]] = []
        self._keepers: list[asyncio.Task[None]] = []

    async def start(self, service: Service) -> None:
        """Start a service and return when it can be used; from then on it is kept running.

        Raises:
            ProcessFailed: It ended, or did not become ready.
        """
        process = await self._spawn(service)
        if not await self._is_ready(service, process):
            raise ProcessFailed(
                f"{service.command.name} ended at its start:\n{process.last_lines()}"
            )
        self._keepers.append(asyncio.create_task(self._keep(service, process)))

    async def watch(self) -> None:
        """Never returns.

        Raises:
            ProcessFailed: A service died for the fourth time within a minute, or was started
                again and did not become ready.
        """
        done, _ = await asyncio.wait(self._keepers, return_when=asyncio.FIRST_COMPLETED)
        for keeper in done:
            keeper.result()

    async def stop(self) -> None:
        """Stop every service, the last one first."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        for service, process in reversed(self._running):
            self._say(f"stopping {service.command.name}")
            await process.stop()
        self._running.clear()

    async def _keep(self, service: Service, process: Process) -> None:
        deaths: deque[float] = deque()
        loop = asyncio.get_running_loop()
        while True:
            code = await process.wait()
            if code in service.renewal_codes:
                self._say(f"{service.command.name} asks to be started again (code {code})")
                process = await self._start_again(service)
                continue
            deaths.append(loop.time())
            while loop.time() - deaths[0] > WITHIN_SECONDS:
                deaths.popleft()
            name = service.command.name
            if len(deaths) > MAX_DEATHS:
                raise ProcessFailed(
                    f"{name} died {len(deaths)} times within a minute:\n{process.last_lines()}"
                )
            self._say(f"{name} ended with code {code}; starting it again")
            process = await self._start_again(service)

    async def _start_again(self, service: Service) -> Process:
        process = await self._spawn(service)
        # If it died meanwhile, `_keep` counts another death.
        await self._is_ready(service, process)
        return process

    async def _spawn(self, service: Service) -> Process:
        process = await Process.start(service.command, service.log, self._inherit)
        self._running = [one for one in self._running if one[0] is not service]
        self._running.append((service, process))
        return process

    async def _is_ready(self, service: Service, process: Process) -> bool:
        """Wait until it can be used; False if it ends before that."""
        give_up = asyncio.get_running_loop().time() + READY_PATIENCE
        while not await service.is_ready():
            if process.returncode is not None:
                return False
            if asyncio.get_running_loop().time() > give_up:
                raise ProcessFailed(
                    f"{service.command.name} was not ready within {READY_PATIENCE:.0f} s:\n"
                    f"{process.last_lines()}"
                )
            await asyncio.sleep(_LOOK_EVERY)
        return True
