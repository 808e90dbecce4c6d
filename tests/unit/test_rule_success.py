"""When a rule holds for enough rows."""

import pytest

from longhaul.core.rule_execution import is_success


@pytest.mark.parametrize(
    ("considered", "failed", "mostly", "holds"),
    [
        (10, 0, 1.0, True),
        (10, 1, 1.0, False),
        # As many as `mostly` asks for are enough.
        (10, 1, 0.9, True),
        (10, 2, 0.9, False),
        (2, 1, 0.5, True),
        (10, 10, 0.1, False),
        # What looks at no row has found nothing wrong.
        (0, 0, 1.0, True),
    ],
)
def test_a_rule_holds_when_as_many_rows_do_as_it_asks_for(
    considered: int, failed: int, mostly: float, holds: bool
) -> None:
    assert is_success(considered, failed, mostly) is holds
