"""Checks whether the servers of this process answer."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

PATIENCE = timedelta(seconds=2)

Ping = Callable[[], Awaitable[object]]


class Health:
    """Checks dependencies, each with its own time limit.

    Args:
        needed: Without these the API cannot serve.
        wanted: Without these it still accepts and reads.
    """

    def __init__(self, *, needed: Mapping[str, Ping], wanted: Mapping[str, Ping]) -> None:
        self._needed = needed
        self._pings = {**needed, **wanted}

    async def check(self) -> tuple[bool, dict[str, Any]]:
        """Whether this process can serve, and the state and latency of each dependency."""
        results = await asyncio.gather(*(_time(ping) for ping in self._pings.values()))
        checks = dict(zip(self._pings, results, strict=True))
        down = [name for name, result in checks.items() if result["state"] != "up"]
        is_ready = not any(name in self._needed for name in down)
        status = "ready" if not down else "degraded" if is_ready else "unavailable"
        return is_ready, {"status": status, "checks": checks}


async def _time(ping: Ping) -> dict[str, Any]:
    started = time.monotonic()
    try:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            await ping()
        state = "up"
    except Exception:  # noqa: BLE001 - with any error the dependency is down
        state = "down"
    return {"state": state, "latency_ms": round((time.monotonic() - started) * 1000, 1)}
