"""The database, for the few commands that use it directly."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import asyncpg
import typer

from longhaul.adapters.data_folder import DataFolder
from longhaul.adapters.postgres.database import Refused
from longhaul.adapters.settings import Settings
from longhaul.core.errors import Unavailable
from longhaul.core.exit_codes import ExitCode

_Result = TypeVar("_Result")


def postgres_dsn(settings: Settings) -> str:
    """The database of the settings, or of the stack that runs on the data folder."""
    if settings.postgres.dsn is not None:
        return settings.postgres.dsn.get_secret_value()
    known = DataFolder(settings.data_dir).read_addresses().get("postgres_dsn")
    if not known:
        typer.echo("Set LONGHAUL_POSTGRES__DSN, or start everything: longhaul up", err=True)
        raise typer.Exit(ExitCode.WRONG_USAGE)
    return str(known)


def run_on_postgres(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run it; exit with 3 when the database cannot be reached, 2 when it refuses."""
    try:
        return asyncio.run(work)
    except Refused as exc:
        typer.echo(f"PostgreSQL refuses: {exc}. Check LONGHAUL_POSTGRES__DSN.", err=True)
        raise typer.Exit(ExitCode.WRONG_USAGE) from None
    except asyncpg.UndefinedTableError:
        typer.echo("The database has no schema yet: longhaul migrate", err=True)
        raise typer.Exit(ExitCode.WRONG_USAGE) from None
    except Unavailable as exc:
        typer.echo(f"Cannot reach PostgreSQL: {exc.__cause__ or exc.sentence}", err=True)
        typer.echo("Is it running? Start everything with `longhaul up`.", err=True)
        raise typer.Exit(ExitCode.CANNOT_REACH) from None
