"""The schema: the same however many bring it up at once, and down and up again."""

import asyncio
import os
from collections.abc import AsyncIterator

import asyncpg
import pytest

from longhaul.adapters.postgres.migrate import migrate
from longhaul.local import postgres
from tests.conftest import Servers
from tests.stack import COMMANDS

AT_ONCE = 5

# Alembic's own table stays when everything else has gone.
COLUMNS = """
SELECT table_name, column_name, data_type, is_nullable, column_default
FROM information_schema.columns
WHERE table_schema = 'public' AND table_name <> 'alembic_version'
ORDER BY table_name, column_name
"""
INDEXES = """
SELECT tablename, indexname, indexdef FROM pg_indexes
WHERE schemaname = 'public' AND tablename <> 'alembic_version' ORDER BY indexname
"""
CONSTRAINTS = """
SELECT conrelid::regclass::text AS name, conname, pg_get_constraintdef(oid) AS text
FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'alembic_version'
ORDER BY name, conname
"""


@pytest.fixture
async def empty(servers: Servers) -> AsyncIterator[str]:
    """A database without anything in it."""
    name = f"empty_{os.urandom(6).hex()}"
    admin = await asyncpg.connect(postgres.dsn(servers.postgres_port, "postgres"))
    await admin.execute(f"CREATE DATABASE {name}")
    yield postgres.dsn(servers.postgres_port, name)
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


async def schema(dsn: str) -> list[tuple[object, ...]]:
    connection = await asyncpg.connect(dsn)
    try:
        parts = [await connection.fetch(sql) for sql in (COLUMNS, INDEXES, CONSTRAINTS)]
    finally:
        await connection.close()
    return [tuple(row) for part in parts for row in part]


async def revisions(dsn: str) -> list[str]:
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch("SELECT version_num FROM alembic_version")
    finally:
        await connection.close()
    return [row["version_num"] for row in rows]


async def test_any_number_of_processes_may_bring_the_schema_up_at_once(
    empty: str, dsn: str
) -> None:
    processes = [
        await asyncio.create_subprocess_exec(
            *(str(COMMANDS / "longhaul"), "migrate"),
            env={**os.environ, "LONGHAUL_POSTGRES__DSN": empty},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        for _ in range(AT_ONCE)
    ]

    ended = [
        ((await process.communicate())[0].decode(), process.returncode) for process in processes
    ]

    assert ended == [("", 0)] * AT_ONCE
    assert await schema(empty) == await schema(dsn)
    assert await revisions(empty) == await revisions(dsn)


async def test_the_schema_goes_down_to_nothing_and_comes_up_the_same(empty: str) -> None:
    await migrate(empty)
    first = await schema(empty)

    await migrate(empty, to="base")
    nothing = await schema(empty)
    await migrate(empty)

    assert nothing == []
    assert len(first) > 50
    assert await schema(empty) == first


async def test_migrating_again_changes_nothing(dsn: str) -> None:
    before = await schema(dsn)

    await migrate(dsn)

    assert await schema(dsn) == before
