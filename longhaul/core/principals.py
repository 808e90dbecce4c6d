"""Who may do what: principals, their roles, and the one place that decides."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from longhaul.core.approvers import Approvers
from longhaul.core.errors import Forbidden, NotFound
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

    @property
    def listed_lob(self) -> str | None:
        """The line of business that limits the caller's lists; None for all."""
        return None if self.is_admin else self.lob

    def works_for(self, lob: str | None) -> bool:
        """Whether a line of business is the caller's; without one a caller works for all."""
        return lob is None or self.lob in (None, lob)


def is_visible(lob: str, principal: Principal) -> bool:
    """Whether the caller may know of a report of this line of business."""
    return principal.is_admin or principal.works_for(lob)


def may_see(principal: Principal, job: Job) -> bool:
    """Whether the caller may know that the job exists."""
    return may_control(principal, job) or is_among(principal, job.approvers, job.lob)


def may_control(principal: Principal, job: Job) -> bool:
    """Whether the caller may control the job."""
    return principal.is_admin or job.owner == principal.sub


def is_among(principal: Principal, asked: Approvers, lob: str | None) -> bool:
    """Whether the caller is one of those who are asked, about a line of business."""
    holds_role = not principal.roles.isdisjoint(asked.roles)
    return principal.sub in asked.users or (holds_role and principal.works_for(lob))


def existing(job: Job | None) -> Job:
    """A job that was looked for.

    Raises:
        NotFound: There is none.
    """
    if job is None:
        raise NotFound("There is no such job.")
    return job


def visible_to(principal: Principal, job: Job | None) -> Job:
    """A job that was looked for on behalf of a caller.

    Raises:
        NotFound: There is none, or the caller may not know of it.
    """
    return existing(job if job is not None and may_see(principal, job) else None)


def owner_of(job: Job) -> Principal:
    """The person who started a job, with the roles of then."""
    return Principal(sub=job.owner, roles=frozenset(job.owner_roles), lob=job.owner_lob)


def check_may_start(principal: Principal, roles: Collection[str], title: str) -> None:
    """Refuse callers without a role that may start a job type; no roles means everyone.

    Raises:
        Forbidden: The caller has none of the roles.
    """
    if roles:
        check_holds(principal, roles, f"{title} may be started")


def check_holds(principal: Principal, roles: Collection[str], what: str) -> None:
    """Refuse callers who hold none of some roles; Admins are exempt.

    Args:
        what: Begins the sentence that says by whom.

    Raises:
        Forbidden: The caller holds none.
    """
    if not principal.is_admin and principal.roles.isdisjoint(roles):
        raise Forbidden(f"{what} by: {', '.join(sorted(roles))}.")
