"""What people do with test cases: look at them, give evidence, and say how each test ended."""

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
    """Where a test case stands: what its latest execution says, if it has one."""

    NOT_EXECUTED = "not_executed"
    PENDING_REVIEW = "pending_review"
    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class Verdict(StrEnum):
    """What a person says of an execution; no job ever does."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFilter:
    """Which active test cases a list holds; what is empty or None does not narrow it.

    Attributes:
        outcomes: Of the latest execution.
        evidence: The kind of what counts.
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
    """A test case that is kept to a transaction.

    Attributes:
        keys: The names of what names its record.
    """

    id: int
    report_id: int
    lob: str
    is_active: bool
    keys: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What became of evidence that was given for some test cases.

    Attributes:
        unchanged: Cases where it was what counted before.
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
        """One page of active test cases, each report's in the order of its form."""

    async def find(self, tx: Transaction, case_id: int) -> Mapping[str, Any] | None:
        """A test case as it is listed, also one that is no longer active."""

    async def evidence(self, tx: Transaction, case_id: int, limit: int) -> Sequence[Any]:
        """The evidence of a test case, what counts first."""

    async def executions(self, tx: Transaction, case_id: int, limit: int) -> Sequence[Any]:
        """The executions of a test case, newest first, each with what people said of it."""

    async def hold(self, tx: Transaction, case_ids: Collection[int]) -> Sequence[HeldCase]:
        """Keep test cases to this transaction; ids that are none are left out."""

    async def document(
        self, tx: Transaction, content_hash: str, lob: str | None
    ) -> NewDocument | None:
        """A document that is evidence in a line of business, in any when that is None."""

    async def document_of(
        self, tx: Transaction, case_id: int, content_hash: str
    ) -> NewDocument | None:
        """A document that is evidence of a test case."""

    async def having_document(
        self, tx: Transaction, case_ids: Collection[int], document: NewDocument
    ) -> Collection[int]:
        """Those of some test cases whose evidence that counts is this document."""

    async def sources(self, tx: Transaction, report_id: int) -> Collection[DataSource]:
        """The data sources of a report."""

    async def having_query(
        self, tx: Transaction, case_ids: Collection[int], query: NewQuery
    ) -> Collection[int]:
        """Those of some test cases whose evidence that counts is this query."""

    async def latest(self, tx: Transaction, case_id: int) -> LatestExecution | None:
        """The latest execution of a test case that is held."""

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
        number: That of the execution which the person has looked at; None leaves it to us.

    Raises:
        WrongState: There is none, or another one has taken its place.
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
    """Refuse a verdict without a reason, unless what was found speaks for itself.

    Raises:
        InvalidInput: It needs one.
    """
    speaks_for_itself = verdict is Verdict.PASS and outcome is ExecutionOutcome.MATCH
    if not speaks_for_itself and not reason.strip():
        raise InvalidInput(
            f"Say why: the outcome is {outcome}, and the verdict {verdict}.",
            (("/reason", "must not be empty"),),
        )
