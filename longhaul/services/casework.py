"""What people do with test cases, in the caller's transaction."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from longhaul.core.cases import CaseStore, NewDocument, NewQuery
from longhaul.core.casework import (
    WORKS_ON_CASES,
    CaseFilter,
    CasePlace,
    CaseworkStore,
    Given,
    HeldCase,
    Verdict,
    check_latest,
    check_verdict,
)
from longhaul.core.errors import InvalidInput, NotFound, WrongState
from longhaul.core.evidence_queries import QueryRefused, check_query, check_source
from longhaul.core.ports import Transaction
from longhaul.core.principals import Principal, check_holds, is_visible
from longhaul.core.sentences import some_of
from longhaul.core.sources import DataSource, find_source

_MOST_NAMED = 10


class Casework:
    """Test cases for people who may see their report.

    Args:
        cases: Stores the evidence, as for jobs.
    """

    def __init__(self, *, store: CaseworkStore, cases: CaseStore) -> None:
        self._store = store
        self._cases = cases

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
        wanted = replace(wanted, lob=principal.listed_lob)
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

    async def check_may_give(
        self, tx: Transaction, principal: Principal, case_ids: Collection[int]
    ) -> Sequence[HeldCase]:
        """Check that the caller may attach evidence to test cases, and lock them.

        Raises:
            NotFound: The caller cannot see some; the message names the first.
            Forbidden: The caller's roles do not allow it.
            WrongState: Some are no longer active.
        """
        held = await self._held(tx, principal, case_ids)
        check_holds(principal, WORKS_ON_CASES, "Evidence is given")
        _check_active(held)
        return held

    async def known_document(
        self, tx: Transaction, principal: Principal, content_hash: str
    ) -> NewDocument:
        """A document that the caller may read, because it is evidence of a case that they can see.

        Raises:
            NotFound: There is none.
        """
        document = await self._store.document(tx, content_hash, principal.listed_lob)
        if document is None:
            raise NotFound("There is no such document.")
        return document

    async def document(
        self, tx: Transaction, principal: Principal, case_id: int, content_hash: str
    ) -> NewDocument:
        """A document that is evidence of a test case that the caller may see.

        Raises:
            NotFound: The caller has no such case, or it has no such document.
        """
        await self.find(tx, principal, case_id)
        document = await self._store.document_of(tx, case_id, content_hash)
        if document is None:
            raise NotFound("The test case has no such document.")
        return document

    async def give_document(
        self,
        tx: Transaction,
        principal: Principal,
        case_ids: Collection[int],
        document: NewDocument,
    ) -> Given:
        """Attach a document in the blob store to test cases, to all or none.

        Raises:
            As `check_may_give`.
        """
        await self.check_may_give(tx, principal, case_ids)
        having = await self._store.having_document(tx, set(case_ids), document)
        return await _give(
            case_ids,
            having,
            lambda new: self._cases.add_document(tx, new, document, principal.sub),
        )

    async def give_query(
        self,
        tx: Transaction,
        principal: Principal,
        case_ids: Collection[int],
        source: str,
        query: str,
        parameters: Mapping[str, Any],
    ) -> Given:
        """Attach a query to test cases of one report, to all or none.

        It is checked without running it.

        Raises:
            As `check_may_give`; and
            InvalidInput: It cannot be run.
        """
        held = await self.check_may_give(tx, principal, case_ids)
        if len({one.report_id for one in held}) > 1:
            raise InvalidInput(
                "The test cases belong to several reports.", (("/also", "of another"),)
            )
        _check_parameters(parameters, held)
        place = await self._source(tx, held[0].report_id, source)
        try:
            keys = frozenset.intersection(*(one.keys for one in held))
            check_query(query, keys | parameters.keys())
        except QueryRefused as exc:
            raise InvalidInput(str(exc), (("/sql", "cannot be run"),)) from None
        assert place.id is not None
        new_query = NewQuery(data_source_id=place.id, query=query, parameters=parameters)
        having = await self._store.having_query(tx, set(case_ids), new_query)
        return await _give(
            case_ids,
            having,
            lambda new: self._cases.add_query(tx, new, new_query, principal.sub),
        )

    async def review(
        self,
        tx: Transaction,
        principal: Principal,
        case_id: int,
        verdict: Verdict,
        *,
        execution: int | None,
        reason: str,
    ) -> None:
        """Review the latest execution of a test case; repeating it changes nothing.

        Args:
            execution: The number of the one that the caller has reviewed.

        Raises:
            NotFound: The caller has no such test case.
            Forbidden: The caller's roles do not allow it.
            WrongState: It has not been executed, there is a later execution, or it is no longer
                active.
            InvalidInput: The verdict needs a reason.
        """
        held = await self._held(tx, principal, [case_id])
        check_holds(principal, WORKS_ON_CASES, "Test cases are reviewed")
        _check_active(held)
        latest = check_latest(await self._store.latest(tx, case_id), execution)
        check_verdict(verdict, latest.outcome, reason)
        if latest.test_result != verdict:
            await self._store.review(tx, latest, verdict, by=principal.sub, reason=reason)

    async def _source(self, tx: Transaction, report_id: int, name: str) -> DataSource:
        source = find_source(await self._store.sources(tx, report_id), name)
        try:
            check_source(source)
        except QueryRefused as exc:
            raise InvalidInput(str(exc), (("/data_source", "does not accept queries"),)) from None
        return source

    async def _held(
        self, tx: Transaction, principal: Principal, case_ids: Collection[int]
    ) -> Sequence[HeldCase]:
        held = await self._store.hold(tx, case_ids)
        visible = [one for one in held if is_visible(one.lob, principal)]
        missing = sorted(set(case_ids) - {one.id for one in visible})
        if missing:
            raise NotFound(
                "There is no such test case."
                if len(set(case_ids)) == 1
                else f"There are no such test cases: {_named(missing)}."
            )
        return visible


def _check_active(held: Sequence[HeldCase]) -> None:
    retired = [one.id for one in held if not one.is_active]
    if retired:
        raise WrongState(
            f"No longer active, because their sample set is superseded: {_named(retired)}."
        )


async def _give(
    case_ids: Collection[int],
    having: Collection[int],
    add: Callable[[Sequence[int]], Awaitable[object]],
) -> Given:
    """Add evidence to those test cases whose current evidence is another."""
    wanted = set(case_ids)
    new = wanted.difference(having)
    if new:
        await add(sorted(new))
    return Given(attached=len(new), unchanged=len(wanted) - len(new))


def _check_parameters(parameters: Mapping[str, Any], held: Sequence[HeldCase]) -> None:
    # Another record's row must not become a case's evidence.
    taken = sorted(parameters.keys() & frozenset.union(*(one.keys for one in held)))
    if taken:
        raise InvalidInput(
            f"Parameters are named like keys of the record: {', '.join(taken)}. Leave them out; "
            "each query gets the keys of its own record.",
            (("/parameters", "named like keys of the record"),),
        )


def _named(ids: Sequence[int]) -> str:
    return some_of(ids[:_MOST_NAMED], len(ids))
