"""Joins ports and adapters into Temporal workers, one per task queue."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.worker import PollerBehaviorAutoscaling, Worker

from longhaul.activities.calls import Provider
from longhaul.activities.chunk import ChunkActivities
from longhaul.activities.control import ControlActivities
from longhaul.activities.finish import FinishActivities
from longhaul.activities.flag_watch import FlagWatch
from longhaul.activities.flow import FlowActivities
from longhaul.activities.flow_action import ActionActivities
from longhaul.activities.flow_look import FlowParts
from longhaul.activities.item_run import ItemRunner
from longhaul.activities.job_runs import JobRuns
from longhaul.activities.patience import PATIENCE
from longhaul.activities.plan import PlanActivities
from longhaul.adapters.postgres.flows import PostgresFlows
from longhaul.adapters.temporal.workflows import TemporalWorkflows
from longhaul.core.catalog import Catalog
from longhaul.core.errors import JobError
from longhaul.core.job_types import Queue
from longhaul.core.ports import CallJournal, ErrorReporter, Flags, LogTail, Stores, Workflows
from longhaul.services.approvals import Approvals
from longhaul.services.attempts import Attempts
from longhaul.services.job_finisher import JobFinisher
from longhaul.services.parents import Parents
from longhaul.services.steering import Steering
from longhaul.worker.errors import ErrorInterceptor
from longhaul.worker.timed import TimedWork
from longhaul.workflows.health_probe import HealthProbe
from longhaul.workflows.retention import Retention
from longhaul.workflows.schedules import StartScheduledJob

# Longer than most items, shorter than any container's grace.
SHUTDOWN_GRACE = timedelta(seconds=30)

# How long a workflow waits for the worker that has it cached before others can take it.
STICKY_PATIENCE = timedelta(seconds=4)

# Cancellation reaches an activity with the answer to a heartbeat.
HEARTBEAT_THROTTLE = timedelta(seconds=1)

MAX_CHUNKS = 200

# Workflows that schedules start, besides jobs.
TIMED_WORKFLOWS: Sequence[type] = (StartScheduledJob, Retention, HealthProbe)

# Few while idle: a task that a frozen worker polled is lost for a while.
POLLERS = PollerBehaviorAutoscaling(minimum=1, initial=2, maximum=20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The adapters of a worker, behind their ports."""

    catalog: Catalog
    stores: Stores
    journal: CallJournal
    flags: Flags
    logs: LogTail
    errors: ErrorReporter
    providers: Mapping[str, Provider]
    timed: TimedWork


def build_workers(
    client: Client,
    parts: Parts,
    *,
    queues: Sequence[Queue] = tuple(Queue),
    max_in_flight: int = 400,
    cached_workflows: int = 1_000,
    outage_patience: timedelta = PATIENCE,
) -> tuple[list[Worker], FlagWatch]:
    """Build a worker for each queue, and the flag watch that must run beside them."""
    watch = FlagWatch(parts.flags)
    workflow_side = [*_workflow_side(parts), *_flow_side(parts, TemporalWorkflows(client))]
    item_side = [*_item_side(parts, watch, max_in_flight, outage_patience), _actions(parts).run]
    workers = []
    for queue in queues:
        is_first = queue is Queue.WORKFLOWS
        workers.append(
            Worker(
                client,
                task_queue=queue,
                workflows=_workflows(parts) if is_first else [],
                activities=workflow_side if is_first else item_side,
                interceptors=[ErrorInterceptor(parts.errors)],
                workflow_failure_exception_types=[JobError],
                max_cached_workflows=cached_workflows,
                max_concurrent_activities=MAX_CHUNKS,
                workflow_task_poller_behavior=POLLERS,
                activity_task_poller_behavior=POLLERS,
                graceful_shutdown_timeout=SHUTDOWN_GRACE,
                sticky_queue_schedule_to_start_timeout=STICKY_PATIENCE,
                max_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
                default_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
                disable_eager_activity_execution=True,
            )
        )
    return workers, watch


def _workflows(parts: Parts) -> list[type]:
    return [*TIMED_WORKFLOWS, *(job_type.workflow for job_type in parts.catalog)]


def _workflow_side(parts: Parts) -> list[Callable[..., Any]]:
    plan = PlanActivities(stores=parts.stores, catalog=parts.catalog, errors=parts.errors)
    finisher = JobFinisher(stores=parts.stores, catalog=parts.catalog, errors=parts.errors)
    finish = FinishActivities(stores=parts.stores, finisher=finisher)
    control = ControlActivities(stores=parts.stores, flags=parts.flags)
    return [
        plan.plan,
        plan.open_spans,
        control.write_control,
        finish.finish,
        *parts.timed.beside_workflows,
        parts.timed.probes.probe,
    ]


def _flow_side(parts: Parts, workflows: Workflows) -> list[Callable[..., Any]]:
    stores, flows = parts.stores, PostgresFlows()
    finisher = JobFinisher(stores=stores, catalog=parts.catalog, errors=parts.errors)
    look_parts = FlowParts(
        jobs=stores.jobs,
        ledger=stores.ledger,
        flows=flows,
        catalog=parts.catalog,
        approvals=Approvals(stores=stores, flows=flows, logs=parts.logs),
        attempts=Attempts(jobs=stores.jobs, ledger=stores.ledger),
        parents=Parents(jobs=stores.jobs, ledger=stores.ledger),
        errors=parts.errors,
    )
    steering = Steering(stores=stores, workflows=workflows, finisher=finisher)
    flow = FlowActivities(stores=stores, parts=look_parts, steering=steering)
    return [flow.look, flow.steer]


def _actions(parts: Parts) -> ActionActivities:
    return ActionActivities(
        stores=parts.stores,
        flows=PostgresFlows(),
        catalog=parts.catalog,
        logs=parts.logs,
        errors=parts.errors,
    )


def _item_side(
    parts: Parts, watch: FlagWatch, max_in_flight: int, patience: timedelta
) -> list[Callable[..., Any]]:
    runner = ItemRunner(
        database=parts.stores.database,
        journal=parts.journal,
        providers=parts.providers,
        logs=parts.logs,
        errors=parts.errors,
    )
    runs = JobRuns(
        stores=parts.stores,
        watch=watch,
        catalog=parts.catalog,
        errors=parts.errors,
        patience=patience,
    )
    chunks = ChunkActivities(
        runs=runs, ledger=parts.stores.ledger, runner=runner, max_in_flight=max_in_flight
    )
    return [chunks.run_chunk, parts.timed.probes.probe]
