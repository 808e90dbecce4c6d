"""A limit on the nesting of bodies: stored and sent JSON is walked recursively."""

from collections.abc import Iterable
from typing import Any

from fastapi import Request

from longhaul.core.errors import InvalidInput

# Flows within flows take four levels each.
MAX_DEPTH = 100


async def check_nesting(request: Request) -> None:
    """Refuse a JSON body that is nested too deeply.

    Raises:
        InvalidInput: It is.
    """
    try:
        # If the route has a body, it was already read and is only looked up here.
        body = await request.json() if await request.body() else None
    except (ValueError, RecursionError):
        return  # not JSON: routes with a body report that
    if _is_deeper(body, MAX_DEPTH):
        raise InvalidInput(f"The body is nested too deeply; the limit is {MAX_DEPTH} levels.")


def _is_deeper(value: object, limit: int) -> bool:
    level = _containers([value])
    for _ in range(limit):
        level = [inner for one in level for inner in _within(one)]
        if not level:
            return False
    return bool(level)


def _within(container: dict[str, Any] | list[Any]) -> list[dict[str, Any] | list[Any]]:
    return _containers(container.values() if isinstance(container, dict) else container)


def _containers(values: Iterable[object]) -> list[dict[str, Any] | list[Any]]:
    return [one for one in values if isinstance(one, dict | list)]
