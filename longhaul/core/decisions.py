"""People's decisions: who may decide on what, when, and what follows from it.

Jobs propose entries (rules, mappings, recommendations, samples); people decide on them: the
tester first, then the report owner. An entry is approved when both say so.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from longhaul.core.approvers import Decision
from longhaul.core.errors import Forbidden, InvalidInput, WrongState
from longhaul.core.ports import Transaction
from longhaul.core.principals import Principal, Role
from longhaul.core.sentences import some_of
from longhaul.core.versions import VersionStatus


class Kind(StrEnum):
    """What is decided on."""

    RULES = "rules"
    MAPPINGS = "mappings"
    RECOMMENDATIONS = "recommendations"
    SAMPLES = "samples"


class Reviewer(StrEnum):
    """Whose decision it is; each has its own column."""

    TESTER = "tester"
    REPORT_OWNER = "report_owner"

    @property
    def person(self) -> str:
        """The reviewer's name in sentences."""
        return self.replace("_", " ")


class EntryStatus(StrEnum):
    """The status that follows from both decisions."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


class VersionAction(StrEnum):
    """An action that changes a version's status."""

    SUBMIT = "submit"
    APPROVE = "approve"
    REJECT = "reject"
    SUPERSEDE = "supersede"


DECIDES: Mapping[Reviewer, frozenset[Role]] = {
    Reviewer.TESTER: frozenset({Role.TESTER, Role.TEST_EXECUTIVE}),
    Reviewer.REPORT_OWNER: frozenset({Role.REPORT_OWNER}),
}

TAKES: Mapping[VersionAction, Reviewer] = {
    VersionAction.SUBMIT: Reviewer.TESTER,
    VersionAction.APPROVE: Reviewer.REPORT_OWNER,
    VersionAction.REJECT: Reviewer.REPORT_OWNER,
}

_MOVES: Mapping[VersionAction, tuple[VersionStatus, VersionStatus]] = {
    VersionAction.SUBMIT: (VersionStatus.DRAFT, VersionStatus.PENDING_APPROVAL),
    VersionAction.APPROVE: (VersionStatus.PENDING_APPROVAL, VersionStatus.APPROVED),
    VersionAction.REJECT: (VersionStatus.PENDING_APPROVAL, VersionStatus.REJECTED),
    VersionAction.SUPERSEDE: (VersionStatus.APPROVED, VersionStatus.SUPERSEDED),
}

_DONE: Mapping[VersionAction, str] = {
    VersionAction.SUBMIT: "submitted",
    VersionAction.APPROVE: "approved",
    VersionAction.REJECT: "rejected",
    VersionAction.SUPERSEDE: "superseded",
}

