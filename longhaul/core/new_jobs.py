"""The row of a new job: asked for by a person, or by the flow that it is a step of."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from longhaul.core.approvers import Approvers
from longhaul.core.catalog import AnyJobType
from longhaul.core.job_types import Prepared
from longhaul.core.jobs import JobOptions
from longhaul.core.ports import NewJob
from longhaul.core.principals import Principal

# Keys of `metadata` that the job object sets itself; they override the caller's.
SYSTEM_KEYS = frozenset(
    (
        *("cycle_id", "report_id", "phase_id"),
        *("user_id", "workflow_id", "run_id", "celery_task_id"),
    )
)


def new_job(
    job_id: str,
    job_type: AnyJobType,
    prepared: Prepared[Any],
    principal: Principal,
    *,
    options: JobOptions,
    priority: int,
    description: str,
    metadata: Mapping[str, Any],
    start_at: datetime | None = None,
    parent_id: str | None = None,
    step: str | None = None,
    approvers: Approvers = Approvers(),
) -> NewJob:
    """Describe a job whose parameters are resolved."""
    cycle_id = _id(prepared.cycle_id, metadata.get("cycle_id"))
    report_id = _id(prepared.report_id, metadata.get("report_id"))
    metadata = {key: value for key, value in metadata.items() if key not in SYSTEM_KEYS}
    if prepared.phase_id is not None:
        metadata["phase_id"] = prepared.phase_id
    if prepared.report_name:
        metadata["report_name"] = prepared.report_name
    return NewJob(
        id=job_id,
        job_type=job_type.name,
        owner=principal.sub,
        parameters=prepared.parameters.model_dump(mode="json"),
        options=options,
        priority=priority,
        description=description,
        metadata=metadata,
        cycle_id=cycle_id,
        report_id=report_id,
        start_at=start_at,
        singleton_key=singleton_key(job_type, prepared),
        parent_id=parent_id,
        step=step,
        owner_roles=sorted(principal.roles),
        owner_lob=principal.lob,
        approvers=approvers | prepared.approvers,
    )


def singleton_key(job_type: AnyJobType, prepared: Prepared[Any]) -> str | None:
    """The key that only one live job may hold; None when any number may run."""
    if not prepared.singleton:
        return None
    return f"{job_type.name}:{prepared.cycle_id}:{prepared.report_id}"


def _id(resolved: int | None, given: object) -> int | None:
    # A type without a report may still be filed under one by its caller.
    if resolved is not None:
        return resolved
    is_id = isinstance(given, int) and not isinstance(given, bool) and 0 <= given < 2**31
    return given if is_id else None  # type: ignore[return-value]  # narrowed above
