"""The names of tables: how a location and a table's name are written."""

import re
from collections.abc import Iterable

_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")
_PART = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')


def quoted(parts: Iterable[str]) -> str:
    """Write a name: `sample.loans`, `"Q1 2025".loans`."""
    return ".".join(
        part if _PLAIN.fullmatch(part) else '"' + part.replace('"', '""') + '"' for part in parts
    )


def split(name: str) -> list[str]:
    """Read a name into its parts.

    Raises:
        ValueError: It cannot be read.
    """
    parts: list[str] = []
    at = 0
    while at < len(name):
        found = _PART.match(name, at)
        if found is None:
            raise ValueError("no name")
        parts.append(found[1].replace('""', '"') if found[1] is not None else found[2])
        at = found.end()
        if at < len(name):
            if name[at] != "." or at + 1 == len(name):
                raise ValueError("no name")
            at += 1
    return parts


def is_same(wanted: str, name: str) -> bool:
    """Whether a table's name is the wanted one, which may be without its schema."""
    if wanted == name:
        return True
    try:
        ours, theirs = split(wanted), split(name)
    except ValueError:
        return False
    return bool(ours) and theirs[-len(ours) :] == ours
