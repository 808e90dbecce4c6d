"""`longhaul up`: the whole stack, until Ctrl-C."""

import argparse
import asyncio
import sys

from pydantic import ValidationError

from longhaul.adapters.data_folder import FolderInUse
from longhaul.adapters.postgres.database import Refused
from longhaul.adapters.settings import Settings
from longhaul.core.errors import Unavailable
from longhaul.local.processes import ProcessFailed
from longhaul.local.stack import Stack


def main() -> int:
    """Run the stack; 1 when it cannot start or go on, 2 when the settings are wrong."""
    parser = argparse.ArgumentParser(prog="longhaul up", description=__doc__)
    parser.add_argument("--types", action="append", default=[], help="module with job types")
    arguments = parser.parse_args()
    try:
        stack = Stack(Settings(), arguments.types, say)
        asyncio.run(stack.run())
    except ValidationError as exc:
        say(str(exc))
        return 2
    except Refused as exc:
        say(f"PostgreSQL refuses: {exc}. Check LONGHAUL_POSTGRES__DSN.")
        return 2
    except (FolderInUse, ProcessFailed) as exc:
        say(str(exc))
        return 1
    except Unavailable as exc:
        say(f"{exc.sentence} {exc.__cause__ or ''}")
        return 1
    return 0


def say(line: str) -> None:
    """Tell the person at the terminal, at once."""
    print(line, flush=True)  # noqa: T201 - this is the program's voice


if __name__ == "__main__":
    sys.exit(main())
