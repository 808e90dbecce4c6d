import asyncio
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager

import asyncpg
import pytest

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.regexes import CACHED, BothDialects
from longhaul.core.errors import Unavailable
from longhaul.core.expectations import MAX_PATTERN
from longhaul.core.ports import Database, RegexDialects, Transaction


@contextmanager
def dialects(database: Database) -> Iterator[BothDialects]:
    opened = BothDialects(database)
    yield opened
    opened.close()


@pytest.fixture
def regexes(database: PostgresDatabase) -> Iterator[RegexDialects]:
    with dialects(database) as opened:
        yield opened


@pytest.mark.parametrize(
    "pattern",
    [
        "^[0-9]{5}$",
        r"^\d{3}-\d{2}$",
        r"^[ \t\n\r\f]|[ \t\n\r\f]$",
        "(?i)^n/a$",
        "^(FICO|Vantage) ?[0-9]+$",
        r"^[a-z.:=]+\[[a-z.:=]+\]$",
        "(?i)^a|b.$",
        r"^\\b\\w$",
        "^" + "[A-Z]" * 99 + "$",
    ],
)
async def test_what_both_engines_read_alike_is_accepted(
    regexes: RegexDialects, pattern: str
) -> None:
    assert await regexes.refusal(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(a", "RE2 refuses the pattern: missing )"),
        ("^(?=.*[0-9])", "RE2 refuses the pattern: invalid perl operator"),
        ("(?<!a)b", "RE2 refuses the pattern"),
        (r"(a)\1", "RE2 refuses the pattern"),
        ("a{1001}", "RE2 refuses the pattern"),
        (r"^\p{L}+$", "PostgreSQL refuses the pattern"),
        ("(?P<year>[0-9]{4})", "PostgreSQL refuses the pattern"),
        ("a(?i)b", "PostgreSQL refuses the pattern"),
        (r"\bword\b", r"\b means something else"),
        (r"\\\B", r"\B means something else"),
        (r"\x41", r"\x means something else"),
        (r"^\w+$", r"[A-Za-z0-9_]"),
        (r"^[\w.]+$", r"\w means something else"),
        (r"\\\W", r"[^A-Za-z0-9_]"),
        (r"^\s|\s$", r"[ \t\n\r\f]"),
        (r"\S", r"[^ \t\n\r\f]"),
        ("^[[:alpha:]]$", "[:alpha:] means something else"),
        ("^[a[:^punct:]]$", "[:^punct:] means something else"),
        ("[[.a.]]", "[.a.] means something else"),
        ("[b[=a=]]", "[=a=] means something else"),
        ("(?m)^a.b$", "(?m means something else"),
        ("(?im)^a", "(?im means something else"),
        ("", "1 to 500 characters"),
        ("a" * (MAX_PATTERN + 1), "1 to 500 characters"),
        ("a\0b", "cannot be stored"),
        ("\ud800", "cannot be stored"),
    ],
)
async def test_what_one_of_them_refuses_or_reads_otherwise_is_refused_in_words(
    regexes: RegexDialects, pattern: str, reason: str
) -> None:
    refusal = await regexes.refusal(pattern)

    assert refusal is not None
    assert reason in refusal


async def test_a_pattern_that_grows_beyond_measure_is_refused(regexes: RegexDialects) -> None:
    async with asyncio.timeout(60):  # to read it whole would take for ever
        assert await regexes.refusal("((a{0,50}){0,50}){0,50}") is not None


async def test_many_may_ask_at_once(regexes: RegexDialects) -> None:
    patterns = [f"^[a-z]{{{count}}}$" for count in range(1, 60)] + ["(", ")"]

    refusals = await asyncio.gather(*map(regexes.refusal, patterns))

    assert [refusal is None for refusal in refusals] == [True] * 59 + [False] * 2


class Broken:
    """A database of which every transaction fails in one way."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.asked = 0

    def begin(self) -> AbstractAsyncContextManager[Transaction]:
        self.asked += 1
        raise self.error


def away(cause: Exception) -> Unavailable:
    error = Unavailable("The database did not answer.")
    error.__cause__ = cause
    return error


async def test_an_outage_is_no_refusal_and_is_not_remembered() -> None:
    database = Broken(away(OSError("connection refused")))
    with dialects(database) as regexes:
        for _ in range(2):
            with pytest.raises(Unavailable):
                await regexes.refusal("^a$")

    assert database.asked == 2


async def test_a_pattern_over_which_postgresql_runs_out_of_time_is_refused() -> None:
    database = Broken(away(asyncpg.QueryCanceledError("statement timeout")))
    with dialects(database) as regexes:
        for _ in range(2):
            assert "too complex" in (await regexes.refusal("^a$") or "")

    assert database.asked == 2, "a slow moment was remembered"


class Counted:
    """A database that counts its transactions."""

    def __init__(self, database: PostgresDatabase) -> None:
        self.database = database
        self.asked = 0

    def begin(self) -> AbstractAsyncContextManager[Transaction]:
        self.asked += 1
        return self.database.begin()


async def test_an_answer_is_remembered_for_so_many_patterns(database: PostgresDatabase) -> None:
    counted = Counted(database)
    with dialects(counted) as regexes:
        for _ in range(2):
            assert await regexes.refusal("^kept$") is None
        assert counted.asked == 1

        for number in range(CACHED):
            await regexes.refusal(f"({number}")
        await regexes.refusal("^kept$")
        assert counted.asked == 2
