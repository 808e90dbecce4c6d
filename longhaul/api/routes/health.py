"""Health and version, without authentication."""

from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from longhaul.api.routes.dependencies import services_of

router = APIRouter()


@router.get("/livez")
async def live() -> dict[str, str]:
    """Whether this process runs; checks nothing else."""
    return {"status": "alive"}


@router.get("/readyz")
async def ready(request: Request, response: Response) -> dict[str, Any]:
    """Whether this process can serve, and how each dependency does."""
    is_ready, report = await services_of(request).health.check()
    if not is_ready:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return report


@router.get("/version")
async def read_version() -> dict[str, str]:
    """The version that runs."""
    return {"name": "longhaul", "version": version("longhaul")}


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """The metrics for Prometheus."""
    registry = request.app.state.metrics.registry
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
