"""Lists for people: jobs, their items, calls and audit, page by page."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from longhaul.adapters.postgres.jobs import LIVE, job_of
from longhaul.core.errors import NotFound
from longhaul.core.items import ItemState
from longhaul.core.job_filters import ItemFilter, JobFilter
from longhaul.core.jobs import Job
from longhaul.core.ports import Database, Row
from longhaul.core.principals import Principal

# Up to here a total is exact; beyond it counting is too expensive.
EXACT_UP_TO = 10_000

_CALLS_OF_ITEMS = """
SELECT ordinal, count(*) AS calls, coalesce(sum(input_tokens), 0) AS input_tokens,
       coalesce(sum(output_tokens), 0) AS output_tokens, sum(cost_usd) AS cost_usd
FROM llm_call WHERE job_id = $1 AND ordinal = ANY ($2) GROUP BY ordinal
"""

_COUNTERS = {
    ItemState.OPEN: "total - done - failed - skipped",
    ItemState.DONE: "done",
    ItemState.FAILED: "failed",
    ItemState.SKIPPED: "skipped",
}


class _Where:
    """Collects conditions and numbers their parameters."""

    def __init__(self, *conditions: str) -> None:
        self.values: list[object] = []
        self._conditions = list(conditions)

    def add(self, condition: str, *values: object) -> None:
        """Add a condition that has a `{}` for each value."""
        self._conditions.append(condition.format(*map(self.number, values)))

    def number(self, value: object) -> str:
        """The parameter that stands for a value."""
        self.values.append(value)
        return f"${len(self.values)}"

    def __str__(self) -> str:
        return " AND ".join(self._conditions) or "true"


class PostgresQueries:
    """Reads for people; each call is its own short transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def jobs(
        self, wanted: JobFilter, *, limit: int, after: tuple[datetime, str] | None
    ) -> list[Job]:
        """One page of jobs, newest first, after the (created_at, id) of the page before."""
        where = _where_jobs(wanted)
        if after is not None:
            where.add("(created_at, id) < ({}, {}::uuid)", *after)
        newest = f"ORDER BY created_at DESC, id DESC LIMIT {limit:d}"
        sql = f"SELECT * FROM job WHERE {where} {newest}"
        if wanted.visible_to is not None:
            # Each way to see a job has an index, and finds its page there; an OR of them has none.
            ways = _ways_to_see(where, wanted.visible_to)
            found = " UNION ".join(
                f"(SELECT id FROM job WHERE {where} AND {way} {newest})" for way in ways
            )
            sql = f"SELECT * FROM job WHERE id IN ({found}) {newest}"
        async with self._database.begin() as tx:
            return [job_of(row) for row in await tx.fetch(sql, *where.values)]

    async def count_jobs(self, wanted: JobFilter) -> tuple[int, bool]:
        """How many jobs match, and whether that is exact."""
        where = _where_jobs(wanted)
        if wanted.visible_to is not None:
            ways = " OR ".join(f"({way})" for way in _ways_to_see(where, wanted.visible_to))
            where.add(f"({ways})")
        return await self._count("job", where)

    async def items(
        self, job_id: str, wanted: ItemFilter, *, limit: int, after: int | None
    ) -> list[dict[str, Any]]:
        """One page of a job's items, in order, with the totals of their calls."""
        where = _where_items(job_id, wanted)
        if after is not None:
            where.add("ordinal > {}", after)
        sql = f"SELECT * FROM job_item WHERE {where} ORDER BY ordinal LIMIT {limit:d}"
        async with self._database.begin() as tx:
            rows = await tx.fetch(sql, *where.values)
            ordinals = [row["ordinal"] for row in rows]
            calls = await tx.fetch(_CALLS_OF_ITEMS, job_id, ordinals)
        by_ordinal = {row["ordinal"]: row for row in calls}
        return [_with_calls(row, by_ordinal.get(row["ordinal"])) for row in rows]

    async def count_items(self, job_id: str, wanted: ItemFilter) -> tuple[int, bool]:
        """How many items match, and whether that is exact."""
        if wanted.error_code is not None:
            return await self._count("job_item", _where_items(job_id, wanted))
        counted = _counted(wanted.states) if wanted.states else "total"
        async with self._database.begin() as tx:
            rows = await tx.fetch(f"SELECT {counted} AS total FROM job WHERE id = $1", job_id)
        return sum(row["total"] for row in rows), True

    async def item(self, job_id: str, key: str) -> tuple[dict[str, Any], list[Row]]:
        """One item and its calls, in the order they were sent.

        Raises:
            NotFound: The job has no such item.
        """
        async with self._database.begin() as tx:
            rows = await tx.fetch(
                "SELECT * FROM job_item WHERE job_id = $1 AND item_key = $2", job_id, key
            )
            if not rows:
                raise NotFound("The job has no such item.")
            ordinal = rows[0]["ordinal"]
            totals = await tx.fetch(_CALLS_OF_ITEMS, job_id, [ordinal])
            calls = await tx.fetch(
                "SELECT * FROM llm_call WHERE job_id = $1 AND ordinal = $2 ORDER BY sent_at",
                job_id,
                ordinal,
            )
        return _with_calls(rows[0], totals[0] if totals else None), list(calls)

    async def audit(self, job_id: str) -> list[Row]:
        """The audit of a job, oldest first."""
        async with self._database.begin() as tx:
            return list(
                await tx.fetch("SELECT * FROM job_audit WHERE job_id = $1 ORDER BY id", job_id)
            )

    async def failures(
        self, job_id: str, *, limit: int, after: datetime | None
    ) -> list[dict[str, Any]]:
        """The newest failed items of a job, or the first that failed after a time."""
        where = _where_items(job_id, ItemFilter(states=[ItemState.FAILED]))
        order = "DESC"
        if after is not None:
            where.add("updated_at > {}", after)
            order = "ASC"
        # A batch fails at one time and must not be cut: a cursor only has the time.
        sql = (
            f"SELECT * FROM job_item WHERE {where} ORDER BY updated_at {order} "
            f"FETCH FIRST {limit:d} ROWS WITH TIES"
        )
        async with self._database.begin() as tx:
            return [dict(row) for row in await tx.fetch(sql, *where.values)]

    async def _count(self, table: str, where: _Where) -> tuple[int, bool]:
        sql = (
            f"SELECT count(*) AS total FROM "
            f"(SELECT 1 FROM {table} WHERE {where} LIMIT {EXACT_UP_TO + 1}) AS matching"
        )
        async with self._database.begin() as tx:
            (row,) = await tx.fetch(sql, *where.values)
        return min(row["total"], EXACT_UP_TO), row["total"] <= EXACT_UP_TO


