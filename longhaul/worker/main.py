"""The worker process: opens everything, polls, and drains before it exits."""

import asyncio
import gc
import os
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from temporalio.client import Client

from longhaul.activities.plan import LISTING
from longhaul.adapters.postgres.calls import PostgresCallJournal
from longhaul.adapters.postgres.jobs import PostgresJobs
from longhaul.adapters.postgres.ledger import PostgresLedger
from longhaul.adapters.redis.board import RedisJobBoard
from longhaul.adapters.redis.flags import RedisFlags
from longhaul.adapters.redis.logs import RedisLogTail
from longhaul.adapters.settings import Settings, WorkerSettings
from longhaul.adapters.telemetry.logs import LoggedErrors, configure_logging
from longhaul.adapters.telemetry.tracing import tracing
from longhaul.adapters.temporal.connection import connect_patiently
from longhaul.core.exit_codes import START_AGAIN
from longhaul.core.ports import Stores
from longhaul.core.tasks import cancel_and_wait
from longhaul.job_types.loading import load_catalog
from longhaul.job_types.processes import open_servers
from longhaul.job_types.resources import build_resources
from longhaul.worker.build import Parts, build_workers
from longhaul.worker.memory import outgrown
from longhaul.worker.providers import open_providers
from longhaul.worker.timed import timed_work
from longhaul.worker.watchdog import watchdog

# Objects made between two collections, and collections of one generation between two of the next.
GC_THRESHOLDS = (20_000, 20, 20)

# Twice as many as jobs may list their items at once.
CONNECTIONS = 2 * LISTING


async def run(settings: Settings, types: Sequence[str] = ()) -> int:
    """Poll until SIGTERM or SIGINT, then drain; returns the exit code.

    Raises:
        ValueError: The settings cannot be used as they are.
    """
    configure_logging()
    # An item leaves thousands of objects behind and hardly a cycle among them.
    gc.set_threshold(*GC_THRESHOLDS)
    async with watchdog(), open_parts(settings, types) as (client, parts):
        return await poll(client, parts, settings.worker)


async def poll(client: Client, parts: Parts, settings: WorkerSettings) -> int:
    """Work on the task queues until told to stop, or too big; returns the exit code.

    Running work is drained first: finished, or handed back to the ledger.

    Raises:
        ValueError: The worker exceeds its limit before it has done anything.
    """
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    workers, watch = build_workers(
        client, parts, queues=settings.queues, max_in_flight=settings.max_in_flight
    )
    async with AsyncExitStack() as stack:
        leaving = asyncio.create_task(stopped.wait())
        growing = asyncio.create_task(outgrown(settings.max_memory_mb))
        watching = asyncio.create_task(watch.run())
        stack.push_async_callback(cancel_and_wait, [watching, leaving, growing])
        for worker in workers:
            await stack.enter_async_context(worker)
        await asyncio.wait({leaving, growing}, return_when=asyncio.FIRST_COMPLETED)
        # All at once: otherwise some would take new items while others drain.
        await asyncio.gather(*(worker.shutdown() for worker in workers))
        if not growing.done():
            return 0
        growing.result()
    return START_AGAIN


@asynccontextmanager
async def open_parts(
    settings: Settings, types: Sequence[str]
) -> AsyncIterator[tuple[Client, Parts]]:
    """Open the adapters of a worker, and the connection to Temporal.

    Raises:
        ValueError: The settings cannot be used as they are.
    """
    async with AsyncExitStack() as stack:
        database, redis = await stack.enter_async_context(
            open_servers(settings, connections=CONNECTIONS)
        )
        traced = stack.enter_context(tracing(settings.otlp_endpoint, "longhaul-worker"))
        client = await connect_patiently(settings.encryption.read(), traced)
        providers = await stack.enter_async_context(open_providers(settings.llm, redis, client))
        jobs = PostgresJobs()
        stores = Stores(
            database=database,
            jobs=jobs,
            ledger=PostgresLedger(database),
            board=RedisJobBoard(redis, worker=f"{socket.gethostname()}:{os.getpid()}"),
        )
        catalog = load_catalog(build_resources(settings, database), types)
        yield (
            client,
            Parts(
                catalog=catalog,
                stores=stores,
                journal=PostgresCallJournal(database, jobs),
                flags=RedisFlags(redis),
                logs=RedisLogTail(redis),
                errors=LoggedErrors(),
                providers=providers,
                timed=timed_work(
                    database, redis, stores, catalog, keep=settings.retention.kept_for
                ),
            ),
        )
