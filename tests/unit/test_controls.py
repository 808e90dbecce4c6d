"""Reading requests, settling them, and the flag that chunks obey."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longhaul.core.controls import (
    LONGEST_REQUEST_ID,
    MAX_TEXT,
    REMEMBERED_REQUESTS,
    Action,
    Control,
    Flag,
    control_message,
    read_control,
    remember,
    settle,
)
from longhaul.core.errors import InvalidInput
from longhaul.core.jobs import Pause, RunMode

modes = st.sampled_from([RunMode.DRAIN, RunMode.NOW])
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
controls = st.builds(Control, action=st.sampled_from(Action), mode=modes, by=names)


def test_an_empty_message_means_a_draining_pause() -> None:
    assert read_control("pause", None) == Control(action=Action.PAUSE, mode=RunMode.DRAIN)


def test_unknown_keys_are_ignored() -> None:
    assert read_control("pause", {"mode": "now", "colour": 1}).mode is RunMode.NOW


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ("stop", {}),
        ("pause", {"mode": "run"}),
        ("pause", {"mode": 3}),
        ("pause", {"until": "tomorrow"}),
        ("pause", {"until": "9999-12-31T23:59:59-12:00"}),
        ("pause", {"until": "2026-01-01T00:00:00"}),
        ("pause", "now"),
        ("pause", ["now"]),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_to_send(action: str, message: object) -> None:
    with pytest.raises(InvalidInput):
        read_control(action, message)


def test_times_are_read_in_any_zone_and_kept_in_utc() -> None:
    control = read_control("pause", {"until": "2026-01-02T03:04:05+02:00"})

    assert control.until == datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)


@given(st.text(st.characters(), max_size=2 * MAX_TEXT) | st.none() | st.integers())
def test_any_text_of_a_message_can_be_stored(text: object) -> None:
    by = read_control("pause", {"by": text}).by

    assert "\0" not in by
    assert by.encode().decode() == by
    assert len(by) <= MAX_TEXT


@given(controls)
def test_a_control_survives_its_message(control: Control) -> None:
    assert read_control(control.action, control_message(control)) == control


@given(st.none() | st.builds(Pause, mode=modes), st.lists(controls, min_size=1))
def test_the_last_request_decides(current: Pause | None, asked: list[Control]) -> None:
    result = settle(current, asked)

    assert (result is None) == (asked[-1].action is Action.RESUME)


def test_a_second_pause_only_tightens_the_mode() -> None:
    now = Pause(mode=RunMode.NOW)

    loosened = settle(now, [Control(action=Action.PAUSE, mode=RunMode.DRAIN, reason="later")])

    assert loosened == Pause(mode=RunMode.NOW, reason="later")


def test_a_request_id_counts_once_and_is_forgotten_in_time() -> None:
    seen: list[str] = []
    assert remember(seen, "r-0")
    assert not remember(seen, "r-0")
    for number in range(1, REMEMBERED_REQUESTS + 1):
        assert remember(seen, f"r-{number}")

    assert len(seen) == REMEMBERED_REQUESTS
    assert remember(seen, "r-0")


def test_requests_without_an_id_always_count() -> None:
    seen: list[str] = []

    assert remember(seen, "")
    assert remember(seen, "")
    assert seen == []


@given(st.integers(1, 9), st.integers(0, 99), st.sampled_from(RunMode))
def test_a_flag_survives_redis(attempt: int, generation: int, mode: RunMode) -> None:
    flag = Flag(attempt=attempt, generation=generation, mode=mode)

    assert Flag.parse(str(flag)) == flag


def test_a_long_request_id_is_carried_as_a_short_one_of_its_own() -> None:
    long, longer = "x" * 500, "x" * 501

    ids = {read_control("pause", {"request_id": one}).request_id for one in (long, longer, "x")}

    assert len(ids) == 3
    assert max(map(len, ids)) <= LONGEST_REQUEST_ID


@pytest.mark.parametrize(
    ("attempt", "generation", "is_news"),
    [(2, 6, True), (2, 5, False), (2, 4, False), (1, 9, False), (3, 1, False)],
)
def test_only_a_newer_generation_of_its_own_attempt_is_news_to_a_chunk(
    attempt: int, generation: int, is_news: bool
) -> None:
    flag = Flag(attempt=attempt, generation=generation, mode=RunMode.NOW)

    assert flag.is_news(attempt=2, generation=5) == is_news
