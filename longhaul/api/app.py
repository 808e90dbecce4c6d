"""Puts the routes together into one application."""

from fastapi import FastAPI
from starlette.middleware import Middleware

from longhaul.adapters.telemetry.metrics import ApiMetrics
from longhaul.api.errors import install_errors
from longhaul.api.middleware import BodyLimit, Timing
from longhaul.api.routes import health, jobs, schedules, webhooks
from longhaul.api.schemas import Problem
from longhaul.api.services import Services
from longhaul.core.ports import Reports

PREFIX = "/api/v1/jobs"
OLD_PREFIX = "/jobs"
SCHEDULES_PREFIX = "/api/v1/schedules"
WEBHOOKS_PREFIX = "/api/v1/webhooks"


def create_app(services: Services, metrics: ApiMetrics, reports: Reports) -> FastAPI:
    """Build the application around services that are open already."""
    app = FastAPI(
        title="Longhaul",
        description="Durable jobs made of many expensive items.",
        version="1",
        middleware=[Middleware(Timing, metrics=metrics), Middleware(BodyLimit)],
        responses={"4XX": {"model": Problem}, "5XX": {"model": Problem}},
    )
    app.state.services = services
    app.state.metrics = metrics
    install_errors(app, reports)
    app.include_router(jobs.router, prefix=PREFIX, tags=["jobs"])
    app.include_router(jobs.router, prefix=OLD_PREFIX, include_in_schema=False)
    app.include_router(schedules.router, prefix=SCHEDULES_PREFIX, tags=["schedules"])
    app.include_router(webhooks.router, prefix=WEBHOOKS_PREFIX, tags=["webhooks"])
    app.include_router(health.router, tags=["health"])
    return app
