"""Detects when a worker uses too much memory, so that it drains and exits."""

import asyncio
import resource
import sys
from pathlib import Path

import structlog

LOOK_EVERY = 1.0

_MEGABYTE = 1024 * 1024
_STATM = Path("/proc/self/statm")


async def outgrown(max_mb: int | None) -> None:
    """Return when this process uses more memory than allowed; never without a limit.

    Raises:
        ValueError: It does already, so restarts would not help.
    """
    if max_mb is None:
        await asyncio.get_running_loop().create_future()
        return
    at_start = used_mb()
    if at_start > max_mb:
        raise ValueError(
            f"LONGHAUL_WORKER__MAX_MEMORY_MB is {max_mb}, and a worker that has done nothing yet "
            f"uses {at_start}."
        )
    while (used := used_mb()) <= max_mb:  # noqa: ASYNC110 - there is no event for this
        await asyncio.sleep(LOOK_EVERY)
    structlog.get_logger("longhaul.worker").warning("memory_bound", used_mb=used, max_mb=max_mb)


def used_mb() -> int:
    """The memory that this process uses now; its peak if that is not known."""
    if _STATM.exists():
        pages = int(_STATM.read_text().split()[1])
        return pages * resource.getpagesize() // _MEGABYTE
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // _MEGABYTE if sys.platform == "darwin" else peak // 1024
