"""Applies people's decisions, from HTTP, a flow or the demo.

Every method works in the caller's transaction, so that a decision, its consequences and its
audit commit together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from longhaul.core.approvers import Decision
from longhaul.core.decisions import (
    TAKES,
    AuditLine,
    Choice,
    Consequence,
    DecisionCounts,
    DecisionStore,
    EntryFilter,
    Kind,
    ReviewedEntry,
    Reviewer,
    Some,
    Version,
    VersionAction,
    VersionFilter,
    VersionPlace,
    check_complete,
    check_four_eyes,
    check_may_take,
    check_other_eyes,
    check_reason,
    check_turn,
    move_version,
    name_of,
    reviewer_of,
    said,
)
from longhaul.core.errors import InvalidInput, NotFound, WrongState
from longhaul.core.ports import Transaction
from longhaul.core.principals import Principal, is_visible
from longhaul.core.sentences import some_of
from longhaul.core.versions import VersionStatus

_MOST_NAMED = 10

# How many of the entries that block the others are named.
_FIRST = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """The result of a request to decide.

    Attributes:
        unchanged: Entries that had this decision already.
    """

    reviewer: Reviewer
    decided: int
    unchanged: int
    counts: DecisionCounts


class Decisions:
    """Decides on entries, and submits, approves and rejects versions.

    Args:
        consequences: Called when a version of a kind is approved.
    """

    def __init__(self, store: DecisionStore, consequences: Mapping[Kind, Consequence]) -> None:
        self._store = store
        self._consequences = consequences

    async def version(self, tx: Transaction, principal: Principal, version_id: str) -> Version:
        """A version that the caller may see.

        Raises:
            NotFound: There is none.
        """
        version = await self._store.find_version(tx, version_id)
        if version is None or not is_visible(version.lob, principal):
            raise NotFound("There is no such version.")
        return version

    async def mappings(self, tx: Transaction, principal: Principal, phase_id: int) -> Version:
        """The mappings of a phase that the caller may see.

        Raises:
            NotFound: There is no such phase.
        """
        version = await self._store.find_mappings(tx, phase_id)
        if version is None or not is_visible(version.lob, principal):
            raise NotFound("There is no such phase.")
        return version

    async def versions(
        self,
        tx: Transaction,
        principal: Principal,
        wanted: VersionFilter,
        *,
        limit: int,
        after: VersionPlace | None,
    ) -> Sequence[Version]:
        """One page of the versions that the caller may see, newest first."""
        wanted = replace(wanted, lob=principal.listed_lob)
        return await self._store.versions(tx, wanted, limit=limit, after=after)

    async def decide(
        self,
        tx: Transaction,
        principal: Principal,
        version: Version,
        choice: Choice,
        decision: Decision,
        *,
        reviewer: Reviewer | None = None,
        reason: str = "",
    ) -> Decided:
        """Decide on entries; all of the named ones, or none.

        Args:
            reviewer: As whom; None leaves it to the caller's role.

        Raises:
            Forbidden: The caller's roles do not decide, or not for this reviewer; or the caller
                has decided on one of these as tester.
            InvalidInput: The caller must say as whom, or why, or names what does not exist.
            WrongState: It is not the reviewer's turn.
        """
        reviewer = reviewer_of(principal, reviewer)
        check_reason(decision, reason)
        held = await self._store.hold(tx, version)
        if held is None:
            raise NotFound("There is no such version.")
        check_turn(held, reviewer)
        found = await self._lock_entries(tx, held, choice, reviewer)
        if reviewer is Reviewer.REPORT_OWNER:
            chosen = [one.id for one in found]
            own = await self._store.decided_by(tx, held, Reviewer.TESTER, principal.sub, chosen)
            check_other_eyes(principal, await self._some(tx, held, own))
        changed, early = _decide_all(found, reviewer, decision)
        if early:
            named = await self._some(tx, held, early)
            raise WrongState(
                f"{len(early)} of these {held.kind} are not approved by the tester: {named}. The "
                "report owner decides after the tester."
            )
        await self._store.decide(tx, held, [one.after for one in changed])
        lines = [one.audit_line(principal, reviewer, decision, reason) for one in changed]
        await self._store.note(tx, held, lines)
        return Decided(
            reviewer=reviewer,
            decided=len(changed),
            unchanged=len(found) - len(changed),
            counts=await self._store.counts(tx, held),
        )

    async def _lock_entries(
        self, tx: Transaction, version: Version, choice: Choice, reviewer: Reviewer
    ) -> Sequence[ReviewedEntry]:
        """The entries to decide on; unless they are named, those that wait for the reviewer."""
        found = await self._store.lock_entries(tx, version, choice)
        _check_named(version.kind, choice, found)
        if choice.ids is not None:
            return found
        return [one for one in found if one.review.waits_for(reviewer)]

    async def take(
        self,
        tx: Transaction,
        principal: Principal,
        version: Version,
        action: VersionAction,
        reason: str = "",
    ) -> Version:
        """Submit, approve or reject a version.

        A submitted one does not grow. When one is approved, the one approved before is
        superseded.

        Raises:
            Forbidden: The caller's roles may not, or the caller submitted it.
            InvalidInput: A rejection has no reason.
            WrongState: Its status does not allow it, or entries wait for somebody.
        """
        check_may_take(principal, action)
        if action is VersionAction.REJECT:
            check_reason(Decision.REJECTED, reason)
        locked = await self._lock(tx, version)
        move_version(locked.status, action)
        if action is not VersionAction.SUBMIT:
            check_four_eyes(principal, await self._store.submitter(tx, locked))
        counts = await self._store.counts(tx, locked)
        if action is not VersionAction.REJECT:
            waiting = EntryFilter(waiting_for=TAKES[action])
            first = await self._names(tx, locked, waiting)
            check_complete(locked.kind, counts, action, first)
        stand = {"approved": counts.approved, "rejected": counts.rejected, "total": counts.total}
        moved = await self._move(tx, principal, locked, action, reason, stand)
        if action is VersionAction.APPROVE:
            await self._follow(tx, principal, moved)
        return moved

    async def _follow(self, tx: Transaction, principal: Principal, version: Version) -> None:
        consequence = self._consequences.get(version.kind)
        for older in await self._store.approved(tx, version):
            await self._move(
                tx, principal, older, VersionAction.SUPERSEDE, "", {"by_version": version.id}
            )
            if consequence:
                await consequence.superseded(tx, older, principal.sub)
        if consequence:
            await consequence.approved(tx, version, principal.sub)

    async def approve_throughout(
        self,
        tx: Transaction,
        version: Version,
        *,
        tester: Principal,
        report_owner: Principal,
        reason: str,
    ) -> Version:
        """Approve everything that waits, as two people would.

        Rejected entries stay rejected. No-op for an approved version, so that this can be
        repeated.

        Raises:
            Forbidden: The two may not, or are the same person.
            WrongState: There is nothing to approve.
        """
        # First, so that two who do this at once do not deadlock.
        current = await self._lock(tx, version)

        async def approve_entries(by: Principal, reviewer: Reviewer) -> None:
            chosen, said_yes = Choice(), Decision.APPROVED
            await self.decide(tx, by, current, chosen, said_yes, reviewer=reviewer, reason=reason)

        if current.status in (None, VersionStatus.DRAFT):
            await approve_entries(tester, Reviewer.TESTER)
        if current.status is VersionStatus.DRAFT:
            current = await self.take(tx, tester, current, VersionAction.SUBMIT, reason)
        if current.status is VersionStatus.APPROVED:
            return current
        await approve_entries(report_owner, Reviewer.REPORT_OWNER)
        if current.status is None:
            return current
        return await self.take(tx, report_owner, current, VersionAction.APPROVE, reason)

    async def _some(self, tx: Transaction, version: Version, ids: Sequence[str]) -> Some:
        first = await self._names(tx, version, EntryFilter(ids=ids)) if ids else ()
        return Some(len(ids), first)

    async def _names(self, tx: Transaction, version: Version, wanted: EntryFilter) -> Sequence[str]:
        """The names of the first entries."""
        rows = await self._store.entries(tx, version, wanted, limit=_FIRST, after=None)
        return [name_of(version.kind, row) for row in rows]

    async def _lock(self, tx: Transaction, version: Version) -> Version:
        locked = await self._store.lock(tx, version)
        if locked is None:
            raise NotFound("There is no such version.")
        return locked

    async def _move(
        self,
        tx: Transaction,
        principal: Principal,
        version: Version,
        action: VersionAction,
        reason: str,
        details: Mapping[str, object],
    ) -> Version:
        moved = await self._store.move(tx, version, move_version(version.status, action))
        line = AuditLine(action=said(action), by=principal.sub, reason=reason, details=details)
        await self._store.note(tx, version, [line])
        return moved


def _check_named(kind: Kind, choice: Choice, found: Sequence[ReviewedEntry]) -> None:
    if choice.ids is not None:
        missing = sorted(set(choice.ids) - {one.id for one in found})
        _refuse_missing(f"There are no such {kind} here", missing, "/ids")
    if choice.attribute_ids is not None:
        foreign = sorted(set(choice.attribute_ids) - {one.attribute_id for one in found})
        _refuse_missing(f"There are no {kind} here of the attributes", foreign, "/attribute_ids")


def _refuse_missing(sentence: str, missing: Sequence[object], pointer: str) -> None:
    if missing:
        some = some_of(missing[:_MOST_NAMED], len(missing))
        raise InvalidInput(f"{sentence}: {some}.", ((pointer, "unknown"),))


@dataclass(frozen=True, slots=True)
class _Change:
    """An entry, before and after a decision that changed it."""

    before: ReviewedEntry
    after: ReviewedEntry

    def audit_line(
        self, by: Principal, reviewer: Reviewer, decision: Decision, reason: str
    ) -> AuditLine:
        before, after = self.before.review, self.after.review
        return AuditLine(
            action=decision,
            by=by.sub,
            entry_id=self.after.id,
            reviewer=reviewer,
            reason=reason,
            details={"before": before.of(reviewer), "status": after.status},
        )


def _decide_all(
    found: Sequence[ReviewedEntry], reviewer: Reviewer, decision: Decision
) -> tuple[list[_Change], list[str]]:
    """The changes, before and after; and the ids of those for which it is too early."""
    changed, early = [], []
    for old in found:
        try:
            review = old.review.decided(reviewer, decision)
        except WrongState:
            early.append(old.id)
            continue
        if review != old.review:
            changed.append(_Change(old, replace(old, review=review)))
    return changed, early
