"""Which cron expressions are accepted."""

import pytest

from longhaul.core.errors import InvalidInput
from longhaul.core.schedules import check_cron


@pytest.mark.parametrize(
    "text",
    [
        "* * * * *", "0 6 * * mon-fri", "*/15 6-18/2 1,15 jan-MAR 0", "59 23 31 12 6",
        "0 0 1-31/5 * *", "  5   4 * * *  ",
    ],
)  # fmt: skip
def test_cron_expressions(text: str) -> None:
    check_cron(text)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "five fields"),
        ("* * * *", "five fields"),
        ("0 0 * * * *", "five fields"),
        ("@daily", "five fields"),
        ("60 * * * *", "minute"),
        ("-1 * * * *", "minute"),
        ("*/0 * * * *", "minute"),
        ("* 24 * * *", "hour"),
        ("* 8-6 * * *", "hour"),
        ("* * 0 * *", "day of the month"),
        ("* * * foo *", "month"),
        ("* * * 13 *", "month"),
        ("* * * * 7", "day of the week"),
        ("* * * * mon-", "day of the week"),
        ("* * * * ²", "day of the week"),
        ("CRON_TZ=UTC * * * * *", "five fields"),
    ],
)
def test_what_is_none(text: str, what: str) -> None:
    with pytest.raises(InvalidInput, match=what):
        check_cron(text)
