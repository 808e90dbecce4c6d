"""Exit codes of our processes and commands, and the word that the stack is ready."""

from enum import IntEnum

# How the line of the stack begins once everything runs.
READY = "Ready."

# A temporary failure in sysexits.h: nothing is wrong, start the process again.
START_AGAIN = 75


class ExitCode(IntEnum):
    """What the command's exit code means."""

    DONE = 0
    FAILED = 1
    WRONG_USAGE = 2
    CANNOT_REACH = 3
    INTERRUPTED = 130
