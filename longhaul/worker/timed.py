"""Scheduled work of workers: start the jobs of schedules, delete what is old, answer probes."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from redis.asyncio import Redis

from longhaul.activities.scheduled_jobs import ScheduledJobActivities
from longhaul.activities.upkeep import ProbeActivities, RetentionActivities
from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.retention import PostgresRetention, PostgresUpkeepLog
from longhaul.adapters.postgres.schedules import PostgresSchedules
from longhaul.adapters.redis.traces import RedisTraces
from longhaul.core.catalog import Catalog
from longhaul.core.ports import Stores


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedWork:
    """The activities, ready to be registered."""

    jobs: ScheduledJobActivities
    retention: RetentionActivities
    probes: ProbeActivities

    @property
    def beside_workflows(self) -> list[Callable[..., Any]]:
        """What runs on the workflows' queue, besides the probe of that queue."""
        return [self.jobs.fire, self.retention.purge_expired, self.probes.note]


def timed_work(
    database: PostgresDatabase,
    redis: Redis,
    stores: Stores,
    catalog: Catalog,
    *,
    keep: timedelta | None,
) -> TimedWork:
    """Join the activities with their adapters.

    Args:
        keep: How long jobs are kept after their end; None for ever.
    """
    log = PostgresUpkeepLog(database)
    retention = PostgresRetention(database)
    return TimedWork(
        jobs=ScheduledJobActivities(
            stores=stores, firings=PostgresSchedules(database), catalog=catalog
        ),
        retention=RetentionActivities(
            expired=retention,
            traces=RedisTraces(redis),
            alone=retention.alone,
            log=log,
            keep=keep,
        ),
        probes=ProbeActivities(database=database, log=log),
    )
