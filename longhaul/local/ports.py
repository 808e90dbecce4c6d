"""Ports of this machine: the wanted one, or the next that is free."""

import asyncio
import socket

HOST = "127.0.0.1"

_TRIES = 200


def free_port(wanted: int, *, avoid: frozenset[int] = frozenset()) -> int:
    """Return the wanted port, or the next free one after it; 0 asks for any.

    Raises:
        OSError: None of the next 200 ports is free.
    """
    if not wanted:
        return _bind(0)
    for port in range(wanted, wanted + _TRIES):
        if port not in avoid and _is_free(port):
            return port
    raise OSError(f"No free port from {wanted} to {wanted + _TRIES - 1}.")


def _is_free(port: int) -> bool:
    try:
        _bind(port)
    except OSError:
        return False
    return True


def _bind(port: int) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the servers do, so that a port in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((HOST, port))
        return int(probe.getsockname()[1])


async def answers(port: int) -> bool:
    """Whether something accepts connections on a port."""
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    return True
