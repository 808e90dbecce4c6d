"""How our processes and commands end, for whoever has started them."""

from enum import IntEnum

# What sysexits.h calls a temporary failure: all is well, only start me again.
START_AGAIN = 75


class ExitCode(IntEnum):
    """What the command's exit code means."""

    DONE = 0
    FAILED = 1
    WRONG_USAGE = 2
    CANNOT_REACH = 3
    INTERRUPTED = 130
