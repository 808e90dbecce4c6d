"""The events of a job that webhooks send."""

from enum import StrEnum

from longhaul.core.jobs import JobStatus


class Event(StrEnum):
    """The name of an event."""

    ENDED = "job.ended"
    PAUSED = "job.paused"
    APPROVAL_NEEDED = "job.approval_needed"


# Sent on request and without a job; nobody subscribes to it.
TEST_EVENT = "webhook.test"


def event_of(before: JobStatus, now: JobStatus | None) -> Event | None:
    """The event for a change of status, if there is one.

    A control of a paused job writes `paused` again; that is not a change.
    """
    if now is None or now is before:
        return None
    if now is JobStatus.PAUSED:
        return Event.PAUSED
    return Event.ENDED if now.is_terminal else None
