"""Brings the schema up to date; many processes may try at once."""

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

# How long a statement waits for a table that a transaction has open: others that need the table
# wait behind it, even to read a job.
LOCK_TIMEOUT = timedelta(seconds=2)

# How long others can use it between two tries.
PAUSE = timedelta(seconds=5)

# Any number that nobody else in the database uses: "longhaul" in ASCII.
_LOCK = 0x6C6F6E676861756C


class UnknownRevision(Exception):
    """There is no revision of this name; the text lists those that exist."""


async def migrate(
    dsn: str, *, to: str = "head", say: Callable[[str], None] = lambda _: None
) -> str | None:
    """Upgrade to a revision under an advisory lock; returns it, None for an empty schema.

    Args:
        dsn: `postgresql://…`, as the settings have it.
        to: An Alembic revision; "base" drops everything.
        say: Called with a line that says what it waits for.

    Raises:
        Unavailable: The database cannot be reached.
        Refused: It refuses the connection.
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
            # SQLAlchemy wraps the driver's error, whose cause is asyncpg's.
            cause = exc.orig.__cause__ if exc.orig else None
            if isinstance(cause, REFUSALS):
                raise Refused(str(cause)) from cause
            raise Unavailable("The database cannot be reached.") from cause
        async with aclosing(connection):
            await connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
            # Only now: for another migration we wait as long as it takes.
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
