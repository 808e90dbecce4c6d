"""What the system does for itself by time: deletes what is old, and looks whether all is well."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from longhaul.core.job_types import Queue

RETENTION = "Retention"
HEALTH_PROBE = "HealthProbe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkeep:
    """One of the system's own schedules: a workflow that is started again and again."""

    workflow: str
    every: timedelta

    @property
    def schedule_id(self) -> str:
        """What Temporal knows it by."""
        return f"longhaul-{self.workflow}"


UPKEEP = (
    Upkeep(workflow=RETENTION, every=timedelta(hours=6)),
    Upkeep(workflow=HEALTH_PROBE, every=timedelta(minutes=5)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """What retention has deleted.

    Attributes:
        busy: Somebody else was at it, so nothing was done.
    """

    jobs: int = 0
    busy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """How the queues do, each by what a worker of it found, or `no_worker`."""

    queues: dict[str, str] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        """Whether every queue has a worker that reaches its servers."""
        return all(self.queues.get(queue) == WELL for queue in Queue)


WELL = "ok"
NO_WORKER = "no_worker"


class Expired(Protocol):
    """What is old enough to be deleted."""

    async def purge_jobs(self, older_than: timedelta) -> Sequence[str]:
        """Delete the rows of some jobs that ended so long ago; the ids of all that are gone.

        Their items and calls are deleted by `purge_remains`, however many there are.
        """

    async def purge_remains(self) -> bool:
        """Delete some of what purged jobs have left; False when there is no more to do."""

    async def purge_others(self, older_than: timedelta) -> None:
        """Delete what is no part of a job: expired keys, and what else is as old."""


class Traces(Protocol):
    """What Redis may still show of jobs."""

    async def forget(self, job_ids: Sequence[str]) -> None:
        """Show nothing more of some jobs. Never raises."""


class UpkeepLog(Protocol):
    """What the system's own schedules came to: the last run of each."""

    async def note(self, name: str, *, ok: bool, details: Mapping[str, object]) -> None:
        """Replace what is noted of one."""
