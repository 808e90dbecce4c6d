"""Ports of this machine: the wanted one, or the next that is free."""

import asyncio
import errno
import socket

HOST = "127.0.0.1"

_TRIES = 200

# Other errors of an address are reported by the server.
_TAKEN = (errno.EADDRINUSE, errno.EACCES)


def free_port(wanted: int, *, host: str = HOST, avoid: frozenset[int] = frozenset()) -> int:
    """Return the wanted port, or the next free one after it; 0 asks for any.

    Raises:
        OSError: None of the next 200 ports is free.
    """
    if not wanted:
        return _bind(host, 0)
    for port in range(wanted, wanted + _TRIES):
        if port not in avoid and _is_free(host, port):
            return port
    raise OSError(f"No free port from {wanted} to {wanted + _TRIES - 1}.")


def _is_free(host: str, port: int) -> bool:
    try:
        _bind(host, port)
    except OSError as exc:
        return exc.errno not in _TAKEN
    return True


def _bind(host: str, port: int) -> int:
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind) as probe:
        # Like the servers, so that a port in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        return int(probe.getsockname()[1])


async def answers(port: int, host: str = HOST) -> bool:
    """Whether something accepts connections on a port."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True
