"""`longhaul up`: the whole stack, until Ctrl-C."""

import argparse
import asyncio
import sys

from pydantic import ValidationError

from longhaul.adapters.data_folder import FolderInUse
from longhaul.adapters.postgres.database import Refused
from longhaul.adapters.settings import Settings
from longhaul.core.errors import Unavailable
from longhaul.core.exit_codes import ExitCode
from longhaul.local.processes import ProcessFailed
from longhaul.local.stack import Stack


def main() -> int:
    """Run the stack; its exit code is one of the command's."""
    parser = argparse.ArgumentParser(prog="longhaul up", description=__doc__)
    parser.add_argument("--types", action="append", default=[], help="module with job types")
    arguments = parser.parse_args()
    try:
        stack = Stack(Settings(), arguments.types, say)
        asyncio.run(stack.run())
    except ValidationError as exc:
        say(str(exc))
        return ExitCode.WRONG_USAGE
    except Refused as exc:
        say(f"PostgreSQL refuses: {exc}. Check LONGHAUL_POSTGRES__DSN.")
        return ExitCode.WRONG_USAGE
    except FolderInUse as exc:
        say(str(exc))
        return ExitCode.WRONG_USAGE
    except ProcessFailed as exc:
        say(str(exc))
        return ExitCode.FAILED
    except Unavailable as exc:
        say(f"{exc.sentence} {exc.__cause__ or ''}")
        return ExitCode.CANNOT_REACH
    return ExitCode.DONE


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)  # noqa: T201 - the program's output


if __name__ == "__main__":
    sys.exit(main())
