"""Limits of job types, as the types and the installation have them."""

from collections.abc import Mapping, Sequence

import pytest

from longhaul.core.catalog import Catalog
from longhaul.core.limits import TypeLimit, type_limits
from tests.job_types.echo import Echo


class Two(Echo):
    task_name = "app.tasks.echo"
    aliases = ("parrot",)
    max_running = 2


CATALOG = Catalog([Two()])


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [TypeLimit(job_type="echo", max_running=2)]),
        ({"echo": 7}, [TypeLimit(job_type="echo", max_running=7)]),
        ({"parrot": 7}, [TypeLimit(job_type="echo", max_running=7)]),
        ({"app.tasks.echo": 7}, [TypeLimit(job_type="echo", max_running=7)]),
        ({"echo": 0}, []),
    ],
)
def test_the_settings_win_over_what_a_type_says_of_itself_by_whatever_name(
    settings: Mapping[str, int], expected: Sequence[TypeLimit]
) -> None:
    assert type_limits(CATALOG, settings, {}) == expected


def test_a_limit_that_no_type_has_is_named() -> None:
    with pytest.raises(ValueError, match=r"'ecko'. Known types: echo"):
        type_limits(CATALOG, {}, {"ecko": 1})


def test_two_limits_for_one_type_are_refused() -> None:
    with pytest.raises(ValueError, match="'echo' is given two limits"):
        type_limits(CATALOG, {"echo": 1, "parrot": 2}, {})
