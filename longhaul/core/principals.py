"""Who may do what: principals, their roles, and the one place that decides."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from longhaul.core.errors import Forbidden
from longhaul.core.jobs import Job


class Role(StrEnum):
    """The roles of the testing team."""

    TESTER = "Tester"
    TEST_EXECUTIVE = "Test Executive"
    REPORT_OWNER = "Report Owner"
    REPORT_EXECUTIVE = "Report Executive"
    DATA_OWNER = "Data Owner"
    DATA_EXECUTIVE = "Data Executive"
    ADMIN = "Admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The authenticated caller."""

    sub: str
    roles: frozenset[str] = frozenset()
    lob: str | None = None

    @property
    def is_admin(self) -> bool:
        """Whether the caller may see and control every job."""
        return Role.ADMIN in self.roles


def may_see(principal: Principal, job: Job) -> bool:
    """Whether the caller may know that the job exists."""
    return may_control(principal, job) or principal.sub in job.approvers


def may_control(principal: Principal, job: Job) -> bool:
    """Whether the caller may steer the job."""
    return principal.is_admin or job.owner == principal.sub


def owner_of(job: Job) -> Principal:
    """Who started a job, as they were then."""
    return Principal(sub=job.owner, roles=frozenset(job.owner_roles), lob=job.owner_lob)


def check_may_start(principal: Principal, roles: Collection[str], title: str) -> None:
    """Refuse callers without a role that may start a job type; no roles means everyone.

    Raises:
        Forbidden: The caller has none of the roles.
    """
    if roles and not principal.is_admin and principal.roles.isdisjoint(roles):
        raise Forbidden(f"{title} may be started by: {', '.join(sorted(roles))}.")
