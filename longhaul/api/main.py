"""The API process: opens everything, serves, and closes it in the reverse order."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import uvicorn
from redis.asyncio import Redis
from temporalio.client import Client

from longhaul.adapters.blobs import open_blobs
from longhaul.adapters.http.webhook_sender import WebhookSender
from longhaul.adapters.postgres.cases import PostgresCases
from longhaul.adapters.postgres.casework import PostgresCasework
from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.decisions import PostgresDecisions
from longhaul.adapters.postgres.dispatch import PostgresDispatchQueue
from longhaul.adapters.postgres.flows import PostgresFlows
from longhaul.adapters.postgres.idempotency import PostgresIdempotency
from longhaul.adapters.postgres.jobs import PostgresJobs
from longhaul.adapters.postgres.ledger import PostgresLedger
from longhaul.adapters.postgres.object_audit import PostgresObjectAudit
from longhaul.adapters.postgres.quality_reports import PostgresQualityReports
from longhaul.adapters.postgres.queries import PostgresQueries
from longhaul.adapters.postgres.reconciliation import PostgresReconciliation
from longhaul.adapters.postgres.reports import PostgresReports
from longhaul.adapters.postgres.retention import PostgresRetention, PostgresUpkeepLog
from longhaul.adapters.postgres.schedules import PostgresSchedules
from longhaul.adapters.postgres.webhooks import PostgresWebhooks
from longhaul.adapters.redis.board import RedisJobBoard
from longhaul.adapters.redis.logs import RedisLogTail
from longhaul.adapters.redis.traces import RedisTraces
from longhaul.adapters.sealing import Sealer
from longhaul.adapters.settings import Settings
from longhaul.adapters.sources.evidence import for_queries
from longhaul.adapters.sources.sessions import SourceSessions
from longhaul.adapters.telemetry.logs import LoggedErrors, configure_logging
from longhaul.adapters.telemetry.metrics import ApiMetrics
from longhaul.adapters.telemetry.tracing import tracing
from longhaul.adapters.temporal.connection import connect
from longhaul.adapters.temporal.schedules import TemporalSchedules
from longhaul.adapters.temporal.workflows import TemporalWorkflows
from longhaul.api.app import create_app
from longhaul.api.approving import Approving
from longhaul.api.auth import authenticator
from longhaul.api.cases import Cases
from longhaul.api.controls import Controls
from longhaul.api.deciding import Deciding
from longhaul.api.deliverer import Deliverer
from longhaul.api.dispatcher import Dispatcher
from longhaul.api.health import Health
from longhaul.api.job_object import JobObjects
from longhaul.api.object_audit import ObjectAudit
from longhaul.api.quality import QualityReading
from longhaul.api.reading import Reading
from longhaul.api.reconciler import Reconciler
from longhaul.api.reports import Reports
from longhaul.api.schedule_keeper import ScheduleKeeper
from longhaul.api.schedules import Schedules
from longhaul.api.services import Services
from longhaul.api.submission import Submission
from longhaul.api.suites import Suites
from longhaul.api.webhooks import Webhooks
from longhaul.core.catalog import Catalog
from longhaul.core.job_types import Resources
from longhaul.core.limits import TypeLimit, type_limits
from longhaul.core.ports import ErrorReporter, Stores
from longhaul.core.tasks import cancel_and_wait
from longhaul.job_types.decisions import (
    build_decisions,
    build_manual_mappings,
    build_rule_editing,
    build_rule_suites,
)
from longhaul.job_types.loading import load_catalog
from longhaul.job_types.processes import open_servers
from longhaul.job_types.resources import build_resources
from longhaul.services.approvals import Approvals
from longhaul.services.casework import Casework
from longhaul.services.job_finisher import JobFinisher
from longhaul.services.quality_reports import QualityReports

CONNECTIONS = 20

# Clients are told that Temporal is down before they give up waiting.
TEMPORAL_PATIENCE = timedelta(seconds=1)

# Open streams would keep a stopping process alive.
SHUTDOWN_SECONDS = 2


async def run(settings: Settings, types: Sequence[str] = ()) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        ValueError: The settings cannot be used as they are.
    """
    configure_logging()
    metrics, errors = ApiMetrics(), LoggedErrors()
    async with open_services(settings, types, metrics, errors) as services:
        config = uvicorn.Config(
            create_app(services, metrics, errors),
            host=settings.api.host,
            port=settings.api.port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )
        await uvicorn.Server(config).serve()


