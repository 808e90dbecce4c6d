"""Evidence in data sources: people's queries, and the rows that samples were drawn from."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, TypeAlias

from longhaul.adapters.sources.session import Session
from longhaul.adapters.sources.sessions import SourceSessions
from longhaul.core.cases import MOST_ROWS
from longhaul.core.errors import ItemFailed
from longhaul.core.evidence_queries import QueryRefused, check_reads, check_source
from longhaul.core.sources import DataSource, SourceAccess

QUERY_TIMEOUT = timedelta(seconds=30)

# Test cases of one table are looked up together when they come within this time.
_GATHERING = 0.02

Place: TypeAlias = tuple[DataSource, str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class _Wanted:
    column: str
    keys: Mapping[str, str | None]
    answer: "asyncio.Future[Sequence[str | None]]"


@dataclass(slots=True)
class _Gathering:
    wanted: list[_Wanted] = field(default_factory=list)
    left: int = 0
    task: "asyncio.Task[None] | None" = None


def for_queries(access: SourceAccess) -> SourceAccess:
    """The same access with the time limit of a person's query."""
    return replace(access, statement_timeout=min(QUERY_TIMEOUT, access.statement_timeout))


class SourceEvidence:
    """Looks up evidence.

    Args:
        sessions: For rows of samples.
        queries: For people's queries, with a lower time limit.
    """

    def __init__(self, *, sessions: SourceSessions, queries: SourceSessions) -> None:
        self._sessions = sessions
        self._queries = queries
        self._gatherings: dict[Place, _Gathering] = {}

    async def query(
        self, source: DataSource, query: str, parameters: Mapping[str, Any]
    ) -> Sequence[Mapping[str, str | None]]:
        """The rows of a query, every value as a text; at most `MOST_ROWS` and one more."""
        try:
            check_source(source)
            check_reads(query)
        except QueryRefused as exc:
            raise ItemFailed(exc.code, str(exc)) from None
        return await self._queries.run(source, lambda session: _ask(session, query, parameters))

    async def rows(
        self, source: DataSource, table: str, column: str, keys: Mapping[str, str | None]
    ) -> Sequence[str | None]:
        """The values of a column in the rows with these keys, as texts."""
        place = (source, table, tuple(sorted(keys)))
        gathering = self._gatherings.get(place)
        if gathering is None:
            gathering = self._gatherings[place] = _Gathering()
            gathering.task = asyncio.create_task(self._look_up(place, gathering))
        answer: asyncio.Future[Sequence[str | None]] = asyncio.get_running_loop().create_future()
        gathering.wanted.append(_Wanted(column, keys, answer))
        try:
            return await answer
        finally:
            gathering.left += 1
            if gathering.left == len(gathering.wanted) and gathering.task is not None:
                gathering.task.cancel()
                if self._gatherings.get(place) is gathering:
                    del self._gatherings[place]

    async def _look_up(self, place: Place, gathering: _Gathering) -> None:
        await asyncio.sleep(_GATHERING)
        # Later callers start a new group.
        del self._gatherings[place]
        source, table, _ = place
        wanted = list(gathering.wanted)

        def read(session: Session) -> Sequence[Sequence[str | None] | ItemFailed]:
            # Ibis takes a second to import, so it is imported only where sources are read.
            from longhaul.adapters.sources.lookups import Lookup, look_up  # noqa: PLC0415

            lookups = [Lookup(one.column, one.keys) for one in wanted]
            return look_up(session, session.table(table), lookups)

        try:
            found: Sequence[Sequence[str | None] | Exception]
            found = await self._sessions.run(source, read)
        except Exception as exc:  # noqa: BLE001 - it is raised where the answer is awaited
            found = [exc] * len(wanted)
        for one, answer in zip(wanted, found, strict=True):
            if one.answer.done():
                continue
            if isinstance(answer, Exception):
                one.answer.set_exception(answer)
            else:
                one.answer.set_result(answer)


def _ask(
    session: Session, query: str, parameters: Mapping[str, Any]
) -> Sequence[Mapping[str, str | None]]:
    # In a FROM clause only a query is allowed. The limit is a parameter, and the
    # server takes parameters with one statement only.
    text = (
        f"SELECT to_jsonb(evidence)::text FROM (\n{query.strip().rstrip(';')}\n) AS evidence"  # noqa: S608
        " LIMIT %(most_rows_of_evidence)s"
    )
    rows = session.query(text, {**parameters, "most_rows_of_evidence": MOST_ROWS + 1})  # type: ignore[attr-defined] # of PostgreSQL
    # Numbers are taken as they are written: a float would lose their digits.
    read = [json.loads(row, parse_float=str, parse_int=str) for (row,) in rows]
    return [{name: _text(value) for name, value in row.items()} for row in read]


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)
