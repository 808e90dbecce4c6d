"""The state machine of decisions and versions, and whose step it is."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longhaul.core.approvers import Decision
from longhaul.core.decisions import (
    DECIDES,
    TAKES,
    DecisionCounts,
    EntryStatus,
    Kind,
    Review,
    Reviewer,
    VersionAction,
    check_complete,
    check_four_eyes,
    check_may_take,
    check_reason,
    move_version,
    reviewer_of,
)
from longhaul.core.errors import Forbidden, InvalidInput, JobError, WrongState
from longhaul.core.principals import Principal, Role
from longhaul.core.versions import VersionStatus

reviewers = st.sampled_from(Reviewer)
said = st.tuples(reviewers, st.sampled_from(Decision))
principals = st.builds(
    Principal, sub=st.sampled_from(["u-1", "u-2"]), roles=st.frozensets(st.sampled_from(Role))
)

ALLOWED = {
    (VersionStatus.DRAFT, VersionAction.SUBMIT): VersionStatus.PENDING_APPROVAL,
    (VersionStatus.PENDING_APPROVAL, VersionAction.APPROVE): VersionStatus.APPROVED,
    (VersionStatus.PENDING_APPROVAL, VersionAction.REJECT): VersionStatus.REJECTED,
    (VersionStatus.APPROVED, VersionAction.SUPERSEDE): VersionStatus.SUPERSEDED,
}


def outcome(ask: Callable[[], object]) -> object:
    """The result of a call: a value, or the kind of refusal."""
    try:
        return ask()
    except JobError as exc:
        return type(exc)


def decided(told: list[tuple[Reviewer, Decision]], *, is_presumed: bool = False) -> Review:
    review = Review(is_presumed=is_presumed)
    for reviewer, decision in told:
        try:
            review = review.decided(reviewer, decision)
        except WrongState:
            continue
    return review


@given(st.lists(said))
def test_whatever_is_said_the_owner_only_decides_on_what_the_tester_approved(
    told: list[tuple[Reviewer, Decision]],
) -> None:
    review = decided(told)

    assert review.report_owner is not Decision.APPROVED or review.tester is Decision.APPROVED
    assert not review.waits_for(Reviewer.TESTER) or not review.waits_for(Reviewer.REPORT_OWNER)


@given(st.lists(said))
def test_approved_is_what_both_approve_and_rejected_what_one_rejects(
    told: list[tuple[Reviewer, Decision]],
) -> None:
    review = decided(told)
    both = [review.tester, review.report_owner]

    assert (review.status is EntryStatus.APPROVED) == (both == [Decision.APPROVED] * 2)
    assert (review.status is EntryStatus.REJECTED) == (Decision.REJECTED in both)
    assert (review.status is EntryStatus.PENDING) == any(
        review.waits_for(reviewer) for reviewer in Reviewer
    )


@given(st.lists(said), said)
def test_to_say_the_same_twice_changes_nothing_more(
    told: list[tuple[Reviewer, Decision]], last: tuple[Reviewer, Decision]
) -> None:
    once = decided([*told, last])

    assert decided([*told, last, last]) == once


@given(st.lists(said))
def test_a_tester_who_changes_their_mind_asks_the_owner_again_unless_the_owner_rejected(
    told: list[tuple[Reviewer, Decision]],
) -> None:
    review = decided(told)
    other = Decision.REJECTED if review.tester is Decision.APPROVED else Decision.APPROVED

    changed = review.decided(Reviewer.TESTER, other)

    stands = review.report_owner is Decision.REJECTED
    assert changed == Review(tester=other, report_owner=Decision.REJECTED if stands else None)


@given(st.lists(said), st.booleans())
def test_nothing_is_approved_that_somebody_rejected_last(
    told: list[tuple[Reviewer, Decision]], is_presumed: bool
) -> None:
    review, last = Review(is_presumed=is_presumed), {}
    for reviewer, decision in told:
        try:
            review = review.decided(reviewer, decision)
        except WrongState:
            continue
        last[reviewer] = decision

    if Decision.REJECTED in last.values():
        assert review.status is EntryStatus.REJECTED


@given(st.lists(said))
def test_what_is_presumed_approved_holds_until_somebody_rejects_it(
    told: list[tuple[Reviewer, Decision]],
) -> None:
    review = decided(told, is_presumed=True)
    rejected = Decision.REJECTED in (review.tester, review.report_owner)

    assert review.status is (EntryStatus.REJECTED if rejected else EntryStatus.APPROVED)
    assert not any(review.waits_for(reviewer) for reviewer in Reviewer)


@given(st.sampled_from(VersionStatus), st.sampled_from(VersionAction))
def test_a_version_moves_only_along_its_diagram(
    status: VersionStatus, action: VersionAction
) -> None:
    expected = ALLOWED.get((status, action), WrongState)

    assert outcome(lambda: move_version(status, action)) == expected


@given(st.lists(st.sampled_from(VersionAction)))
def test_no_way_leads_back_to_a_draft_or_past_the_report_owner(steps: list[VersionAction]) -> None:
    status, taken = VersionStatus.DRAFT, []
    for action in steps:
        try:
            status = move_version(status, action)
        except WrongState:
            continue
        taken.append(action)

    assert len(taken) <= 3
    assert (status is VersionStatus.DRAFT) == (not taken)
    if status in (VersionStatus.APPROVED, VersionStatus.SUPERSEDED):
        assert taken[:2] == [VersionAction.SUBMIT, VersionAction.APPROVE]


def test_mappings_are_not_submitted() -> None:
    with pytest.raises(WrongState, match="have no versions"):
        move_version(None, VersionAction.SUBMIT)


@given(principals, st.none() | reviewers)
def test_nobody_decides_for_a_reviewer_without_the_role(
    principal: Principal, wanted: Reviewer | None
) -> None:
    answer = outcome(lambda: reviewer_of(principal, wanted))

    may = {one for one in Reviewer if principal.is_admin or principal.roles & DECIDES[one]}
    if isinstance(answer, Reviewer):
        assert answer in may
        assert wanted in (None, answer)
    elif answer is InvalidInput:
        assert len(may) == 2
        assert wanted is None
    else:
        assert answer is Forbidden
        assert not may or wanted not in {None, *may}


@given(principals, st.sampled_from(sorted(TAKES)))
def test_nobody_moves_a_version_without_the_role(
    principal: Principal, action: VersionAction
) -> None:
    refused = outcome(lambda: check_may_take(principal, action)) is Forbidden

    assert refused != (principal.is_admin or bool(principal.roles & DECIDES[TAKES[action]]))


@given(principals)
def test_only_an_admin_approves_what_they_submitted(principal: Principal) -> None:
    assert outcome(lambda: check_four_eyes(principal, "somebody else")) is None
    refused = outcome(lambda: check_four_eyes(principal, principal.sub)) is Forbidden

    assert refused != principal.is_admin


@given(st.lists(st.lists(said)), st.sampled_from([VersionAction.SUBMIT, VersionAction.APPROVE]))
def test_a_version_goes_on_when_nothing_in_it_waits_and_something_is_left(
    entries: list[list[tuple[Reviewer, Decision]]], action: VersionAction
) -> None:
    reviews = [decided(told) for told in entries]

    def count(status: EntryStatus) -> int:
        return sum(review.status is status for review in reviews)

    counts = DecisionCounts(
        total=len(reviews),
        pending=count(EntryStatus.PENDING),
        approved=count(EntryStatus.APPROVED),
        rejected=count(EntryStatus.REJECTED),
        waiting_for_tester=sum(one.waits_for(Reviewer.TESTER) for one in reviews),
        waiting_for_report_owner=sum(one.waits_for(Reviewer.REPORT_OWNER) for one in reviews),
    )

    refused = outcome(lambda: check_complete(Kind.RULES, counts, action, ["LTV"])) is WrongState

    waiting = any(review.waits_for(TAKES[action]) for review in reviews)
    something = any(review.status is not EntryStatus.REJECTED for review in reviews)
    assert refused == (waiting or not something)


@pytest.mark.parametrize("reason", ["", " ", "\n"])
def test_who_rejects_says_why(reason: str) -> None:
    check_reason(Decision.APPROVED, reason)
    check_reason(Decision.REJECTED, "because")
    with pytest.raises(InvalidInput):
        check_reason(Decision.REJECTED, reason)
