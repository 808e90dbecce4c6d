"""The job object as clients see it: the row and live detail."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import floor

from longhaul.api.schemas import (
    CallView,
    ErrorDetail,
    ItemError,
    ItemView,
    JobView,
    PauseView,
    Progress,
)
from longhaul.core.catalog import Catalog
from longhaul.core.jobs import Job, JobStatus
from longhaul.core.ports import Row, Shown

# Waiting this long without live detail means that no worker has taken the job.
NO_WORKER_AFTER = timedelta(seconds=10)

_ACTIVE = frozenset({JobStatus.RUNNING, JobStatus.PAUSING, JobStatus.RESUMING})
_PAUSED = frozenset({JobStatus.PAUSING, JobStatus.PAUSED})


class JobObjects:
    """Renders rows; knows the names that the replaced Celery system had for job types.

    Args:
        limited: The job types whose jobs may have to wait for others of their type.
    """

    def __init__(self, catalog: Catalog, limited: Collection[str] = ()) -> None:
        self._catalog = catalog
        self._limited = limited

    def render(self, job: Job, shown: Shown) -> JobView:
        """The job object; every key is always there."""
        counts = job.counts
        return {
            "job_id": job.id,
            "job_type": job.job_type,
            "task_name": self._task_name(job.job_type),
            "status": job.status,
            "outcome": job.outcome,
            "progress_percentage": floor(counts.percentage),
            "current_step": job.current_step,
            "total_steps": counts.total,
            "completed_steps": counts.ended,
            "message": counts.sentence,
            "progress": _progress(job, shown),
            "result": job.result,
            "error": job.fault.sentence if job.fault else None,
            "error_detail": _error_detail(job),
            "priority": job.priority,
            "description": job.description,
            "owner": job.owner,
            "attempt": job.attempt,
            "version": job.version,
            "requested": job.requested,
            "waiting_for": self._waiting_for(job, shown),
            "pause": _pause(job),
            "parameters": job.parameters,
            "options": {
                "concurrency": job.options.concurrency,
                "stop_after_failure_ratio": job.options.stop_after_failure_ratio,
                "deadline_seconds": job.options.deadline_seconds,
            },
            "calls": {
                "made": job.calls.made,
                "repeated": job.calls.repeated,
                "retried": job.calls.retried,
            },
            "tokens": {"input": job.calls.input_tokens, "output": job.calls.output_tokens},
            "cost_usd": _number(job.calls.cost_usd),
            "created_at": job.created_at,
            "started_at": job.started_at,
            "paused_at": job.paused_at,
            "completed_at": job.completed_at,
            "updated_at": job.updated_at,
            "metadata": {
                "phase_id": None,
                **job.metadata,
                "cycle_id": job.cycle_id,
                "report_id": job.report_id,
                "user_id": job.owner,
                "workflow_id": job.id,
                "run_id": job.run_id,
                "celery_task_id": job.id,
            },
            "parent_id": job.parent_id,
            "step": job.step,
        }

    def _waiting_for(self, job: Job, shown: Shown) -> str | None:
        if self._catalog.is_flow(job.job_type) and job.status is JobStatus.RUNNING:
            return job.waiting_for
        return _waiting_for(job, shown, self._limited)

    def _task_name(self, job_type: str) -> str:
        # A row may outlive its type, if the type's package was uninstalled.
        known = self._catalog.get(job_type) if job_type in self._catalog else None
        return known.task_name or job_type if known else job_type


def item_object(row: Row) -> ItemView:
    """The item object, from a row with the totals of its calls."""
    error: ItemError = {"code": row["error_code"], "message": row["error_message"]}
    return {
        "item_key": row["item_key"],
        "ordinal": row["ordinal"],
        "state": row["state"],
        "attempts": row["attempts"],
        "error": error if row["error_code"] else None,
        "output": row["output"],
        "calls": row["calls"],
        "tokens": {"input": row["input_tokens"], "output": row["output_tokens"]},
        "cost_usd": _number(row["cost_usd"]),
        "duration_ms": row["duration_ms"],
        "updated_at": row["updated_at"],
    }


def call_object(row: Row) -> CallView:
    """One call of an item. Its text stays in the database."""
    return {
        "attempt": row["attempt"],
        "step": row["step"],
        "try": row["try"],
        "state": row["state"],
        "failure": row["failure"],
        "provider": row["provider"],
        "model": row["reply_model"] or row["model"],
        "tokens": {"input": row["input_tokens"], "output": row["output_tokens"]},
        "cost_usd": _number(row["cost_usd"]),
        "duration_ms": row["duration_ms"],
        "sent_at": row["sent_at"],
        "ended_at": row["ended_at"],
    }


def _progress(job: Job, shown: Shown) -> Progress:
    counts = job.counts
    active = job.status in _ACTIVE
    in_flight = sum(live.in_flight for live in shown.live) if active else 0
    rate = max((live.rate_per_second for live in shown.live), default=0.0) if active else 0.0
    return {
        "current": counts.ended,
        "total": counts.total,
        "percentage": counts.percentage,
        "succeeded": counts.done,
        "failed": counts.failed,
        "skipped": counts.skipped,
        "in_flight": in_flight,
        "rate_per_second": rate,
        "eta_seconds": round(counts.open / rate) if rate else None,
        "message": counts.sentence,
    }


def _error_detail(job: Job) -> ErrorDetail | None:
    if job.fault is None:
        return None
    return {
        "code": job.fault.code,
        "message": job.fault.sentence,
        "retryable": job.fault.retryable,
        "item_count": job.counts.failed,
    }


def _pause(job: Job) -> PauseView | None:
    # One that is not applied yet is shown by `requested`.
    if job.pause is None or job.status not in _PAUSED:
        return None
    return {
        "mode": job.pause.mode,
        "by": job.pause.by,
        "reason": job.pause.reason,
        "until": job.pause.until,
    }


def _waiting_for(job: Job, shown: Shown, limited: Collection[str]) -> str | None:
    now = datetime.now(UTC)
    quiet = now - job.updated_at > NO_WORKER_AFTER
    match job.status:
        case JobStatus.PENDING if job.start_at is not None and job.start_at > now:
            return "start_time"
        case JobStatus.PENDING if job.dispatched_at is None and job.job_type in limited:
            return "rate_limit"
        case JobStatus.PENDING if quiet:
            return "worker"
        case JobStatus.RUNNING if shown.known and quiet and not shown.live:
            return "worker"
        case JobStatus.RUNNING:
            waits = {live.waiting_for for live in shown.live}
            return waits.pop() if len(waits) == 1 else None
        case _:
            return None


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
