"""Values of the core with defaults for everything that a test does not need."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from longhaul.core.jobs import CallTotals, Counts, Job, JobOptions, JobStatus, RunMode
from longhaul.core.ports import NewJob
from longhaul.core.principals import Principal, Role

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def make_job(**changes: Any) -> Job:
    """A row of the job table."""
    job = Job(
        id=str(uuid.uuid4()),
        job_type="echo",
        status=JobStatus.RUNNING,
        outcome=None,
        owner="u-1",
        attempt=1,
        epoch=1,
        version=1,
        generation=0,
        mode=RunMode.RUN,
        pause=None,
        requested=None,
        priority=5,
        description="",
        parameters={},
        frozen={},
        options=JobOptions(),
        metadata={},
        cycle_id=None,
        report_id=None,
        counts=Counts(),
        calls=CallTotals(),
        current_step="",
        result=None,
        fault=None,
        run_id=None,
        created_at=NOON,
        updated_at=NOON,
        start_at=None,
        started_at=NOON,
        planned_at=NOON,
        paused_at=None,
        completed_at=None,
    )
    return replace(job, **changes)


TESTER = Principal(sub="u-1", roles=frozenset({Role.TESTER}), lob="Mortgage")


def make_new_job(**changes: Any) -> NewJob:
    """A job that is about to be inserted."""
    new = NewJob(
        id=str(uuid.uuid4()),
        job_type="echo",
        owner="u-1",
        parameters={},
        options=JobOptions(),
        priority=5,
        description="",
        metadata={},
    )
    return replace(new, **changes)
