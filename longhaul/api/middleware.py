"""Middleware of every request: a limit on bodies, and timing."""

import re
import time
from http import HTTPStatus

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from longhaul.adapters.telemetry.metrics import ApiMetrics
from longhaul.api.errors import problem, status_of
from longhaul.core.errors import BodyTooLarge

MAX_BODY_BYTES = 1024 * 1024

# Documents have their own limit, checked where they are read. No other route may match: keys of
# items are any text, also with slashes.
_DOCUMENTS = re.compile(r"/api/v1/cases/[0-9]+/documents")


class BodyLimit:
    """Refuses bodies over 1 MiB, announced or not, except documents."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with its body counted."""
        if scope["type"] != "http" or _is_document(scope):
            await self._app(scope, receive, send)
            return
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                # The only kind of exception that FastAPI passes on while it reads a body.
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return message

        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > MAX_BODY_BYTES:
            exc = BodyTooLarge()
            response = problem(Request(scope), status_of(exc), code=exc.code, detail=exc.sentence)
            await response(scope, receive, send)
            return
        await self._app(scope, limited, send)


class Timing:
    """Measures how long requests take, by route."""

    def __init__(self, app: ASGIApp, metrics: ApiMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and measure its time."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.monotonic()
        status = 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            labels = (scope["method"], _template(scope), str(status))
            self._metrics.requests.labels(*labels).observe(time.monotonic() - started)


def _is_document(scope: Scope) -> bool:
    return scope["method"] == "POST" and _DOCUMENTS.fullmatch(scope["path"]) is not None


def _template(scope: Scope) -> str:
    """The path with names instead of ids, which must not become labels."""
    route = scope.get("route")
    if not isinstance(route, Route | APIRoute):
        return "unknown"
    # A route's own path is without the prefix, which has no names in it.
    own = route.path_format.format(**scope["path_params"])
    return str(scope["path"]).removesuffix(own) + route.path
