"""Reads jobs for people: from the board, else from PostgreSQL."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import attrgetter, itemgetter

from longhaul.adapters.postgres.queries import PostgresQueries
from longhaul.api.cursors import (
    cut,
    read_job_cursor,
    read_ordinal_cursor,
    read_time_cursor,
    write_cursor,
)
from longhaul.api.job_object import JobObjects, call_object, item_object
from longhaul.api.schemas import (
    ActiveJobs,
    Attempt,
    History,
    ItemDetail,
    ItemList,
    JobList,
    JobView,
    LogLine,
    LogPage,
)
from longhaul.core.job_filters import ItemFilter, JobFilter
from longhaul.core.jobs import TERMINAL, Job, JobStatus
from longhaul.core.ports import Database, JobBoard, Jobs, LogTail, Row, Shown
from longhaul.core.principals import Principal, visible_to

# States without live detail.
_AT_REST = TERMINAL | {JobStatus.PENDING}

# More than the live tail keeps, because lines are filtered by time after reading.
MAX_LIVE_LINES = 2_000

LEVELS = ("debug", "info", "warning", "error")


class Reading:
    """Answers the GET routes; callers only see what is theirs."""

    def __init__(
        self,
        *,
        database: Database,
        jobs: Jobs,
        queries: PostgresQueries,
        board: JobBoard,
        logs: LogTail,
        objects: JobObjects,
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._queries = queries
        self._board = board
        self._logs = logs
        self._objects = objects

    async def job(self, principal: Principal, job_id: str) -> JobView:
        """One job.

        Raises:
            NotFound: The caller has no such job.
        """
        return self._objects.render(*await self._find(principal, job_id))

    async def render(self, job: Job) -> JobView:
        """The job object of a given row."""
        (rendered,) = await self._render([job])
        return rendered

    async def jobs(self, wanted: JobFilter, *, limit: int, cursor: str | None) -> JobList:
        """One page of jobs, and how many there are.

        Raises:
            MalformedRequest: The cursor cannot be read.
        """
        after = read_job_cursor(cursor)
        jobs, (total, exact) = await asyncio.gather(
            self._queries.jobs(wanted, limit=limit + 1, after=after),
            self._queries.count_jobs(wanted),
        )
        page, next_cursor = await self._page(jobs, limit)
        return {"jobs": page, "total": total, "total_exact": exact, "next_cursor": next_cursor}

    async def children(
        self, principal: Principal, job_id: str, *, limit: int, cursor: str | None
    ) -> JobList:
        """One page of the jobs of a flow, for those who may see the flow.

        Raises:
            NotFound: The caller has no such job.
            MalformedRequest: The cursor cannot be read.
        """
        await self._find(principal, job_id)
        return await self.jobs(JobFilter(parent_id=job_id), limit=limit, cursor=cursor)

    async def active_jobs(self, wanted: JobFilter, *, limit: int, cursor: str | None) -> ActiveJobs:
        """One page of the jobs that have not ended.

        Raises:
            MalformedRequest: The cursor cannot be read.
        """
        after = read_job_cursor(cursor)
        jobs = await self._queries.jobs(wanted, limit=limit + 1, after=after)
        page, next_cursor = await self._page(jobs, limit)
        return {"active_jobs": page, "next_cursor": next_cursor}

    async def items(
        self,
        principal: Principal,
        job_id: str,
        wanted: ItemFilter,
        *,
        limit: int,
        cursor: str | None,
    ) -> ItemList:
        """One page of a job's ledger.

        Raises:
            NotFound: The caller has no such job.
            MalformedRequest: The cursor cannot be read.
        """
        after = read_ordinal_cursor(cursor)
        await self._find(principal, job_id)
        rows, (total, exact) = await asyncio.gather(
            self._queries.items(job_id, wanted, limit=limit + 1, after=after),
            self._queries.count_items(job_id, wanted),
        )
        page, next_cursor = cut(rows, limit, itemgetter("ordinal"))
        return {
            "items": [item_object(row) for row in page],
            "total": total,
            "total_exact": exact,
            "next_cursor": next_cursor,
        }

    async def item(self, principal: Principal, job_id: str, key: str) -> ItemDetail:
        """One item with its calls.

        Raises:
            NotFound: The caller has no such job or item.
        """
        await self._find(principal, job_id)
        row, calls = await self._queries.item(job_id, key)
        return {**item_object(row), "call_list": [call_object(call) for call in calls]}

    async def history(self, principal: Principal, job_id: str) -> History:
        """The attempts of a job and its audit, also of a purged one.

        Raises:
            NotFound: The caller has no such job.
        """
        audit = await self._queries.audit(job_id)
        if not _was_purged(principal, audit):
            await self._find(principal, job_id)
        return {
            "attempts": list(_attempts(audit)),
            "audit": [
                {
                    "time": row["time"],
                    "attempt": row["attempt"],
                    "action": row["action"],
                    "by": row["by"],
                    "details": row["details"],
                }
                for row in audit
            ],
        }

    async def logs(
        self, principal: Principal, job_id: str, *, tail: int, level: str, cursor: str | None
    ) -> LogPage:
        """Log lines: state changes, failed items, and the live tail.

        Without a cursor they are the newest; with one the first after it, so that a follower
        misses none.

        Raises:
            NotFound: The caller has no such job.
            MalformedRequest: The cursor cannot be read.
        """
        after = read_time_cursor(cursor)
        await self._find(principal, job_id)
        audit, failures, live = await asyncio.gather(
            self._queries.audit(job_id),
            self._queries.failures(job_id, limit=tail, after=after),
            self._logs.read(job_id, tail if after is None else MAX_LIVE_LINES),
        )
        lines = [*map(_audit_line, audit), *map(_failure_line, failures), *map(_live_line, live)]
        found = sorted(
            (
                line
                for line in lines
                if LEVELS.index(line["level"]) >= LEVELS.index(level)
                and (after is None or line["time"] > after)
            ),
            key=lambda line: line["time"],
        )
        shown = found[-tail:] if after is None else _whole_moments(found, tail)
        newest = shown[-1]["time"] if shown else after
        return {
            "logs": shown,
            "next_cursor": write_cursor(newest) if newest else None,
        }

    async def _find(self, principal: Principal, job_id: str) -> tuple[Job, Shown]:
        shown = await self._board.read(job_id)
        job = shown.job
        if job is None:
            async with self._database.begin() as tx:
                job = await self._jobs.read(tx, job_id)
            if job is not None:
                await self._board.post(job)
        return visible_to(principal, job), shown

    async def _page(self, jobs: Sequence[Job], limit: int) -> tuple[list[JobView], str | None]:
        page, next_cursor = cut(jobs, limit, attrgetter("created_at", "id"))
        return await self._render(page), next_cursor

    async def _render(self, jobs: Sequence[Job]) -> list[JobView]:
        at_work = [job.id for job in jobs if job.status not in _AT_REST]
        shown = dict(zip(at_work, await self._board.read_live(at_work), strict=True))
        nothing = Shown(known=False)
        return [self._objects.render(job, shown.get(job.id, nothing)) for job in jobs]


def _was_purged(principal: Principal, audit: Sequence[Row]) -> bool:
    """Whether only the audit is left of a job that the caller owned; for an Admin of any job."""
    is_theirs = any(row["action"] == "created" and row["by"] == principal.sub for row in audit)
    return (is_theirs or principal.is_admin) and any(row["action"] == "purged" for row in audit)


def _attempts(audit: Iterable[Row]) -> Iterable[Attempt]:
    """One entry for each attempt, from `started` to `finished`."""
    attempts: dict[int, Attempt] = {}
    for row in audit:
        entry = attempts.setdefault(
            row["attempt"],
            {
                "attempt": row["attempt"],
                "started_at": None,
                "ended_at": None,
                "status": None,
                "outcome": None,
                "counts": {},
            },
        )
        if row["action"] == "started":
            entry["started_at"] = entry["started_at"] or row["time"]
        if row["action"] == "finished":
            details = dict(row["details"])
            entry |= {
                "ended_at": row["time"],
                "status": details.pop("status"),
                "outcome": details.pop("outcome"),
                "counts": details,
            }
    return attempts.values()


def _whole_moments(lines: list[LogLine], count: int) -> list[LogLine]:
    """The first lines, with all lines of the last one's time: the next page starts after it."""
    if len(lines) <= count:
        return lines
    last = lines[count - 1]["time"]
    return [line for line in lines if line["time"] <= last]


def _audit_line(row: Row) -> LogLine:
    return {
        "time": row["time"],
        "level": "info",
        "event": row["action"],
        "item_key": None,
        "fields": {"by": row["by"], "attempt": row["attempt"], **row["details"]},
    }


def _failure_line(row: Row) -> LogLine:
    return {
        "time": row["updated_at"],
        "level": "error",
        "event": "item_failed",
        "item_key": row["item_key"],
        "fields": {"code": row["error_code"], "message": row["error_message"]},
    }


def _live_line(line: Row) -> LogLine:
    return {
        "time": datetime.fromisoformat(line["time"]),
        "level": line["level"],
        "event": line["event"],
        "item_key": line["item_key"],
        "fields": line["fields"],
    }
