"""Puts the routes together into one application."""

from collections.abc import Callable
from functools import partial
from typing import Any

from fastapi import Depends, FastAPI
from starlette.middleware import Middleware

from longhaul.adapters.telemetry.metrics import ApiMetrics
from longhaul.api.errors import install_errors
from longhaul.api.middleware import BodyLimit, Timing
from longhaul.api.nesting import check_nesting
from longhaul.api.routes import (
    cases,
    documents,
    health,
    jobs,
    phases,
    schedules,
    suites,
    versions,
    webhooks,
)
from longhaul.api.routes import (
    reports as report_routes,
)
from longhaul.api.routes.dependencies import principal_of
from longhaul.api.schemas import Problem
from longhaul.api.services import Services
from longhaul.core.ports import ErrorReporter

PREFIX = "/api/v1"

# Clients of the Celery system that Longhaul replaces call these routers without the prefix, so
# they are mounted there too, outside the schema.
ROUTERS = {"jobs": jobs.router, "versions": versions.router, "phases": phases.router}

# Those clients do not know these.
NEW_ROUTERS = {
    "cases": cases.router,
    "reports": report_routes.router,
    "schedules": schedules.router,
    "webhooks": webhooks.router,
}


def create_app(services: Services, metrics: ApiMetrics, errors: ErrorReporter) -> FastAPI:
    """Build the application around open services."""
    app = FastAPI(
        title="Longhaul",
        description="Durable jobs made of many expensive items.",
        version="1",
        middleware=[Middleware(Timing, metrics=metrics), Middleware(BodyLimit)],
        responses={"4XX": {"model": Problem}, "5XX": {"model": Problem}},
    )
    app.openapi = partial(_schema, app.openapi)  # type: ignore[method-assign]
    app.state.services = services
    app.state.metrics = metrics
    install_errors(app, errors)
    # A request is not validated before the caller is known.
    known = [Depends(principal_of)]
    json = [*known, Depends(check_nesting)]
    # Before the versions' routes, one of which matches any word in this place.
    app.include_router(
        suites.router, prefix=f"{PREFIX}/versions", tags=["versions"], dependencies=json
    )
    for name, router in ROUTERS.items():
        app.include_router(router, prefix=f"{PREFIX}/{name}", tags=[name], dependencies=json)
        app.include_router(router, prefix=f"/{name}", include_in_schema=False, dependencies=json)
    for name, router in NEW_ROUTERS.items():
        app.include_router(router, prefix=f"{PREFIX}/{name}", tags=[name], dependencies=json)
    # Its bodies are not JSON, and large.
    app.include_router(
        documents.router, prefix=f"{PREFIX}/cases", tags=["cases"], dependencies=known
    )
    app.include_router(health.router, tags=["health"])
    return app


def _schema(make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The OpenAPI schema, with the media type of errors."""
    schema = make()
    for path in schema["paths"].values():
        for operation in path.values():
            for status in ("4XX", "5XX"):
                content = operation["responses"][status]["content"]
                # FastAPI keeps what it has made, so this may have been done before.
                if (problem := content.pop("application/json", None)) is not None:
                    content["application/problem+json"] = problem
    return schema
