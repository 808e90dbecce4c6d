"""`longhaul migrate` and `seed`: faults of a database are reported in a sentence."""

import asyncio
import json
import os
import sys
from pathlib import Path

import asyncpg
import pytest

from longhaul.local import postgres
from longhaul.local.ports import HOST
from tests.command import longhaul
from tests.conftest import Servers


def variables(dsn: str, folder: Path) -> dict[str, str]:
    return {"LONGHAUL_POSTGRES__DSN": dsn, "LONGHAUL_DATA_DIR": str(folder)}


@pytest.mark.parametrize("command", ["migrate", "seed"])
@pytest.mark.parametrize(
    ("who", "database", "said"),
    [
        ("nobody", "postgres", 'PostgreSQL refuses: role "nobody" does not exist.'),
        ("postgres", "nowhere", 'PostgreSQL refuses: database "nowhere" does not exist.'),
    ],
)
async def test_a_database_that_lets_nobody_in_is_wrong_usage(
    servers: Servers, tmp_path: Path, command: str, who: str, database: str, said: str
) -> None:
    dsn = f"postgresql://{who}:secret@{HOST}:{servers.postgres_port}/{database}"

    ran = await longhaul(command, **variables(dsn, tmp_path))

    assert (ran.code, ran.out) == (2, "")
    assert said in ran.said
    assert "Check LONGHAUL_POSTGRES__DSN" in ran.said
    assert "Traceback" not in ran.said
    assert "secret" not in ran.said


async def test_a_stack_on_a_database_that_lets_nobody_in_says_so(
    servers: Servers, tmp_path: Path
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "longhaul.local"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={
            **os.environ,
            "LONGHAUL_POSTGRES__DSN": postgres.dsn(servers.postgres_port, "nowhere"),
            "LONGHAUL_REDIS__URL": f"redis://{HOST}:{servers.redis_port}/0",
            "TEMPORAL_ADDRESS": servers.temporal_address,
            "LONGHAUL_DATA_DIR": str(tmp_path),
        },
    )
    said, _ = await process.communicate()

    assert process.returncode == 2
    assert b'PostgreSQL refuses: database "nowhere" does not exist.' in said
    assert b"Traceback" not in said


async def test_a_migration_says_in_json_where_it_has_led(dsn: str, tmp_path: Path) -> None:
    ran = await longhaul("migrate", "--json", **variables(dsn, tmp_path))

    assert ran.code == 0
    assert int(json.loads(ran.out)["revision"]) >= 10


async def test_a_revision_that_is_none_is_wrong_usage(dsn: str, tmp_path: Path) -> None:
    ran = await longhaul("migrate", "--to", "nonsense", **variables(dsn, tmp_path))

    assert ran.code == 2
    assert "There is no revision 'nonsense'; there are: base, head, 0001" in ran.said
    assert "Traceback" not in ran.said


async def test_a_database_without_a_schema_cannot_be_seeded(
    servers: Servers, tmp_path: Path
) -> None:
    name = f"empty_{os.urandom(6).hex()}"
    admin = await asyncpg.connect(postgres.dsn(servers.postgres_port, "postgres"))
    await admin.execute(f"CREATE DATABASE {name}")
    try:
        dsn = postgres.dsn(servers.postgres_port, name)
        ran = await longhaul("seed", **variables(dsn, tmp_path))
    finally:
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await admin.close()

    assert ran.code == 2
    assert "The database has no schema yet: longhaul migrate" in ran.said
    assert "Traceback" not in ran.said
