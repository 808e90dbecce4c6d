"""Queries that are evidence: what can be said of them before they are run."""

import re
from collections.abc import Collection

from longhaul.core.sources import DataSource, SourceKind

MAX_QUERY = 20_000

_READS = re.compile(
    r"(?:\s|--[^\n]*\n|/\*(?:[^*]|\*(?!/))*\*/|\()*(?:select|with|values|table)\b", re.IGNORECASE
)

# Quoted texts and comments, in which a semicolon ends nothing.
_END = re.compile(
    r"""--[^\n]*|/\*(?:[^*]|\*(?!/))*\*/|(?<!\w)e'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"
    |(?<![\w$])\$(?P<tag>[a-z_]\w*|)\$.*?\$(?P=tag)\$|(?P<end>;)""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)

# As the driver takes a text apart, quoted or not.
_PERCENT = re.compile(r"%(?:%|\((?P<name>[^)]+)\)[sbt])?")


class QueryRefused(ValueError):
    """A query that is no evidence, as it stands.

    Args:
        code: Stable word for programs, snake_case.
        sentence: Why, and what to do.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


def check_source(source: DataSource) -> None:
    """Refuse a source on which people's queries are not run.

    Raises:
        QueryRefused: Why.
    """
    if source.kind is not SourceKind.POSTGRESQL:
        raise QueryRefused(
            "query_not_allowed", "Queries are only run on PostgreSQL sources, not on files."
        )
    if source.is_own:
        # With our own login a query could read what is nobody's evidence.
        raise QueryRefused(
            "query_not_allowed",
            "Queries are only run on sources with a login of their own; set the data "
            "source's secret_ref.",
        )


def check_reads(query: str) -> None:
    """Refuse what does not begin as a query does, or is too long for one.

    Raises:
        QueryRefused: It is so.
    """
    if len(query) > MAX_QUERY or not _READS.match(query):
        raise QueryRefused(
            "query_refused", "The query does not read: it must be one SELECT statement."
        )


def check_query(query: str, given: Collection[str]) -> None:
    """Refuse a query that cannot be run, as far as its text says so.

    Args:
        given: The names of the parameters that it will have.

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
