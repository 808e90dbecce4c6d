"""The schema: the same if many upgrade at once, and after a downgrade and upgrade."""

import asyncio
import json
import os
from collections.abc import AsyncIterator

import asyncpg
import pytest

from longhaul.adapters.postgres.migrate import migrate
from longhaul.core.expectations import IN_SET, kwargs_hash
from longhaul.local import postgres
from tests.conftest import Servers
from tests.stack import COMMANDS
from tests.waiting import PATIENCE, until

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


SEED = """
INSERT INTO report (name, regulation, lob) VALUES ('r', 'r', 'r');
INSERT INTO cycle (name, starts_on) VALUES ('c', now());
INSERT INTO cycle_report SELECT c.id, r.id FROM cycle AS c, report AS r;
INSERT INTO phase (cycle_id, report_id, name) SELECT cycle_id, report_id, 'p' FROM cycle_report;
INSERT INTO attribute (phase_id, line_no, name, mdrm, data_type, mandatory, description, format)
SELECT id, 1, 'Flag', '', 'String', 'Mandatory', '', '' FROM phase;
INSERT INTO rule_version (id, cycle_id, report_id, phase_id, number, status, created_by, created_at)
SELECT gen_random_uuid(), cycle_id, report_id, id, 1, 'draft', 'u-1', now() FROM phase;
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


async def test_a_migration_that_waits_for_a_long_transaction_keeps_nobody_else_waiting(
    empty: str, dsn: str
) -> None:
    await migrate(empty, to="0007")
    said: list[str] = []
    long, other = await asyncpg.connect(empty), await asyncpg.connect(empty)

    async def waits() -> bool:
        return bool(said)

    try:
        async with long.transaction():
            await long.execute("SELECT FROM job")
            upgrade = asyncio.create_task(migrate(empty, say=said.append))
            await until(waits, what="the migration to say what it waits for")
            # It waits for as long as the transaction is open, and all others work meanwhile.
            async with asyncio.timeout(PATIENCE):
                await other.execute("SELECT FROM job")
            assert not upgrade.done()
        await upgrade
    finally:
        await long.close()
        await other.close()

    assert said == [
        "Waiting for a transaction that has a table open, and trying again: "
        "ALTER TABLE job ADD COLUMN dispatched_at timestamptz"
    ]
    assert await schema(empty) == await schema(dsn)


async def test_rules_that_mean_the_same_get_the_same_hash(empty: str) -> None:
    await migrate(empty, to="0014")
    sets = [["Y", "N"], ["N", "Y"], ["A", "B"]]
    connection = await asyncpg.connect(empty)
    try:
        await connection.execute(SEED)
        for number, values in enumerate(sets):
            await connection.execute(
                "INSERT INTO rule (version_id, attribute_id, expectation, kwargs, kwargs_hash,"
                " name, rule_type, severity, execution_order, rationale, confidence, provider,"
                " model, prompt_version, created_at) SELECT v.id, a.id, $1, $2, $3, $3, 'validity',"
                " 'low', 1, '', 1, 'offline', '', '1', now()"
                " FROM rule_version AS v, attribute AS a",
                IN_SET,
                json.dumps({"column": "Flag", "value_set": values}),
                f"old {number}",
            )

        await migrate(empty)

        rows = await connection.fetch("SELECT name, kwargs_hash FROM rule ORDER BY name")
    finally:
        await connection.close()
    hashes = {row["name"]: row["kwargs_hash"] for row in rows}
    expected = [kwargs_hash({"column": "Flag", "value_set": one}) for one in sets]
    assert expected[0] == expected[1]
    # Of two equal ones, one keeps its hash, so that neither is lost.
    assert sorted([hashes["old 0"], hashes["old 1"]]) == sorted(
        [expected[0], next(one for one in hashes.values() if one.startswith("old"))]
    )
    assert hashes["old 2"] == expected[2]
