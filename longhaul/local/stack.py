"""The whole stack for one machine: servers that are not given, then API and worker."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence

from longhaul.adapters.data_folder import DataFolder
from longhaul.adapters.postgres.migrate import migrate
from longhaul.adapters.settings import AuthMode, Settings
from longhaul.core.exit_codes import READY, START_AGAIN
from longhaul.local import postgres, redis, temporal
from longhaul.local.ports import HOST, answers, free_port
from longhaul.local.processes import Command
from longhaul.local.supervisor import Service, Supervisor

# Where each server listens if the port is free.
PORTS = {"postgres": 5433, "redis": 6380, "temporal": 7233, "temporal_ui": 8233}

# The worker lets its items end for 30 s, and then stops them.
WORKER_PATIENCE = 40.0


class Stack:
    """Starts everything for which the settings have no address."""

    def __init__(
        self, settings: Settings, types: Sequence[str], say: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._types = types
        self._say = say
        self._folder = DataFolder(settings.data_dir)
        self._known = self._folder.read_addresses()
        self._taken: set[int] = set()
        self._addresses: dict[str, str | int] = {}

    async def run(self) -> None:
        """Start, print the addresses, and run until SIGINT or SIGTERM.

        Raises:
            FolderInUse: Another stack runs on the data folder.
            ProcessFailed: A process cannot be started or keeps dying.
        """
        stopped = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        with self._folder.locked() as lock:
            supervisor = Supervisor(self._say, inherit=[lock])
            work = asyncio.create_task(self._start_and_watch(supervisor))
            leave = asyncio.create_task(stopped.wait())
            try:
                await asyncio.wait({work, leave}, return_when=asyncio.FIRST_COMPLETED)
                if work.done():
                    work.result()
            finally:
                leave.cancel()
                work.cancel()
                await asyncio.gather(work, leave, return_exceptions=True)
                await supervisor.stop()

    async def _start_and_watch(self, supervisor: Supervisor) -> None:
        dsn = await self._postgres(supervisor)
        redis_url = await self._redis(supervisor)
        temporal_address = await self._temporal(supervisor)
        env = {
            **(temporal.no_other() if self._settings.temporal_address is None else {}),
            "LONGHAUL_POSTGRES__DSN": dsn,
            "LONGHAUL_REDIS__URL": redis_url,
            "TEMPORAL_ADDRESS": temporal_address,
            **self._secret(),
            **self._key(),
        }
        await migrate(dsn, say=self._say)
        await self._api(supervisor, env)
        await self._worker(supervisor, env)
        self._folder.write_addresses(self._addresses)
        self._say_where(temporal_address=temporal_address)
        await supervisor.watch()

    async def _postgres(self, supervisor: Supervisor) -> str:
        if self._settings.postgres.dsn is not None:
            self._say("PostgreSQL: as LONGHAUL_POSTGRES__DSN says")
            return self._settings.postgres.dsn.get_secret_value()
        port = self._port("postgres")
        await postgres.prepare(self._folder.postgres)
        await self._start(
            supervisor,
            postgres.command(self._folder.postgres, port),
            lambda: postgres.is_ready(port),
        )
        self._say(f"PostgreSQL: {postgres.dsn(port)}")
        self._addresses["postgres_dsn"] = postgres.dsn(port)
        return postgres.dsn(port)

    async def _redis(self, supervisor: Supervisor) -> str:
        if self._settings.redis.url is not None:
            self._say("Redis: as LONGHAUL_REDIS__URL says")
            return self._settings.redis.url.get_secret_value()
        port = self._port("redis")
        await self._start(supervisor, redis.command(port), lambda: redis.is_ready(port))
        self._say(f"Redis: {redis.url(port)}")
        return redis.url(port)

    async def _temporal(self, supervisor: Supervisor) -> str:
        if self._settings.temporal_address is not None:
            self._say("Temporal: as TEMPORAL_ADDRESS says")
            return self._settings.temporal_address
        port, ui_port = self._port("temporal"), self._port("temporal_ui")
        binary = await temporal.find_binary(self._say)
        await self._start(
            supervisor,
            temporal.command(binary, file=self._folder.temporal, port=port, ui_port=ui_port),
            lambda: temporal.is_ready(port),
        )
        self._addresses["temporal_ui"] = f"http://{HOST}:{ui_port}"
        return f"{HOST}:{port}"

    async def _api(self, supervisor: Supervisor, env: Mapping[str, str | None]) -> None:
        api = self._settings.api
        port = self._port("api", api.port, host=api.host)
        command = Command(
            name="API",
            argv=self._python("longhaul.api"),
            env={**env, "LONGHAUL_API__HOST": api.host, "LONGHAUL_API__PORT": str(port)},
        )
        await self._start(supervisor, command, lambda: answers(port, api.near_host))
        self._addresses["api"] = api.url(port)

    async def _worker(self, supervisor: Supervisor, env: Mapping[str, str | None]) -> None:
        command = Command(
            name="Worker",
            argv=self._python("longhaul.worker"),
            env=env,
            # The servers stop at the same time: it could not hand its items back.
            orphan_signal=signal.SIGKILL,
            patience=WORKER_PATIENCE,
        )
        await self._start(supervisor, command, _at_once, frozenset({START_AGAIN}))

    async def _start(
        self,
        supervisor: Supervisor,
        command: Command,
        is_ready: Callable[[], Awaitable[bool]],
        renewal_codes: frozenset[int] = frozenset(),
    ) -> None:
        log = self._folder.log(command.name)
        await supervisor.start(
            Service(command=command, log=log, is_ready=is_ready, renewal_codes=renewal_codes)
        )

    def _python(self, module: str) -> list[str]:
        types = [part for one in self._types for part in ("--types", one)]
        return [sys.executable, "-m", module, *types]

    def _secret(self) -> dict[str, str]:
        auth = self._settings.auth
        if auth.mode is AuthMode.OFF or auth.secret is not None or auth.jwks_url is not None:
            return {}
        return {"LONGHAUL_AUTH__SECRET": self._folder.make_secret()}

    def _key(self) -> dict[str, str]:
        if self._settings.webhooks.keys is not None or self._settings.encryption.keys is not None:
            return {}
        return {"LONGHAUL_WEBHOOKS__KEYS": self._folder.make_key()}

    def _port(self, name: str, wanted: int | None = None, *, host: str = HOST) -> int:
        """The last used port, so that addresses stay; else the wanted one, or the next."""
        first = wanted or PORTS[name]
        last = self._known.get(f"{name}_port", first)
        tried = last if wanted is None else first
        port = free_port(tried, host=host, avoid=frozenset(self._taken))
        if port != tried:
            self._say(f"{name.replace('_', ' ')}: port {tried} is taken, using {port}")
        self._taken.add(port)
        self._addresses[f"{name}_port"] = port
        return port

    def _say_where(self, *, temporal_address: str) -> None:
        api = self._addresses["api"]
        self._say("")
        self._say(f"API        {api}/docs")
        self._say(f"Temporal   {temporal_address}")
        if "temporal_ui" in self._addresses:
            self._say(f"Workflows  {self._addresses['temporal_ui']}")
        self._say(f"Data       {self._folder.path}")
        self._say("Token      longhaul token --role Admin   (longhaul itself needs none)")
        self._say(f"{READY} Ctrl-C stops everything.")


async def _at_once() -> bool:
    """A worker has no port; if it cannot start it exits, and its log says why."""
    return True
