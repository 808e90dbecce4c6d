"""Queries as evidence: the checks that are possible before they are run."""

import re
from collections.abc import Collection

from longhaul.core.sources import DataSource, SourceKind

MAX_QUERY = 20_000

_READS = re.compile(
    r"(?:\s|--[^\n]*\n|/\*(?:[^*]|\*(?!/))*\*/|\()*(?:select|with|values|table)\b", re.IGNORECASE
)

# Quoted texts and comments: a semicolon in them ends no statement.
_END = re.compile(
    r"""--[^\n]*|/\*(?:[^*]|\*(?!/))*\*/|(?<!\w)e'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"
    |(?<![\w$])\$(?P<tag>[a-z_]\w*|)\$.*?\$(?P=tag)\$|(?P<end>;)""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)

# As the driver splits a text, quoted or not.
_PERCENT = re.compile(r"%(?:%|\((?P<name>[^)]+)\)[sbt])?")


class QueryRefused(ValueError):
    """A query that cannot be evidence as it is.

    Args:
        code: Stable word for programs, snake_case.
        sentence: Why, and what to do.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


def check_source(source: DataSource) -> None:
    """Refuse a source on which people's queries may not run.

    Raises:
        QueryRefused: Why.
    """
    if source.kind is not SourceKind.POSTGRESQL:
        raise QueryRefused(
            "query_not_allowed", "Queries are only run on PostgreSQL sources, not on files."
        )
    if source.is_own:
        # With our own login a query could read anything in our database.
        raise QueryRefused(
            "query_not_allowed",
            "Queries are only run on sources with a login of their own; set the data "
            "source's secret_ref.",
        )


def check_reads(query: str) -> None:
    """Refuse a text that does not begin like a query, or is too long.

    Raises:
        QueryRefused: It is so.
    """
    if len(query) > MAX_QUERY or not _READS.match(query):
        raise QueryRefused(
            "query_refused", "The query does not read: it must be one SELECT statement."
        )


def check_query(query: str, given: Collection[str]) -> None:
    """Refuse a query that cannot be run, as far as its text shows.

    Args:
        given: The names of its parameters.

    Raises:
        QueryRefused: Why it cannot.
    """
    check_reads(query)
    body = query.strip().rstrip(";")
    if any(found["end"] for found in _END.finditer(body)):
        raise QueryRefused(
            "query_refused", "The query is more than one statement: it must be one SELECT."
        )
    missing: set[str] = set()
    for found in _PERCENT.finditer(body):
        if found[0] == "%":
            raise QueryRefused(
                "query_refused", "Write parameters as %(name)s, and a per cent sign twice."
            )
        if found["name"] and found["name"] not in given:
            missing.add(found["name"])
    if missing:
        names = ", ".join(sorted(missing))
        raise QueryRefused("query_refused", f"The query has parameters without a value: {names}.")
