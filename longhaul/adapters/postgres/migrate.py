"""Brings the schema up to date; any number of processes may try at once."""

import asyncio
from contextlib import aclosing
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from longhaul.core.errors import Unavailable

SCRIPTS = Path(__file__).parent / "migrations"

# Any number will do as long as nobody else in the database takes it: "longhaul" in ASCII.
_LOCK = 0x6C6F6E676861756C


async def migrate(dsn: str, *, to: str = "head") -> None:
    """Upgrade to a revision under an advisory lock.

    Args:
        dsn: `postgresql://…`, as the settings have it.
        to: An Alembic revision; "base" takes everything down.

    Raises:
        Unavailable: The database cannot be reached.
    """
    url = dsn.replace("postgresql://", "postgresql+asyncpg://", 1)
    engine = create_async_engine(url, hide_parameters=True)
    try:
        connection = engine.connect()
        try:
            await connection.start()
        except (OSError, asyncpg.PostgresError) as exc:
            raise Unavailable("The database cannot be reached.") from exc
        async with aclosing(connection):
            await connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
            await connection.commit()
            await connection.run_sync(_run, to)
            await connection.commit()
    finally:
        await asyncio.shield(engine.dispose())


def _run(connection: Connection, to: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.attributes["connection"] = connection
    if to == "base":
        command.downgrade(config, to)
    else:
        command.upgrade(config, to)
