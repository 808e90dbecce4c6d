"""What webhooks tell of: the events in the life of a job that somebody may wait for."""

from enum import StrEnum

from longhaul.core.jobs import JobStatus


class Event(StrEnum):
    """An event by the name that subscribers know."""

    ENDED = "job.ended"
    PAUSED = "job.paused"
    APPROVAL_NEEDED = "job.approval_needed"


def event_of(status: JobStatus | None) -> Event | None:
    """The event that a move to a status is, if anybody may wait for it."""
    if status is JobStatus.PAUSED:
        return Event.PAUSED
    return Event.ENDED if status is not None and status.is_terminal else None
