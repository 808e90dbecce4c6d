"""Who is asked to approve (people by id, or holders of a role), and their decisions."""

from dataclasses import dataclass
from enum import StrEnum


class Decision(StrEnum):
    """A person's decision."""

    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approvers:
    """Those who may see a job because it asks them to approve, or will.

    Attributes:
        users: People by id.
        roles: Everybody who holds one of these, within the job's line of business.
    """

    users: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()

    def __or__(self, other: "Approvers") -> "Approvers":
        """Both together, each once."""
        return Approvers(
            users=tuple(dict.fromkeys((*self.users, *other.users))),
            roles=tuple(dict.fromkeys((*self.roles, *other.roles))),
        )
