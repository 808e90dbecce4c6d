"""The API process: opens everything, serves, and closes it in the reverse order."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import uvicorn

from longhaul.adapters.blobs import open_blobs
from longhaul.adapters.http.webhook_sender import WebhookSender
from longhaul.adapters.postgres.cases import PostgresCases
from longhaul.adapters.postgres.casework import PostgresCasework
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
from longhaul.core.limits import type_limits
from longhaul.core.ports import Stores
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
    """Open what the API needs, with the dispatcher and the reconciler running.

    Raises:
        ValueError: The settings cannot be used as they are.
    """
    async with AsyncExitStack() as stack:
        database, redis = await stack.enter_async_context(
            open_servers(settings, connections=CONNECTIONS)
        )
        traced = stack.enter_context(tracing(settings.otlp_endpoint, "longhaul-api"))
        client = await connect(
            settings.encryption.read(), traced, lazy=True, retry_for=TEMPORAL_PATIENCE
        )
        resources = build_resources(settings, database)
        catalog = load_catalog(resources, types)
        jobs, ledger = PostgresJobs(), PostgresLedger(database)
        board = RedisJobBoard(redis, worker="api")
        workflows = TemporalWorkflows(client)
        stores = Stores(database=database, jobs=jobs, ledger=ledger, board=board)
        flows, logs = PostgresFlows(), RedisLogTail(redis)
        finisher = JobFinisher(stores=stores, catalog=catalog, errors=errors)
        limits = type_limits(
            catalog, settings.limits.max_running, settings.limits.starts_per_minute
        )
        dispatcher = Dispatcher(
            queue=PostgresDispatchQueue(database, limits),
            workflows=workflows,
            catalog=catalog,
            metrics=metrics,
            errors=errors,
        )
        reconciler = Reconciler(
            database=database,
            jobs=jobs,
            candidates=PostgresReconciliation(database),
            workflows=workflows,
            finisher=finisher,
            board=board,
            metrics=metrics,
            errors=errors,
        )
        reading = Reading(
            database=database,
            jobs=jobs,
            queries=PostgresQueries(database),
            board=board,
            logs=logs,
            objects=JobObjects(catalog, limited=[one.job_type for one in limits]),
        )
        sealer = Sealer(settings.webhooks.read() or settings.encryption.read())
        sender = await stack.enter_async_context(
            WebhookSender.open(allow_private=settings.webhooks.allow_private)
        )
        webhooks = PostgresWebhooks(database)
        deliverer = Deliverer(webhooks=webhooks, sender=sender, sealer=sealer, errors=errors)
        schedules, timers = PostgresSchedules(database), TemporalSchedules(client)
        keeper = ScheduleKeeper(store=schedules, temporal=timers, errors=errors)
        tasks = [
            asyncio.create_task(one.run()) for one in (dispatcher, reconciler, deliverer, keeper)
        ]
        stack.push_async_callback(cancel_and_wait, tasks)
        submission = Submission(
            database=database,
            jobs=jobs,
            idempotency=PostgresIdempotency(),
            catalog=catalog,
            wake=dispatcher.wake,
        )
        approving = Approving(
            database=database,
            jobs=jobs,
            flows=flows,
            catalog=catalog,
            board=board,
            workflows=workflows,
            approvals=Approvals(stores=stores, flows=flows, logs=logs),
        )
        yield Services(
            authenticator=authenticator(settings.auth),
            catalog=catalog,
            submission=submission,
            controls=Controls(
                database=database,
                jobs=jobs,
                ledger=ledger,
                retention=PostgresRetention(database),
                board=board,
                traces=RedisTraces(redis),
                workflows=workflows,
                finisher=finisher,
                wake=dispatcher.wake,
                check=reconciler.check,
            ),
            approving=approving,
            reading=reading,
            quality=QualityReading(
                database=database,
                jobs=jobs,
                reading=reading,
                reports=QualityReports(store=PostgresQualityReports()),
            ),
            deciding=Deciding(
                database=database,
                store=PostgresDecisions(),
                decisions=build_decisions(),
                editing=build_rule_editing(resources.regexes),
                manual_mappings=build_manual_mappings(resources.sources),
                approving=approving,
            ),
            cases=Cases(
                database=database,
                store=PostgresCasework(),
                casework=Casework(store=PostgresCasework(), cases=PostgresCases()),
                blobs=open_blobs(settings.blobs, settings.data_dir),
                max_document=settings.blobs.max_bytes,
            ),
            suites=Suites(database=database, suites=build_rule_suites(resources.regexes)),
            webhooks=Webhooks(
                store=webhooks,
                sealer=sealer,
                allow_private=settings.webhooks.allow_private,
                wake=deliverer.wake,
            ),
            reports=Reports(
                database=database,
                store=PostgresReports(),
                sources=SourceSessions(for_queries(resources.sources)),
            ),
            object_audit=ObjectAudit(PostgresObjectAudit(database)),
            schedules=Schedules(
                store=schedules,
                temporal=timers,
                keeper=keeper,
                submission=submission,
                upkeep_log=PostgresUpkeepLog(database),
            ),
            health=Health(
                needed={"postgres": database.ping},
                wanted={"temporal": workflows.ping, "redis": redis.ping},
            ),
        )
