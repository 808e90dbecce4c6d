"""The real starts and ends of items, appended to a file by the process that ran them.

The ledger only has what was stored; an item that was started twice or cancelled is seen here.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START, END = "start", "end"


@dataclass(frozen=True, slots=True)
class Mark:
    """One start or end; the time is that of the wall clock, which all processes share."""

    kind: str
    ordinal: int
    pid: int
    time: float


@contextmanager
def noted(path: str, ordinal: int) -> Iterator[None]:
    """Note the start of an item, and its end unless it is cancelled or killed."""
    _append(path, START, ordinal)
    yield
    _append(path, END, ordinal)


def _append(path: str, kind: str, ordinal: int) -> None:
    line = f"{kind} {ordinal} {os.getpid()} {time.time():.6f}\n"
    # One small write to a file opened for appending is not split by other processes' writes.
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def read(path: Path) -> list[Mark]:
    """Every mark so far, in the order of writing."""
    if not path.exists():
        return []
    marks = []
    for line in path.read_text().splitlines():
        kind, ordinal, pid, at = line.split()
        marks.append(Mark(kind, int(ordinal), int(pid), float(at)))
    return marks


def in_flight(marks: list[Mark]) -> list[Mark]:
    """The starts without an end."""
    running: dict[int, Mark] = {}
    for mark in marks:
        if mark.kind == START:
            running[mark.ordinal] = mark
        else:
            running.pop(mark.ordinal, None)
    return list(running.values())