# While a version has this status, this reviewer decides on its entries.
_DECIDES_WHILE: Mapping[Reviewer, VersionStatus] = {
    Reviewer.TESTER: VersionStatus.DRAFT,
    Reviewer.REPORT_OWNER: VersionStatus.PENDING_APPROVAL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """Entries that people decide on together.

    The mappings of a phase are such entries too. They have no versions: `id` is the phase's,
    `status` is None, and both reviewers decide at any time.
    """

    kind: Kind
    id: str
    cycle_id: int
    report_id: int
    phase_id: int
    report_name: str
    lob: str
    number: int | None = None
    status: VersionStatus | None = None
    created_by: str | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """The decisions on one entry.

    Attributes:
        is_presumed: Whether it counts as approved until somebody rejects it; it then waits for
            nobody.
    """

    tester: Decision | None = None
    report_owner: Decision | None = None
    is_presumed: bool = False

    @property
    def status(self) -> EntryStatus:
        """Approved when both approve, rejected when one rejects."""
        said = {self.tester, self.report_owner}
        if Decision.REJECTED in said:
            return EntryStatus.REJECTED
        waits = None in said and not self.is_presumed
        return EntryStatus.PENDING if waits else EntryStatus.APPROVED

    def of(self, reviewer: Reviewer) -> Decision | None:
        """A reviewer's decision."""
        return self.tester if reviewer is Reviewer.TESTER else self.report_owner

    def waits_for(self, reviewer: Reviewer) -> bool:
        """Whether it is this reviewer's turn."""
        if self.is_presumed:
            return False
        if reviewer is Reviewer.TESTER:
            return self.tester is None
        return self.tester is Decision.APPROVED and self.report_owner is None

    def decided(self, reviewer: Reviewer, decision: Decision) -> "Review":
        """The decisions after another one.

        Raises:
            WrongState: The tester has not approved yet, so that it is not the owner's turn.
        """
        if reviewer is Reviewer.REPORT_OWNER:
            is_presumed = self.is_presumed and self.tester is None
            if self.tester is not Decision.APPROVED and not is_presumed:
                raise WrongState("The report owner decides on what the tester has approved.")
            return replace(self, report_owner=decision)
        if decision is self.tester:
            return self
        # The owner agreed to the tester's earlier decision, not to this one. What the owner
        # rejected stays rejected until the owner decides again.
        stands = self.report_owner is Decision.REJECTED
        return replace(self, tester=decision, report_owner=self.report_owner if stands else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedEntry:
    """What decisions need to know of an entry."""

    id: str
    review: Review
    attribute_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionCounts:
    """How the entries of a version stand."""

    total: int = 0
    pending: int = 0
    approved: int = 0
    rejected: int = 0
    waiting_for_tester: int = 0
    waiting_for_report_owner: int = 0

    def waiting_for(self, reviewer: Reviewer) -> int:
        """How many entries wait for this reviewer."""
        if reviewer is Reviewer.TESTER:
            return self.waiting_for_tester
        return self.waiting_for_report_owner


@dataclass(frozen=True, slots=True)
class Some:
    """A number of entries, the first of which a sentence names."""

    count: int
    first: Sequence[str]

    def __str__(self) -> str:
        return some_of(self.first, self.count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which entries of a version are meant: the named ones, those of attributes, or all.

    Every named entry must exist; the others mean those that wait for the reviewer.
    """

    ids: Collection[str] | None = None
    attribute_ids: Collection[int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFilter:
    """Which entries to list; empty fields do not filter.

    Attributes:
        waiting_for: Only entries that wait for this reviewer.
    """

    ids: Collection[str] = ()
    statuses: Collection[EntryStatus] = ()
    attribute_ids: Collection[int] = ()
    waiting_for: Reviewer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionFilter:
    """Which versions to list; fields that are empty or None do not filter."""

    kinds: Collection[Kind] = ()
    statuses: Collection[VersionStatus] = ()
    cycle_id: int | None = None
    report_id: int | None = None
    lob: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLine:
    """Who did what to which entry, or to the version as a whole."""

    action: str
    by: str
    details: Mapping[str, Any]
    entry_id: str | None = None
    reviewer: Reviewer | None = None
    reason: str = ""


EntryPlace = tuple[int, int, str]
VersionPlace = tuple[datetime, str]


class DecisionStore(Protocol):
    """Versions, their entries, the decisions on them, and the audit."""

    async def versions(
        self, tx: Transaction, wanted: VersionFilter, *, limit: int, after: VersionPlace | None
    ) -> Sequence[Version]:
        """One page of versions, newest first."""

    async def find_version(self, tx: Transaction, version_id: str) -> Version | None:
        """A version of any kind."""

    async def find_mappings(self, tx: Transaction, phase_id: int) -> Version | None:
        """The mappings of a phase."""

    async def hold(self, tx: Transaction, version: Version) -> Version | None:
        """Keep a version's status as it is until the transaction ends; a shared lock."""

    async def lock(self, tx: Transaction, version: Version) -> Version | None:
        """Lock a version, and the status of all others of its report."""

    async def move(self, tx: Transaction, version: Version, status: VersionStatus) -> Version:
        """Set the status of a version that is locked."""

    async def approved(self, tx: Transaction, version: Version) -> Sequence[Version]:
        """The other versions of the kind and report that are approved."""

    async def counts(self, tx: Transaction, version: Version) -> DecisionCounts:
        """How the entries of a version stand."""

    async def entries(
        self,
        tx: Transaction,
        version: Version,
        wanted: EntryFilter,
        *,
        limit: int,
        after: EntryPlace | None,
    ) -> Sequence[Mapping[str, Any]]:
        """One page of entries in the order of the form, with the name of their attribute.

        Raises:
            MalformedRequest: The place is not from this list.
        """

    async def lock_entries(
        self, tx: Transaction, version: Version, choice: Choice
    ) -> Sequence[ReviewedEntry]:
        """Lock entries."""

    async def decide(
        self, tx: Transaction, version: Version, decided: Sequence[ReviewedEntry]
    ) -> None:
        """Store decisions and the status that follows."""

    async def note(self, tx: Transaction, version: Version, lines: Iterable[AuditLine]) -> None:
        """Write the audit."""

    async def audit(
        self,
        tx: Transaction,
        version: Version,
        *,
        entry_id: str | None,
        limit: int,
        after: int | None,
    ) -> Sequence[Mapping[str, Any]]:
        """One page of the audit, oldest first, of everything or of one entry."""

    async def decided_by(
        self,
        tx: Transaction,
        version: Version,
        reviewer: Reviewer,
        by: str,
        entry_ids: Collection[str],
    ) -> Sequence[str]:
        """The entries on which a person was the last to decide for a reviewer."""

    async def submitter(self, tx: Transaction, version: Version) -> str | None:
        """Who submitted a version last."""


class Consequence(Protocol):
    """What follows from an approval, in its transaction."""

    async def approved(self, tx: Transaction, version: Version, by: str) -> None:
        """Called when a version was approved."""

    async def superseded(self, tx: Transaction, version: Version, by: str) -> None:
        """Called when an approved version is superseded by a newer one."""


def reviewer_of(principal: Principal, wanted: Reviewer | None) -> Reviewer:
    """Whose decision the caller makes: the role decides; an Admin must say.

    Raises:
        Forbidden: The caller's roles do not decide, or not for this reviewer.
        InvalidInput: The caller may decide as both and did not say as whom.
    """
    held = [one for one in Reviewer if not principal.roles.isdisjoint(DECIDES[one])]
    allowed = list(Reviewer) if principal.is_admin else held
    if wanted is not None:
        if wanted not in allowed:
            raise Forbidden(_may_only(f"The {wanted.person}'s decisions are made", wanted))
        return wanted
    if len(held) == 1:
        return held[0]
    if allowed:
        raise InvalidInput(
            "Say as whom you decide: `as` is tester or report_owner.",
            (("/as", "needed, because you may decide for both"),),
        )
    names = sorted(role for roles in DECIDES.values() for role in roles)
    raise Forbidden(f"Decisions are made by: {', '.join(names)}.")


def check_may_take(principal: Principal, action: VersionAction) -> None:
    """Refuse callers whose roles do not allow a step.

    Raises:
        Forbidden: They may not.
    """
    reviewer = TAKES[action]
    if not principal.is_admin and principal.roles.isdisjoint(DECIDES[reviewer]):
        raise Forbidden(_may_only(f"Versions are {_DONE[action]}", reviewer))


def check_four_eyes(principal: Principal, submitter: str | None) -> None:
    """Refuse an approval by the person who submitted. Admins are exempt; the audit has them.

    Raises:
        Forbidden: The caller submitted the version.
    """
    if principal.sub == submitter and not principal.is_admin:
        raise Forbidden("You submitted this version: somebody else has to approve or reject it.")


def check_other_eyes(principal: Principal, own: Some) -> None:
    """Refuse the report owner's decision to the person who decided as tester; Admins are exempt.

    Args:
        own: The entries that the caller decided on as tester.

    Raises:
        Forbidden: There are some.
    """
    if own.count and not principal.is_admin:
        raise Forbidden(
            f"You decided on {own.count} of these as tester: {own}. Somebody else has to decide "
            "on them as report owner."
        )


def check_turn(version: Version, reviewer: Reviewer) -> None:
    """Refuse decisions on a version that does not wait for this reviewer.

    Raises:
        WrongState: It is not their turn.
    """
    needed = _DECIDES_WHILE[reviewer]
    if version.status not in (None, needed):
        raise WrongState(
            f"The version is {version.status}: the {reviewer.person} decides while it is {needed}."
        )


def move_version(status: VersionStatus | None, action: VersionAction) -> VersionStatus:
    """The status after an action.

    Raises:
        WrongState: The status does not allow it.
    """
    before, after = _MOVES[action]
    if status is None:
        raise WrongState("Mappings have no versions: there is nothing to submit or to approve.")
    if status is not before:
        raise WrongState(
            f"The version is {status}: only one that is {before} can be {_DONE[action]}."
        )
    return after


def check_complete(
    kind: Kind, counts: DecisionCounts, action: VersionAction, first: Sequence[str]
) -> None:
    """Refuse to submit or approve a version with open entries, or with none to go on with.

    Args:
        first: Names of the first entries that wait for the action's reviewer.

    Raises:
        WrongState: Something is missing.
    """
    if not counts.total:
        raise WrongState(f"The version has no {kind}: there is nothing to {action}.")
    reviewer = TAKES[action]
    waiting = counts.waiting_for(reviewer)
    if waiting:
        raise WrongState(
            f"{waiting} of {counts.total} {kind} wait for the {reviewer.person}: "
            f"{Some(waiting, first)}. List them by waiting_for={reviewer}."
        )
    if counts.rejected == counts.total:
        raise WrongState(f"All {counts.total} {kind} are rejected: there is nothing to {action}.")


def check_reason(decision: Decision, reason: str) -> None:
    """Refuse a rejection without a reason.

    Raises:
        InvalidInput: There is none.
    """
    if decision is Decision.REJECTED and not reason.strip():
        raise InvalidInput("Give a reason for the rejection.", (("/reason", "must not be empty"),))


def said(action: VersionAction) -> str:
    """How the audit calls an action."""
    return _DONE[action]


def _may_only(what: str, reviewer: Reviewer) -> str:
    return f"{what} by: {', '.join(sorted(DECIDES[reviewer]))}."


def name_of(kind: Kind, entry: Mapping[str, Any]) -> str:
    """The name of an entry in sentences; it quotes nothing of a row."""
    attribute = entry["attribute"] or ""
    match kind:
        case Kind.RULES:
            name = str(entry["name"])
            return name if attribute in name else f"{attribute}: {name}"
        case Kind.SAMPLES:
            return f"sample {(entry['ordinal'] or 0) + 1} ({attribute})"
        case _:
            return str(attribute)
