"""Ports for the servers of tests, which run in several processes at the same time."""

import os
from itertools import cycle

from longhaul.local.ports import free_port

# Below those that the kernel gives to outgoing connections.
_FIRST, _SIZE, _PROCESSES = 10_000, 2_500, 9

# The number of the process in "gw3"; without pytest-xdist there is but one.
_NUMBER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _PROCESSES
_BASE = _FIRST + _NUMBER * _SIZE

# Two test runs at the same time should not meet either.
_OFFSET = os.getpid() % _SIZE
_TURN = cycle([_BASE + (_OFFSET + n) % _SIZE for n in range(_SIZE)])


def new_port() -> int:
    """A port that is free, and that no other process of the tests takes before it is used.

    The kernel's own choice is free at this moment only: by the time a server binds it, another
    process may have been given the same.
    """
    while True:
        wanted = next(_TURN)
        if free_port(wanted) == wanted:
            return wanted
