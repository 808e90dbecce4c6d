"""The system's own schedules: retention, and a health probe."""

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
        """Its id in Temporal."""
        return f"longhaul-{self.workflow}"


UPKEEP = (
    Upkeep(workflow=RETENTION, every=timedelta(hours=6)),
    Upkeep(workflow=HEALTH_PROBE, every=timedelta(minutes=5)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """What retention has deleted.

    Attributes:
        busy: Another process was doing it, so nothing was done.
    """

    jobs: int = 0
    busy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """The health of each queue: what a worker of it found, or `no_worker`."""

    queues: dict[str, str] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        """Whether every queue has a worker that reaches its servers."""
        return all(self.queues.get(queue) == WELL for queue in Queue)


WELL = "ok"
NO_WORKER = "no_worker"


class Expired(Protocol):
    """Deletes what is old."""

    async def purge_jobs(self, older_than: timedelta) -> Sequence[str]:
        """Delete the rows of some jobs that ended that long ago; the ids of all that are gone.

        Their items and calls are deleted by `purge_remains`, however many there are.
        """

    async def purge_remains(self) -> bool:
        """Delete some remains of purged jobs; False when there are no more."""

    async def purge_others(self, older_than: timedelta) -> None:
        """Delete what belongs to no job: expired keys, and other things as old."""


class Traces(Protocol):
    """What Redis may still have of jobs."""

    async def forget(self, job_ids: Sequence[str]) -> None:
        """Delete it for some jobs. Never raises."""


class UpkeepLog(Protocol):
    """The last run of each of the system's own schedules."""

    async def note(self, name: str, *, ok: bool, details: Mapping[str, object]) -> None:
        """Replace the last run of one."""
