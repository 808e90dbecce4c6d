"""When a job that mostly fails pauses itself."""

from hypothesis import given
from hypothesis import strategies as st

from longhaul.core.stop_loss import MIN_ITEMS, WINDOW, FailureWindow


def window(results: str) -> FailureWindow:
    filled = FailureWindow()
    for result in results:
        filled.add(failed=result == "F")
    return filled


def test_nothing_is_decided_below_twenty_results() -> None:
    assert not window("F" * (MIN_ITEMS - 1)).exceeds(0.01)
    assert window("F" * MIN_ITEMS).exceeds(0.01)


def test_the_ratio_itself_is_still_allowed() -> None:
    half = window("F." * 10)

    assert not half.exceeds(0.5)
    assert half.exceeds(0.49)


def test_without_a_ratio_a_job_never_stops_itself() -> None:
    assert not window("F" * 50).exceeds(None)


@given(st.text("F.", max_size=300))
def test_a_window_survives_travelling_and_keeps_the_newest(results: str) -> None:
    filled = window(results)

    assert filled.marks == results[-WINDOW:]
    assert FailureWindow(filled.marks).marks == filled.marks
