"""Starts and controls the workflows of jobs."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import (
    Priority,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.workflow import _Definition

from longhaul.adapters.temporal.connection import ensure_search_attributes
from longhaul.core import search_attributes as names
from longhaul.core.controls import Control, control_message
from longhaul.core.errors import TemporalUnavailable
from longhaul.core.job_types import Queue
from longhaul.core.jobs import Job
from longhaul.core.messages import ChildStart, JobState, fairness_key, priority_key
from longhaul.core.ports import RunStatus, WorkflowRun

RPC_TIMEOUT = timedelta(seconds=4)

_AWAY = {
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.CANCELLED,
    RPCStatusCode.RESOURCE_EXHAUSTED,
    RPCStatusCode.ABORTED,
}

_STATUS = {
    WorkflowExecutionStatus.COMPLETED: RunStatus.COMPLETED,
    WorkflowExecutionStatus.CANCELED: RunStatus.CANCELLED,
    WorkflowExecutionStatus.FAILED: RunStatus.FAILED,
    WorkflowExecutionStatus.TERMINATED: RunStatus.TERMINATED,
    WorkflowExecutionStatus.TIMED_OUT: RunStatus.TIMED_OUT,
}

_OWNER = SearchAttributeKey.for_keyword(names.JOB_OWNER)
_JOB_STATUS = SearchAttributeKey.for_keyword(names.JOB_STATUS)
_CYCLE = SearchAttributeKey.for_int(names.CYCLE_ID)
_REPORT = SearchAttributeKey.for_int(names.REPORT_ID)


class TemporalWorkflows:
    """Calls Temporal for one workflow at a time; its id is the job's."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._searchable: bool | None = None

    async def start(self, job: Job, workflow: type, queue: str, summary: str) -> bool:
        """Start the workflow of an attempt; False when the old run is still closing.

        The step of a flow is started by the flow's workflow, as its child, if that runs.
        """
        name, searchable = _name_of(workflow), await self._is_searchable()
        state = JobState(
            job_id=job.id,
            job_type=job.job_type,
            attempt=job.attempt,
            queue=queue,
            searchable=searchable,
        )
        if job.parent_id is not None:
            child = _child_start(job, state, name, summary)
            if await self._signal(job.parent_id, "start_child", child):
                return True
        with translated():
            try:
                await self._client.start_workflow(
                    name,
                    state,
                    id=job.id,
                    task_queue=Queue.WORKFLOWS,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                    id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                    static_summary=summary,
                    priority=Priority(
                        priority_key=priority_key(job.priority),
                        fairness_key=fairness_key(job.owner),
                    ),
                    search_attributes=_attributes(job)
                    if searchable
                    else TypedSearchAttributes.empty,
                    rpc_timeout=RPC_TIMEOUT,
                )
            except WorkflowAlreadyStartedError:
                return False
            except RPCError as exc:
                # They may have been removed since we looked; the next start looks again.
                if exc.status is RPCStatusCode.INVALID_ARGUMENT:
                    self._searchable = None
                raise
        return True

    async def control(self, job_id: str, control: Control) -> bool:
        """Send a pause or resume as a signal; False when there is no running workflow."""
        return await self._signal(job_id, str(control.action), control_message(control))

    async def nudge(self, job_id: str) -> bool:
        """Make a flow look at its rows; False when there is no running workflow."""
        return await self._signal(job_id, "look")

    async def _signal(self, job_id: str, name: str, *message: object) -> bool:
        handle = self._client.get_workflow_handle(job_id)
        with translated():
            try:
                await handle.signal(name, args=message, rpc_timeout=RPC_TIMEOUT)
            except RPCError as exc:
                return _found(exc)
        return True

    async def cancel(self, job_id: str) -> bool:
        """Request cancellation; False when Temporal knows of no workflow."""
        with translated():
            try:
                await self._client.get_workflow_handle(job_id).cancel(rpc_timeout=RPC_TIMEOUT)
            except RPCError as exc:
                return _found(exc)
        return True

    async def describe(self, job_id: str) -> WorkflowRun | None:
        """The newest run of a job's workflow, or None when Temporal knows of none."""
        with translated():
            try:
                run = await self._client.get_workflow_handle(job_id).describe(
                    rpc_timeout=RPC_TIMEOUT
                )
            except RPCError as exc:
                _found(exc)
                return None
        first = run.raw_description.workflow_execution_info.first_run_id
        status = RunStatus.RUNNING if run.status is None else _STATUS.get(run.status)
        return WorkflowRun(
            run_id=first or run.run_id,
            status=status or RunStatus.RUNNING,
            started_at=run.start_time,
        )

    async def ping(self) -> None:
        """Raise `TemporalUnavailable` unless Temporal answers."""
        with translated():
            await self._client.service_client.check_health(timeout=RPC_TIMEOUT)

    async def _is_searchable(self) -> bool:
        if self._searchable is None:
            with translated():
                self._searchable = await ensure_search_attributes(self._client)
        return self._searchable


def _name_of(workflow: type) -> str:
    """The name that a workflow class is registered under."""
    # The SDK tells it in no other way, and a second place to write it would one day disagree.
    return _Definition.must_from_class(workflow).name or workflow.__name__


def _child_start(job: Job, state: JobState, workflow: str, summary: str) -> ChildStart:
    return ChildStart(
        workflow=workflow,
        state=state,
        summary=summary,
        owner=job.owner,
        priority_key=priority_key(job.priority),
        cycle_id=job.cycle_id,
        report_id=job.report_id,
    )


def _attributes(job: Job) -> TypedSearchAttributes:
    pairs: list[SearchAttributePair[Any]] = [
        SearchAttributePair(_OWNER, job.owner),
        SearchAttributePair(_JOB_STATUS, str(job.status)),
    ]
    if job.cycle_id is not None:
        pairs.append(SearchAttributePair(_CYCLE, job.cycle_id))
    if job.report_id is not None:
        pairs.append(SearchAttributePair(_REPORT, job.report_id))
    return TypedSearchAttributes(pairs)


def _found(exc: RPCError) -> bool:
    if exc.status is RPCStatusCode.NOT_FOUND:
        return False
    raise exc


@contextmanager
def translated() -> Iterator[None]:
    """Raise `TemporalUnavailable` for every error that means Temporal is down."""
    try:
        yield
    except RPCError as exc:
        if exc.status not in _AWAY:
            raise
        raise TemporalUnavailable("Temporal cannot be reached; try again soon.") from exc
    except (TimeoutError, RuntimeError) as exc:
        # The error of a client that has never been connected.
        raise TemporalUnavailable("Temporal cannot be reached; try again soon.") from exc