def _where_jobs(wanted: JobFilter) -> _Where:
    where = _Where(*([LIVE] if wanted.live_only else []))
    for column in ("owner", "parent_id", "cycle_id", "report_id"):
        value = getattr(wanted, column)
        if value is not None:
            where.add(column + " = {}", value)
    if wanted.statuses:
        where.add("status = ANY ({})", [str(status) for status in wanted.statuses])
    if wanted.job_types:
        where.add("job_type = ANY ({})", list(wanted.job_types))
    if wanted.created_after is not None:
        where.add("created_at > {}", wanted.created_after)
    if wanted.created_before is not None:
        where.add("created_at < {}", wanted.created_before)
    if wanted.waiting_for is not None:
        where.add(f"{LIVE} AND status = 'running' AND waiting_for = {{}}", wanted.waiting_for)
    return where


def _ways_to_see(where: _Where, caller: Principal) -> list[str]:
    """`may_see` for everybody but Admins, as conditions on rows."""
    sub, lob = where.number(caller.sub), where.number(caller.lob)
    roles = where.number(sorted(caller.roles))
    return [
        f"owner = {sub}",
        f"cardinality(approvers) > 0 AND approvers @> ARRAY[{sub}::text]",
        f"cardinality(approver_roles) > 0 AND approver_roles && {roles}::text[] "
        f"AND (lob IS NULL OR {lob}::text IS NULL OR lob = {lob})",
    ]


def _where_items(job_id: str, wanted: ItemFilter) -> _Where:
    where = _Where()
    where.add("job_id = {}", job_id)
    if wanted.states:
        where.add("state = ANY ({})", [str(state) for state in wanted.states])
        # The same statement asks the job's row first: it agrees with the ledger at every commit,
        # and no index shows that a million items have none of a state.
        where.add(f"(SELECT {_counted(wanted.states)} FROM job WHERE id = {{}}) > 0", job_id)
    if wanted.error_code is not None:
        where.add("error_code = {}", wanted.error_code)
    return where


def _counted(states: Sequence[ItemState]) -> str:
    return " + ".join(f"({_COUNTERS[state]})" for state in dict.fromkeys(states))


def _with_calls(item: Row, calls: Row | None) -> dict[str, Any]:
    totals = {"calls": 0, "input_tokens": 0, "output_tokens": 0, "cost_usd": None}
    return {**item, **totals, **(calls or {})}
