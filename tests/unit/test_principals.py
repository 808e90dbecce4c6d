"""Who may see and control a job."""

import pytest

from longhaul.core.approvers import Approvers
from longhaul.core.principals import Principal, may_control, may_see
from tests.factories import make_job

OWNER = "Report Owner"
ASKING = make_job(lob="Cards", approvers=Approvers(users=("named",), roles=(OWNER,)))


def person(sub: str = "u-9", *roles: str, lob: str | None = None) -> Principal:
    return Principal(sub=sub, roles=frozenset(roles), lob=lob)


@pytest.mark.parametrize(
    "caller",
    [
        person("u-1", lob="Mortgage"),
        person("boss", "Admin", lob="IT"),
        person("named", lob="Mortgage"),
        person("u-9", OWNER, lob="Cards"),
        person("u-9", OWNER),
    ],
    ids=["owner", "Admin", "named", "holder of the role", "holder in every line of business"],
)
@pytest.mark.invariant("I9")
def test_a_job_is_seen_by_its_owner_admins_and_those_whom_it_asks(caller: Principal) -> None:
    assert may_see(caller, ASKING)


@pytest.mark.parametrize(
    "caller",
    [person(), person("u-9", OWNER, lob="Mortgage"), person("u-9", "Tester", lob="Cards")],
    ids=["stranger", "holder elsewhere", "of another role"],
)
@pytest.mark.invariant("I9")
def test_a_job_is_seen_by_nobody_else(caller: Principal) -> None:
    assert not may_see(caller, ASKING)


def test_a_job_without_a_line_of_business_asks_holders_in_all_of_them() -> None:
    anywhere = make_job(approvers=Approvers(roles=(OWNER,)))

    assert may_see(person("u-9", OWNER, lob="Mortgage"), anywhere)


def test_who_is_asked_does_not_steer() -> None:
    assert not may_control(person("named", OWNER, lob="Cards"), ASKING)
