"""The state table and the endings."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longhaul.core.errors import WrongState
from longhaul.core.jobs import (
    TERMINAL,
    Counts,
    JobStatus,
    Outcome,
    can_move,
    ending,
    move,
    path,
)

S = JobStatus

# The table of docs/states.md, written out a second time.
ALLOWED = {
    (S.PENDING, S.RUNNING), (S.PENDING, S.FAILED), (S.PENDING, S.CANCELLED),
    (S.RUNNING, S.PAUSING), (S.RUNNING, S.COMPLETED), (S.RUNNING, S.FAILED),
    (S.RUNNING, S.CANCELLED),
    (S.PAUSING, S.PAUSED), (S.PAUSING, S.RESUMING), (S.PAUSING, S.COMPLETED),
    (S.PAUSING, S.FAILED), (S.PAUSING, S.CANCELLED),
    (S.PAUSED, S.RESUMING), (S.PAUSED, S.FAILED), (S.PAUSED, S.CANCELLED),
    (S.RESUMING, S.RUNNING), (S.RESUMING, S.PAUSING), (S.RESUMING, S.FAILED),
    (S.RESUMING, S.CANCELLED),
    (S.FAILED, S.PENDING), (S.CANCELLED, S.PENDING),
}  # fmt: skip


@pytest.mark.parametrize(("current", "to"), list(itertools.product(S, S)))
def test_the_state_table_allows_what_the_design_says_and_nothing_else(current: S, to: S) -> None:
    assert can_move(current, to, outcome=Outcome.SUCCEEDED) == ((current, to) in ALLOWED)


def test_only_a_partial_completion_can_be_retried() -> None:
    assert move(S.COMPLETED, S.PENDING, outcome=Outcome.PARTIAL) is S.PENDING
    with pytest.raises(WrongState, match="completed cannot become pending"):
        move(S.COMPLETED, S.PENDING, outcome=Outcome.SUCCEEDED)


@given(st.lists(st.sampled_from(list(S)), max_size=30))
def test_no_sequence_of_moves_leaves_a_terminal_state_but_by_retry(wishes: list[S]) -> None:
    current = S.PENDING
    for wish in wishes:
        before = current
        if can_move(current, wish, outcome=Outcome.PARTIAL):
            current = move(current, wish, outcome=Outcome.PARTIAL)
        assert before not in TERMINAL or current in (before, S.PENDING)


@pytest.mark.parametrize(
    ("current", "to", "steps"),
    [
        (S.RUNNING, S.RUNNING, []),
        (S.RUNNING, S.PAUSED, [S.PAUSING, S.PAUSED]),
        (S.PAUSED, S.RUNNING, [S.RESUMING, S.RUNNING]),
        (S.PAUSING, S.RUNNING, [S.RESUMING, S.RUNNING]),
        (S.RESUMING, S.PAUSED, [S.PAUSING, S.PAUSED]),
        (S.PAUSED, S.COMPLETED, [S.RESUMING, S.PAUSING, S.COMPLETED]),
        (S.PENDING, S.COMPLETED, [S.RUNNING, S.COMPLETED]),
        (S.PAUSED, S.CANCELLED, [S.CANCELLED]),
    ],
)
def test_a_path_goes_through_the_states_between(current: S, to: S, steps: list[S]) -> None:
    assert path(current, to) == steps


@pytest.mark.parametrize("current", sorted(TERMINAL))
@pytest.mark.parametrize("to", [S.RUNNING, S.COMPLETED, S.CANCELLED])
def test_there_is_no_path_out_of_a_terminal_state(current: S, to: S) -> None:
    with pytest.raises(WrongState):
        path(current, to)


@pytest.mark.parametrize(
    ("counts", "status", "outcome", "code"),
    [
        (Counts(), S.FAILED, Outcome.FAILED, "no_items"),
        (Counts(total=3, done=3), S.COMPLETED, Outcome.SUCCEEDED, None),
        (Counts(total=3, done=1, skipped=2), S.COMPLETED, Outcome.SUCCEEDED, None),
        (Counts(total=3, skipped=3), S.COMPLETED, Outcome.SUCCEEDED, None),
        (Counts(total=3, done=1, failed=2), S.COMPLETED, Outcome.PARTIAL, "items_failed"),
        (Counts(total=3, failed=3), S.FAILED, Outcome.FAILED, "all_items_failed"),
        (Counts(total=3, failed=2, skipped=1), S.FAILED, Outcome.FAILED, "all_items_failed"),
    ],
)
def test_a_job_ends_as_its_counts_say(
    counts: Counts, status: S, outcome: Outcome, code: str | None
) -> None:
    end = ending(counts)

    assert (end.status, end.outcome, end.fault and end.fault.code) == (status, outcome, code)


@given(st.integers(0, 10**6), st.data())
def test_a_hundred_percent_means_that_every_item_has_ended(total: int, data: st.DataObject) -> None:
    done = data.draw(st.integers(0, total))
    counts = Counts(total=total, done=done)

    assert (counts.percentage == 100.0) == (total > 0 and done == total)
    assert 0.0 <= counts.percentage <= 100.0
