"""Connections and transactions; outages of PostgreSQL become `Unavailable`."""

import asyncio
import re
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from typing import Any

import asyncpg
from pydantic_core import from_json, to_json

from longhaul.core.errors import InvalidInput, Unavailable
from longhaul.core.ports import Row

CONNECT_TIMEOUT = timedelta(seconds=5)
STATEMENT_TIMEOUT = timedelta(seconds=30)

# How long to wait for a free or new connection.
ACQUIRE_TIMEOUT = timedelta(seconds=10)

# How long closing waits for connections in use.
CLOSE_TIMEOUT = timedelta(seconds=3)

# None would mean the limit of a statement; a million rows take longer.
COPY_TIMEOUT = timedelta(hours=1)

_SESSION = {
    "application_name": "longhaul",
    "timezone": "UTC",
    # For disks without a head to move. Statements that name a few rows of a large table by
    # their key must use its index, whatever the server's estimate of a new job's rows.
    "random_page_cost": "1.1",
}

# Lost connections, a server that starts or stops, and transactions that must be repeated.
_AWAY = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InternalClientError,  # of a connection whose server died while it answered
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.ReadOnlySQLTransactionError,  # the primary has become a standby
    asyncpg.QueryCanceledError,
    asyncpg.InvalidCachedStatementError,  # a migration has changed what a statement returns
)

# Errors of cleaning up a lost connection; the one that led to it is raised anyway.
_LOST = (*_AWAY, asyncpg.InterfaceError)


# Wrong password or user, and unknown database.
REFUSALS = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError)


class Refused(Exception):
    """PostgreSQL refuses the connection; its text says why."""


@contextmanager
def _translated(is_gone: Callable[[], bool]) -> Iterator[None]:
    try:
        yield
    except _AWAY as exc:
        raise _away() from exc
    except REFUSALS as exc:
        raise Refused(str(exc)) from exc
    except asyncpg.InterfaceError as exc:
        # Also raised for our own mistakes, such as a wrong number of arguments.
        if not is_gone():
            raise
        raise _away() from exc
    except (asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError):
        raise InvalidInput("Text with a NUL character cannot be stored.") from None
    except asyncpg.InvalidRegularExpressionError:
        raise  # the caller needs to know why
    except asyncpg.DataError as exc:
        raise InvalidInput("A value is beyond what the database can hold.") from exc


def _away() -> Unavailable:
    return Unavailable("The database did not answer; the request can be repeated.")


def _seconds(limit: timedelta | None) -> float | None:
    return None if limit is None else limit.total_seconds()


