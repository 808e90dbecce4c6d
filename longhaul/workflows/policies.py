"""Named time-outs and retries of each kind of step.

They are code, not settings: a workflow with timing from the environment could not be
replayed.
"""

from datetime import timedelta
from typing import TypedDict

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType

from longhaul.core.errors import UNEXPECTED, TemporalUnavailable, Unavailable

# Time after which the worker of a silent activity counts as lost.
HEARTBEAT_TIMEOUT = timedelta(seconds=8)

# Losses of one chunk in a row before its items are run one by one.
CHUNK_LOSSES = 3

# Errors that a chunk reports itself; only a lost worker is retried automatically.
CHUNK_FAULTS = [Unavailable.code, TemporalUnavailable.code, UNEXPECTED]

# Those of them that pass by themselves, and the limit of their wait: 8 seconds.
OUTAGES = frozenset({Unavailable.code, TemporalUnavailable.code})
MOST_OUTAGE_FAULTS = 4


class ActivityOptions(TypedDict, total=False):
    """Keyword arguments of `workflow.execute_activity`."""

    schedule_to_start_timeout: timedelta
    schedule_to_close_timeout: timedelta
    start_to_close_timeout: timedelta
    heartbeat_timeout: timedelta
    retry_policy: RetryPolicy
    cancellation_type: ActivityCancellationType


class LocalActivityOptions(TypedDict, total=False):
    """Keyword arguments of `workflow.execute_local_activity`."""

    start_to_close_timeout: timedelta
    retry_policy: RetryPolicy


# An outage never fails a job: these wait for as long as it takes.
_FOR_AS_LONG_AS_IT_TAKES = RetryPolicy(
    initial_interval=timedelta(milliseconds=200),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(seconds=10),
)

LEDGER: ActivityOptions = {
    "start_to_close_timeout": timedelta(hours=1),
    "heartbeat_timeout": HEARTBEAT_TIMEOUT,
    "retry_policy": _FOR_AS_LONG_AS_IT_TAKES,
}

CHUNK: ActivityOptions = {
    # Heartbeats tell a long chunk from a dead one; rate limits may make it very long.
    "start_to_close_timeout": timedelta(days=1),
    "heartbeat_timeout": HEARTBEAT_TIMEOUT,
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(milliseconds=200),
        maximum_interval=timedelta(seconds=1),
        maximum_attempts=CHUNK_LOSSES,
        non_retryable_error_types=CHUNK_FAULTS,
    ),
    "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
}

CONTROL: LocalActivityOptions = {
    "start_to_close_timeout": timedelta(seconds=10),
    "retry_policy": _FOR_AS_LONG_AS_IT_TAKES,
}

# A question to any worker of a queue, without retries: the next one follows in minutes.
PROBE: ActivityOptions = {
    "schedule_to_start_timeout": timedelta(seconds=30),
    "start_to_close_timeout": timedelta(seconds=10),
    "retry_policy": RetryPolicy(maximum_attempts=1),
}

NOTE: ActivityOptions = {
    "schedule_to_close_timeout": timedelta(minutes=1),
    "start_to_close_timeout": timedelta(seconds=10),
}


def back_off(faults: int) -> timedelta:
    """How long to wait after a number of faults in a row."""
    return min(timedelta(seconds=2 ** min(faults - 1, 6)), timedelta(minutes=1))
