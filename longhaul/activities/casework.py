"""Carries out what people do with test cases, in the caller's transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from longhaul.activities.report_scope import is_visible
from longhaul.core.casework import CaseFilter, CasePlace, CaseworkStore
from longhaul.core.errors import NotFound
from longhaul.core.ports import Transaction
from longhaul.core.principals import Principal


class Casework:
    """Test cases, for people who may see their report."""

    def __init__(self, store: CaseworkStore) -> None:
        self._store = store

    async def page(
        self,
        tx: Transaction,
        principal: Principal,
        wanted: CaseFilter,
        *,
        limit: int,
        after: CasePlace | None,
    ) -> Sequence[Mapping[str, Any]]:
        """One page of the test cases that the caller may see."""
        if not principal.is_admin:
            wanted = replace(wanted, lob=principal.lob)
        return await self._store.page(tx, wanted, limit=limit, after=after)

    async def find(self, tx: Transaction, principal: Principal, case_id: int) -> Mapping[str, Any]:
        """A test case that the caller may see.

        Raises:
            NotFound: There is none.
        """
        case = await self._store.find(tx, case_id)
        if case is None or not is_visible(case["lob"], principal):
            raise NotFound("There is no such test case.")
        return case
