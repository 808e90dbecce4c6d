"""`longhaul worker`: one worker process."""

import argparse
import sys

import uvloop
from pydantic import ValidationError

from longhaul.adapters.settings import Settings
from longhaul.worker.main import run


def main() -> int:
    """Run until SIGTERM or SIGINT; 2 when the settings are wrong, 75 when grown too big."""
    parser = argparse.ArgumentParser(prog="longhaul worker", description=__doc__)
    parser.add_argument("--types", action="append", default=[], help="module with job types")
    arguments = parser.parse_args()
    try:
        return uvloop.run(run(Settings(), arguments.types))
    except (ValidationError, ValueError) as exc:
        print(exc, file=sys.stderr)  # noqa: T201 - nothing listens to our logs yet
        return 2


if __name__ == "__main__":
    sys.exit(main())
