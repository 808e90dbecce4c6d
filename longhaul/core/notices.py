"""What webhooks tell of: the events in the life of a job that somebody may wait for."""

from enum import StrEnum

from longhaul.core.jobs import JobStatus


class Event(StrEnum):
    """An event by the name that subscribers know."""

    ENDED = "job.ended"
    PAUSED = "job.paused"
    APPROVAL_NEEDED = "job.approval_needed"


# Told when somebody asks for it, of no job; nobody subscribes to it.
TEST_EVENT = "webhook.test"


def event_of(before: JobStatus, now: JobStatus | None) -> Event | None:
    """The event that a change of status is, if anybody may wait for it.

    A job that is paused is written as paused again by each control that finds it so.
    """
    if now is None or now is before:
        return None
    if now is JobStatus.PAUSED:
        return Event.PAUSED
    return Event.ENDED if now.is_terminal else None