class PostgresTransaction:
    """One transaction on one connection."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    async def fetch(
        self, sql: str, *values: object, within: timedelta | None = None
    ) -> Sequence[Row]:
        """Run one statement and return its rows."""
        with _translated(self.connection.is_closed):
            rows: Sequence[Row] = await self.connection.fetch(
                sql, *values, timeout=_seconds(within)
            )
            return rows

    async def execute(self, sql: str, *values: object, within: timedelta | None = None) -> int:
        """Run one statement and return how many rows it touched."""
        with _translated(self.connection.is_closed):
            status: str = await self.connection.execute(sql, *values, timeout=_seconds(within))
        count = status.rsplit(" ", 1)[-1]
        return int(count) if count.isdigit() else 0

    @asynccontextmanager
    async def nested(self) -> AsyncIterator[None]:
        """A part that can fail without failing the rest of the transaction."""
        savepoint = self.connection.transaction()
        with _translated(self.connection.is_closed):
            await savepoint.start()
        try:
            yield
        except BaseException:
            with suppress(*_LOST):
                await savepoint.rollback()
            raise
        with _translated(self.connection.is_closed):
            await savepoint.commit()

    async def copy(
        self,
        table: str,
        columns: Sequence[str],
        records: Iterable[tuple[object, ...]] | AsyncIterable[tuple[object, ...]],
    ) -> None:
        """Append many rows at once."""
        with _translated(self.connection.is_closed):
            await self.connection.copy_records_to_table(
                table, columns=columns, records=records, timeout=COPY_TIMEOUT.total_seconds()
            )


class PostgresDatabase:
    """A pool that can be opened while PostgreSQL is down."""

    def __init__(self, pool: Any, acquire_timeout: timedelta) -> None:
        self._pool = pool
        self._acquire_timeout = acquire_timeout.total_seconds()

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        dsn: str,
        *,
        connections: int,
        statement_timeout: timedelta = STATEMENT_TIMEOUT,
        acquire_timeout: timedelta = ACQUIRE_TIMEOUT,
    ) -> AsyncIterator["PostgresDatabase"]:
        """Open a pool with a limit of connections; they are made when first needed."""
        pool = asyncpg.create_pool(
            dsn,
            min_size=0,
            max_size=connections,
            init=_prepare_connection,
            reset=_keep_as_it_is,
            timeout=CONNECT_TIMEOUT.total_seconds(),
            command_timeout=statement_timeout.total_seconds(),
            server_settings=_SESSION,
        )
        await pool
        try:
            yield cls(pool, acquire_timeout)
        finally:
            # Hanging connections must not block the exit; the pool drops them when interrupted.
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT.total_seconds()):
                    await pool.close()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[PostgresTransaction]:
        """Open a transaction: commits at the end of its block, rolls back on an exception."""
        connection = await self._acquire()
        try:
            transaction = connection.transaction()
            with _translated(connection.is_closed):
                await transaction.start()
            try:
                yield PostgresTransaction(connection)
            except BaseException:
                with suppress(*_LOST):
                    await transaction.rollback()
                raise
            with _translated(connection.is_closed):
                await transaction.commit()
        finally:
            await self._release(connection)

    @asynccontextmanager
    async def locked(self, number: int) -> AsyncIterator[bool]:
        """Try to take an advisory lock for the block; False when somebody else has it.

        It belongs to a connection and not to a transaction, so that nothing stays open
        in the database while the block waits for others.
        """
        connection = await self._acquire()
        is_free = False
        try:
            with _translated(connection.is_closed):
                got = await connection.fetchval("SELECT pg_try_advisory_lock($1)", number)
            try:
                yield got
            finally:
                with suppress(*_LOST):
                    if got:
                        await connection.execute("SELECT pg_advisory_unlock($1)", number)
                    is_free = True
        finally:
            if not is_free:
                # It may still hold the lock, which must not go back to the pool with it.
                connection.terminate()
            await self._release(connection)

    async def _acquire(self) -> Any:
        with _translated(self._pool.is_closing):
            async with asyncio.timeout(self._acquire_timeout):
                return await self._pool.acquire()

    async def _release(self, connection: Any) -> None:
        # The pool cleans a connection before it takes it back, and drops one that is lost.
        with suppress(*_LOST):
            await self._pool.release(connection)

    async def ping(self) -> None:
        """Raise `Unavailable` unless PostgreSQL answers."""
        async with self.begin() as tx:
            await tx.fetch("SELECT 1")


async def _keep_as_it_is(_connection: Any) -> None:
    """Save the round trip of a reset: our statements do not change a session for good."""


async def _prepare_connection(connection: Any) -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=_encode_jsonb,
        decoder=_decode_jsonb,
        format="binary",
    )


# The binary form of jsonb is its text after one byte with the format's number. COPY needs it.
_JSONB_VERSION = b"\x01"
_BACKSLASH_OR_NUL = re.compile(rb"(\\\\)|\\u0000")


def _encode_jsonb(value: object) -> bytes:
    # PostgreSQL stores no NUL inside jsonb; a model's answer may contain one.
    text = _BACKSLASH_OR_NUL.sub(lambda found: found[1] or b"", to_json(value, inf_nan_mode="null"))
    return _JSONB_VERSION + text


def _decode_jsonb(data: bytes) -> Any:
    return from_json(data[1:])
