"""Brings the schema up to date; any number of processes may try at once."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from longhaul.adapters.postgres.database import REFUSALS, Refused
from longhaul.core.errors import Unavailable

SCRIPTS = Path(__file__).parent / "migrations"

# How long a statement waits for a table that somebody's transaction has open: whoever wants it
# meanwhile waits behind it, be it only to read a job.
LOCK_TIMEOUT = timedelta(seconds=2)

# How long they have it to themselves between two tries.
PAUSE = timedelta(seconds=5)

# Any number will do as long as nobody else in the database takes it: "longhaul" in ASCII.
_LOCK = 0x6C6F6E676861756C


class UnknownRevision(Exception):
    """There is no revision of this name; the text lists those that there are."""


async def migrate(
    dsn: str, *, to: str = "head", say: Callable[[str], None] = lambda _: None
) -> str | None:
    """Upgrade to a revision under an advisory lock; which it is then, None for an empty schema.

    Args:
        dsn: `postgresql://…`, as the settings have it.
        to: An Alembic revision; "base" takes everything down.
        say: Takes the line that says what it waits for.

    Raises:
        Unavailable: The database cannot be reached.
        Refused: It lets nobody in this way.
        UnknownRevision: There is none of this name.
    """
    url = dsn.replace("postgresql://", "postgresql+asyncpg://", 1)
    engine = create_async_engine(url, hide_parameters=True)
    try:
        connection = engine.connect()
        try:
            await connection.start()
        except (OSError, asyncpg.PostgresError) as exc:
            raise Unavailable("The database cannot be reached.") from exc
        except DBAPIError as exc:
            # SQLAlchemy's words around the driver's, which are the cause of its own.
            cause = exc.orig.__cause__ if exc.orig else None
            if isinstance(cause, REFUSALS):
                raise Refused(str(cause)) from cause
            raise Unavailable("The database cannot be reached.") from cause
        async with aclosing(connection):
            await connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
            # Only now: whoever else migrates is waited for as long as it takes.
            await connection.execute(
                text(f"SET lock_timeout = {LOCK_TIMEOUT // timedelta(milliseconds=1)}")
            )
            await connection.commit()
            return await _migrate(connection, to, say)
    finally:
        await asyncio.shield(engine.dispose())


async def _migrate(connection: AsyncConnection, to: str, say: Callable[[str], None]) -> str | None:
    said: str | None = None
    while True:
        try:
            revision = await connection.run_sync(_run, to)
            await connection.commit()
            return revision
        except DBAPIError as exc:
            if exc.orig is None or not isinstance(
                exc.orig.__cause__, asyncpg.LockNotAvailableError
            ):
                raise
            await connection.rollback()
            if exc.statement != said:
                said = exc.statement
                say(
                    "Waiting for a transaction that has a table open, and trying again: "
                    + " ".join((said or "").split())
                )
            await asyncio.sleep(PAUSE.total_seconds())


def _run(connection: Connection, to: str) -> str | None:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.attributes["connection"] = connection
    _check_revision(config, to)
    if to == "base":
        command.downgrade(config, to)
    else:
        command.upgrade(config, to)
    return MigrationContext.configure(connection).get_current_revision()


def _check_revision(config: Config, to: str) -> None:
    scripts = ScriptDirectory.from_config(config)
    known = ["base", "head", *(one.revision for one in reversed([*scripts.walk_revisions()]))]
    if to not in known:
        raise UnknownRevision(f"There is no revision {to!r}; there are: {', '.join(known)}.")