@asynccontextmanager
async def open_services(
    settings: Settings, types: Sequence[str], metrics: ApiMetrics, errors: LoggedErrors
) -> AsyncIterator[Services]:
    """Open what the API needs, with what runs beside the requests.

    Raises:
        ValueError: The settings cannot be used as they are.
    """
    with tracing(settings.otlp_endpoint, "longhaul-api") as traced:
        async with (
            open_servers(settings, connections=CONNECTIONS) as (database, redis),
            WebhookSender.open(allow_private=settings.webhooks.allow_private) as sender,
        ):
            client = await connect(
                settings.encryption.read(), traced, lazy=True, retry_for=TEMPORAL_PATIENCE
            )
            parts = _build_parts(settings, types, database, redis, client, errors)
            background = _build_background(parts, sender, metrics)
            async with background.running():
                yield _build_services(parts, background)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What several services have in common."""

    settings: Settings
    database: PostgresDatabase
    redis: Redis
    resources: Resources
    catalog: Catalog
    limits: Sequence[TypeLimit]
    stores: Stores
    workflows: TemporalWorkflows
    timers: TemporalSchedules
    finisher: JobFinisher
    sealer: Sealer
    errors: ErrorReporter


def _build_parts(
    settings: Settings,
    types: Sequence[str],
    database: PostgresDatabase,
    redis: Redis,
    client: Client,
    errors: ErrorReporter,
) -> _Parts:
    resources = build_resources(settings, database)
    catalog = load_catalog(resources, types)
    stores = Stores(
        database=database,
        jobs=PostgresJobs(),
        ledger=PostgresLedger(database),
        board=RedisJobBoard(redis, worker="api"),
    )
    return _Parts(
        settings=settings,
        database=database,
        redis=redis,
        resources=resources,
        catalog=catalog,
        limits=type_limits(catalog, settings.limits.max_running, settings.limits.starts_per_minute),
        stores=stores,
        workflows=TemporalWorkflows(client),
        timers=TemporalSchedules(client),
        finisher=JobFinisher(stores=stores, catalog=catalog, errors=errors),
        sealer=Sealer(settings.webhooks.read() or settings.encryption.read()),
        errors=errors,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Background:
    """What runs beside the requests, and may be told that they left something to do."""

    dispatcher: Dispatcher
    reconciler: Reconciler
    deliverer: Deliverer
    keeper: ScheduleKeeper

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        all_of_it = (self.dispatcher, self.reconciler, self.deliverer, self.keeper)
        tasks = [asyncio.create_task(one.run()) for one in all_of_it]
        try:
            yield
        finally:
            await cancel_and_wait(tasks)


def _build_background(parts: _Parts, sender: WebhookSender, metrics: ApiMetrics) -> _Background:
    return _Background(
        dispatcher=Dispatcher(
            queue=PostgresDispatchQueue(parts.database, parts.limits),
            workflows=parts.workflows,
            catalog=parts.catalog,
            metrics=metrics,
            errors=parts.errors,
        ),
        reconciler=Reconciler(
            database=parts.database,
            jobs=PostgresJobs(),
            candidates=PostgresReconciliation(parts.database),
            workflows=parts.workflows,
            finisher=parts.finisher,
            board=parts.stores.board,
            metrics=metrics,
            errors=parts.errors,
        ),
        deliverer=Deliverer(
            webhooks=PostgresWebhooks(parts.database),
            sender=sender,
            sealer=parts.sealer,
            errors=parts.errors,
        ),
        keeper=ScheduleKeeper(
            store=PostgresSchedules(parts.database), temporal=parts.timers, errors=parts.errors
        ),
    )


def _build_services(parts: _Parts, background: _Background) -> Services:
    settings, database = parts.settings, parts.database
    submission = Submission(
        database=database,
        jobs=PostgresJobs(),
        idempotency=PostgresIdempotency(),
        catalog=parts.catalog,
        wake=background.dispatcher.wake,
    )
    reading, approving = _build_reading(parts), _build_approving(parts)
    return Services(
        authenticator=authenticator(settings.auth),
        catalog=parts.catalog,
        submission=submission,
        controls=_build_controls(parts, background),
        approving=approving,
        reading=reading,
        quality=QualityReading(
            database=database,
            jobs=PostgresJobs(),
            reading=reading,
            reports=QualityReports(store=PostgresQualityReports()),
        ),
        deciding=Deciding(
            database=database,
            store=PostgresDecisions(),
            decisions=build_decisions(),
            editing=build_rule_editing(parts.resources.regexes),
            manual_mappings=build_manual_mappings(parts.resources.sources),
            approving=approving,
        ),
        cases=Cases(
            database=database,
            store=PostgresCasework(),
            casework=Casework(store=PostgresCasework(), cases=PostgresCases()),
            blobs=open_blobs(settings.blobs, settings.data_dir),
            max_document=settings.blobs.max_bytes,
        ),
        suites=Suites(database=database, suites=build_rule_suites(parts.resources.regexes)),
        webhooks=Webhooks(
            store=PostgresWebhooks(database),
            sealer=parts.sealer,
            allow_private=settings.webhooks.allow_private,
            wake=background.deliverer.wake,
        ),
        reports=Reports(
            database=database,
            store=PostgresReports(),
            sources=SourceSessions(for_queries(parts.resources.sources)),
        ),
        object_audit=ObjectAudit(PostgresObjectAudit(database)),
        schedules=Schedules(
            store=PostgresSchedules(database),
            temporal=parts.timers,
            keeper=background.keeper,
            submission=submission,
            upkeep_log=PostgresUpkeepLog(database),
        ),
        health=Health(
            needed={"postgres": database.ping},
            wanted={"temporal": parts.workflows.ping, "redis": parts.redis.ping},
        ),
    )


def _build_controls(parts: _Parts, background: _Background) -> Controls:
    return Controls(
        database=parts.database,
        jobs=PostgresJobs(),
        ledger=parts.stores.ledger,
        retention=PostgresRetention(parts.database),
        board=parts.stores.board,
        traces=RedisTraces(parts.redis),
        workflows=parts.workflows,
        finisher=parts.finisher,
        wake=background.dispatcher.wake,
        check=background.reconciler.check,
    )


def _build_reading(parts: _Parts) -> Reading:
    return Reading(
        database=parts.database,
        jobs=PostgresJobs(),
        queries=PostgresQueries(parts.database),
        board=parts.stores.board,
        logs=RedisLogTail(parts.redis),
        objects=JobObjects(parts.catalog, limited=[one.job_type for one in parts.limits]),
    )


def _build_approving(parts: _Parts) -> Approving:
    flows = PostgresFlows()
    return Approving(
        database=parts.database,
        jobs=parts.stores.jobs,
        flows=flows,
        catalog=parts.catalog,
        board=parts.stores.board,
        workflows=parts.workflows,
        approvals=Approvals(stores=parts.stores, flows=flows, logs=RedisLogTail(parts.redis)),
    )
