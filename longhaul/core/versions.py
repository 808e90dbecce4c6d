"""Versions of what jobs propose for a report in a cycle: drafts until people approve them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from longhaul.core.ports import Transaction


class VersionStatus(StrEnum):
    """The status of a version."""

    DRAFT = "draft"
    PENDING_APPROVAL = "pending_approval"
    APPROVED = "approved"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportVersion:
    """One version within a cycle."""

    id: str
    cycle_id: int
    report_id: int
    phase_id: int
    status: VersionStatus
    report_name: str
    lob: str


class VersionStore(Protocol):
    """Versions of one kind."""

    async def version(self, tx: Transaction, version_id: str) -> ReportVersion | None:
        """Read a version."""

    async def draft(
        self, tx: Transaction, cycle_id: int, report_id: int, by: str
    ) -> ReportVersion | None:
        """The report's draft version, created if there is none.

        None when the report is not in the cycle. If two create it at the same time, one waits for
        the other, and both get the same version.
        """

    async def hold_draft(self, tx: Transaction, version_id: str) -> bool:
        """Keep the version as it is until the transaction ends; False when it is not a draft."""
