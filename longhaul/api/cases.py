"""Test cases over HTTP: one transaction a request, and rows as clients see them."""

from collections.abc import Mapping
from typing import Any

from longhaul.activities.casework import Casework
from longhaul.api.cursors import read_case_cursor, write_cursor
from longhaul.core.casework import CaseFilter, CaseworkStore
from longhaul.core.ports import Database, Row, Transaction
from longhaul.core.principals import Principal

MOST_SHOWN = 100

# How clients know what the tables call otherwise.
_CASE = {"key_values": "keys"}
_EVIDENCE = {
    "content_hash": "document",
    "query": "sql",
    "table_name": "table",
    "column_name": "column",
    "created_by": "given_by",
    "created_at": "given_at",
}


class Cases:
    """Answers the routes of test cases."""

    def __init__(self, *, database: Database, store: CaseworkStore, casework: Casework) -> None:
        self._database = database
        self._store = store
        self._casework = casework

    async def list(
        self, principal: Principal, wanted: CaseFilter, *, limit: int, cursor: str | None
    ) -> dict[str, Any]:
        """One page of the test cases that the caller may see.

        Raises:
            MalformedRequest: The cursor cannot be read.
        """
        after = read_case_cursor(cursor)
        async with self._database.begin() as tx:
            found = await self._casework.page(tx, principal, wanted, limit=limit + 1, after=after)
        page = found[:limit]
        more = len(found) > limit
        return {
            "cases": [_case_object(row) for row in page],
            "next_cursor": _cursor(page[-1]) if more else None,
        }

    async def show(self, principal: Principal, case_id: int) -> dict[str, Any]:
        """One test case with its evidence and executions.

        Raises:
            NotFound: There is none for the caller.
        """
        async with self._database.begin() as tx:
            case = await self._casework.find(tx, principal, case_id)
            return await self._whole(tx, case)

    async def _whole(self, tx: Transaction, case: Row) -> dict[str, Any]:
        evidence = await self._store.evidence(tx, case["id"], MOST_SHOWN)
        executions = await self._store.executions(tx, case["id"], MOST_SHOWN)
        history = [{**row, "reviews": row["reviews"] or []} for row in executions]
        return {
            **_case_object(case),
            "evidence": [_renamed(row, _EVIDENCE) for row in evidence],
            "latest": next((one for one in history if one["is_latest"]), None),
            "history": history,
        }


def _case_object(row: Row) -> dict[str, Any]:
    shown = _renamed(row, _CASE)
    return {**shown, "sample_id": str(row["sample_id"]), "executions": row["executions"] or 0}


def _renamed(row: Row, names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in row.items()}


def _cursor(row: Row) -> str:
    return write_cursor(
        *(row[name] for name in ("cycle_id", "report_id", "line_no", "sample", "id"))
    )
