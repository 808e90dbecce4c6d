"""Asks RE2 and PostgreSQL whether they accept a regular expression."""

import asyncio
import re
import threading
from collections import OrderedDict
from datetime import timedelta
from typing import Any

import asyncpg
import duckdb

from longhaul.core.errors import Unavailable
from longhaul.core.expectations import MAX_PATTERN
from longhaul.core.ports import Database

PATIENCE = timedelta(seconds=2)
MEMORY = "64MB"
CACHED = 1_000

# Both engines accept these and read them differently: \b is a word boundary to one and a
# backspace to the other, \B a backslash, \x swallows as many digits as follow; the letters and
# blanks of a class are those of ASCII to one, and of all alphabets to the other; (?m) keeps a
# dot from a new line in one of them only.
_AMBIGUOUS = re.compile(
    r"""(?<!\\)(?:\\\\)*(?P<escape>\\[bBxwWsS])
    |\[(?:\\.|[^]\\])*?(?P<class>\[(?P<kind>[:.=])[^]]*?(?P=kind)\])
    |\A(?P<flags>\(\?[a-z]*m)""",
    re.VERBOSE,
)
_WRITTEN_OUT = {
    r"\w": "[A-Za-z0-9_]",
    r"\W": "[^A-Za-z0-9_]",
    r"\s": r"[ \t\n\r\f]",
    r"\S": r"[^ \t\n\r\f]",
}

_SIMPLER = "Use only literals, classes, groups, alternatives, anchors and counted repetition."
_TOO_COMPLEX = f"PostgreSQL finds the pattern too complex. {_SIMPLER}"


class BothDialects:
    """Accepts a pattern only if RE2 (files, through DuckDB) and PostgreSQL both do.

    That excludes look-around and back-references, and so patterns that take forever.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._re2 = Re2()
        self._known: OrderedDict[str, str | None] = OrderedDict()

    async def refusal(self, pattern: str) -> str | None:
        """Why a source would refuse the pattern, in words for a model; None when none would.

        Raises:
            Unavailable: PostgreSQL could not be asked.
        """
        unfit = _unfit(pattern)
        if unfit is not None:
            return unfit
        if pattern in self._known:
            self._known.move_to_end(pattern)
            return self._known[pattern]
        reason = await asyncio.to_thread(self._re2.refusal, pattern)
        if reason is None:
            reason = await self._postgres_refusal(pattern)
        # Taking too long may be due to a busy server.
        if reason != _TOO_COMPLEX:
            self._known[pattern] = reason
        if len(self._known) > CACHED:
            self._known.popitem(last=False)
        return reason

    def close(self) -> None:
        """Close the engine in this process."""
        self._re2.close()

    async def _postgres_refusal(self, pattern: str) -> str | None:
        milliseconds = round(PATIENCE / timedelta(milliseconds=1))
        try:
            async with self._database.begin() as tx:
                await tx.execute(f"SET LOCAL statement_timeout = {milliseconds}")
                await tx.fetch("SELECT '' ~ $1::text", pattern)
        except asyncpg.InvalidRegularExpressionError as exc:
            return f"PostgreSQL refuses the pattern: {exc}. {_SIMPLER}"
        except Unavailable as exc:
            if isinstance(exc.__cause__, asyncpg.QueryCanceledError):
                return _TOO_COMPLEX
            raise
        return None


class Re2:
    """RE2 alone, in an in-memory DuckDB whose connection serves one thread at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: Any = None

    def refusal(self, pattern: str) -> str | None:
        """Why RE2 would refuse the pattern; None when it would not."""
        # The lock is held inside the thread: a task that is cancelled leaves its thread running.
        with self._lock:
            if self._connection is None:
                self._connection = duckdb.connect(
                    ":memory:", config={"memory_limit": MEMORY, "threads": 1}
                )
            try:
                # A result that is not fetched to its end blocks the connection.
                self._connection.execute("SELECT regexp_matches('', ?)", [pattern]).fetchall()
            except duckdb.InvalidInputException as exc:
                text = str(exc).removeprefix("Invalid Input Error: ")
                return f"RE2 refuses the pattern: {text}. {_SIMPLER}"
        return None

    def close(self) -> None:
        """Close the engine."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


def _unfit(pattern: str) -> str | None:
    if not 1 <= len(pattern) <= MAX_PATTERN:
        return f"The pattern must have 1 to {MAX_PATTERN} characters."
    if "\0" in pattern or any("\ud800" <= char <= "\udfff" for char in pattern):
        return "The pattern contains a character that cannot be stored."
    found = _AMBIGUOUS.search(pattern)
    if found:
        what = found["escape"] or found["class"] or found["flags"]
        out = f", as {_WRITTEN_OUT[what]}" if what in _WRITTEN_OUT else ""
        return f"{what} means something else on each source; write the characters out{out}."
    return None
