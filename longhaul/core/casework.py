"""What people do with test cases: list them, attach evidence, and review executions."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from longhaul.core.cases import EvidenceKind, ExecutionOutcome, NewDocument, NewQuery
from longhaul.core.decisions import DECIDES, Reviewer
from longhaul.core.errors import InvalidInput, WrongState
from longhaul.core.ports import Transaction
from longhaul.core.sources import DataSource

WORKS_ON_CASES = DECIDES[Reviewer.TESTER]


class CaseStatus(StrEnum):
    """The status of a test case: that of its latest execution, if it has one."""

    NOT_EXECUTED = "not_executed"
    PENDING_REVIEW = "pending_review"
    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class Verdict(StrEnum):
    """A person's verdict on an execution; jobs never set it."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFilter:
    """Which active test cases to list; fields that are empty or None do not filter.

    Attributes:
        outcomes: Those of the latest execution.
        evidence: The kind of the current evidence.
    """

    cycle_id: int | None = None
    report_id: int | None = None
    attribute_ids: Collection[int] = ()
    sample_ids: Collection[str] = ()
    statuses: Collection[CaseStatus] = ()
    outcomes: Collection[ExecutionOutcome] = ()
    evidence: Collection[EvidenceKind] = ()
    lob: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldCase:
    """A test case that is locked by a transaction.

    Attributes:
        keys: The names of the record's keys.
    """

    id: int
    report_id: int
    lob: str
    is_active: bool
    keys: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The result of attaching evidence to test cases.

    Attributes:
        unchanged: Cases that had it as their current evidence already.
    """

    attached: int
    unchanged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestExecution:
    """The execution of a test case that a verdict is about."""

    id: str
    number: int
    outcome: ExecutionOutcome
    test_result: str


# Cycle, report, line of the form, number of the sample, id.
CasePlace = tuple[int, int, int, int, int]


class CaseworkStore(Protocol):
    """Test cases as people see them; every method works in the caller's transaction."""

    async def page(
        self, tx: Transaction, wanted: CaseFilter, *, limit: int, after: CasePlace | None
    ) -> Sequence[Mapping[str, Any]]:
        """One page of active test cases, by report and in the order of its form."""

    async def find(self, tx: Transaction, case_id: int) -> Mapping[str, Any] | None:
        """A test case as it is listed, active or not."""

    async def evidence(self, tx: Transaction, case_id: int, limit: int) -> Sequence[Any]:
        """The evidence of a test case, the current one first."""

    async def executions(self, tx: Transaction, case_id: int, limit: int) -> Sequence[Any]:
        """The executions of a test case, newest first, each with its reviews."""

    async def hold(self, tx: Transaction, case_ids: Collection[int]) -> Sequence[HeldCase]:
        """Lock test cases; ids of no test case are left out."""

    async def document(
        self, tx: Transaction, content_hash: str, lob: str | None
    ) -> NewDocument | None:
        """A document that is evidence in a line of business; in any if that is None."""

    async def document_of(
        self, tx: Transaction, case_id: int, content_hash: str
    ) -> NewDocument | None:
        """A document that is evidence of a test case."""

    async def having_document(
        self, tx: Transaction, case_ids: Collection[int], document: NewDocument
    ) -> Collection[int]:
        """The test cases whose current evidence is this document."""

    async def sources(self, tx: Transaction, report_id: int) -> Collection[DataSource]:
        """The data sources of a report."""

    async def having_query(
        self, tx: Transaction, case_ids: Collection[int], query: NewQuery
    ) -> Collection[int]:
        """The test cases whose current evidence is this query."""

    async def latest(self, tx: Transaction, case_id: int) -> LatestExecution | None:
        """The latest execution of a held test case."""

    async def review(
        self,
        tx: Transaction,
        execution: LatestExecution,
        verdict: Verdict,
        *,
        by: str,
        reason: str,
    ) -> None:
        """Store a verdict on an execution, with its audit."""


def check_latest(latest: LatestExecution | None, number: int | None) -> LatestExecution:
    """The execution that a verdict is about.

    Args:
        number: That of the execution which the person has reviewed; None for the latest.

    Raises:
        WrongState: There is none, or there is a later one.
    """
    if latest is None:
        raise WrongState("The test case has not been executed: there is nothing to review yet.")
    if number not in (None, latest.number):
        raise WrongState(
            f"Execution {number} is not the latest: look at execution {latest.number}, and "
            "review that."
        )
    return latest


def check_verdict(verdict: Verdict, outcome: ExecutionOutcome, reason: str) -> None:
    """Refuse a verdict without a reason, unless it is a pass of a match.

    Raises:
        InvalidInput: It needs one.
    """
    speaks_for_itself = verdict is Verdict.PASS and outcome is ExecutionOutcome.MATCH
    if not speaks_for_itself and not reason.strip():
        raise InvalidInput(
            f"Give a reason: the outcome is {outcome}, and the verdict {verdict}.",
            (("/reason", "must not be empty"),),
        )
