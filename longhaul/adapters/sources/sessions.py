"""Opens sessions with data sources, each in its own thread that can be stopped."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from longhaul.adapters.sources.session import Interrupted, QueryFailed, Session, closing
from longhaul.core.errors import ItemFailed
from longhaul.core.sources import DataSource, SourceAccess, SourceKind, SourceTable

Answer = TypeVar("Answer")

# How many sessions a process has open at once: each is a connection to a database, or a file
# in memory. Rules of one table share one.
SESSIONS = 32

# Not asyncio's threads: a session may take minutes, and other items need those. And stopping a
# session must not wait for a thread that only becomes free when it ends.
_looking = ThreadPoolExecutor(SESSIONS, "longhaul-source")
_stopping = ThreadPoolExecutor(4, "longhaul-source-stop")

_AGAIN = 0.2


class SourceSessions:
    """Implements the port `Sources`, and runs work of adapters on a source.

    Args:
        secrets: Where `secret_ref` is looked up.
    """

    def __init__(self, access: SourceAccess, *, secrets: Mapping[str, str] = os.environ) -> None:
        self._access = access
        self._secrets = secrets
        self._stops: set[asyncio.Task[None]] = set()

    async def tables(self, source: DataSource) -> Sequence[SourceTable]:
        """The tables of a source with their columns, by name."""
        return await self.run(source, lambda session: session.tables())

    async def run(self, source: DataSource, work: Callable[[Session], Answer]) -> Answer:
        """Do some work with a session in a thread; cancelled, the source is told to stop.

        Raises:
            ItemFailed: The source cannot be read, or refuses a statement.
            Unavailable: The source is in our own database, which did not answer.
        """
        opened = _Opened()
        thread = _looking.submit(self._run, source, work, opened)
        ended = asyncio.wrap_future(thread)
        try:
            return await asyncio.shield(ended)
        except asyncio.CancelledError:
            if not thread.cancel():
                await asyncio.shield(self._stop(ended, opened))
            raise

    def _stop(self, ended: "asyncio.Future[Answer]", opened: "_Opened") -> "asyncio.Task[None]":
        # A separate task, which goes on even if the waiting one is cancelled again.
        stop = asyncio.create_task(_stop(ended, opened))
        self._stops.add(stop)
        stop.add_done_callback(self._stops.discard)
        return stop

    def _run(
        self, source: DataSource, work: Callable[[Session], Answer], opened: "_Opened"
    ) -> Answer:
        try:
            with closing(opened.hold(self._open(source))) as session:
                return work(session)
        except QueryFailed as exc:
            raise exc.as_failure from exc

    def _open(self, source: DataSource) -> Session:
        # The drivers are only imported where sources are read.
        if source.kind is not SourceKind.POSTGRESQL:
            from longhaul.adapters.sources.files import FileSession  # noqa: PLC0415

            return FileSession(source, self._access)
        from longhaul.adapters.sources.postgres import PostgresSession  # noqa: PLC0415

        return PostgresSession(source, self._dsn(source), self._access)

    def _dsn(self, source: DataSource) -> str:
        if not source.secret_ref:
            return self._access.own_dsn
        bound = self._access.secrets
        is_bound = bound is None or source.secret_ref in bound
        dsn = self._secrets.get(source.secret_ref) if is_bound else None
        if not dsn:
            raise ItemFailed(
                "secret_missing",
                f"The data source's secret {source.secret_ref} is not available here: name it in "
                "LONGHAUL_SOURCES__SECRETS and set it for the API and the workers.",
            )
        return dsn


class _Opened:
    """The session that a thread has open, so that it can be stopped."""

    def __init__(self) -> None:
        self._session: Session | None = None
        self._is_over = False

    def hold(self, session: Session) -> Session:
        self._session = session
        if self._is_over:
            session.close()
            raise Interrupted
        return session

    def interrupt(self) -> None:
        self._is_over = True
        if self._session is not None:
            self._session.interrupt()


async def _stop(ended: "asyncio.Future[Answer]", opened: _Opened) -> None:
    # Repeatedly: the thread may be between two statements, or still connecting.
    while not ended.done():
        await asyncio.get_running_loop().run_in_executor(_stopping, opened.interrupt)
        await asyncio.wait({ended}, timeout=_AGAIN)
    # Retrieved, or asyncio logs it with its text.
    ended.exception()
