"""The one translator from our errors to HTTP: problem+json, and no stack trace ever."""

import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from longhaul.adapters.postgres.database import Refused
from longhaul.core import errors
from longhaul.core.ports import ErrorReporter

STATUS: Mapping[type[errors.JobError], HTTPStatus] = {
    errors.InvalidInput: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.MalformedRequest: HTTPStatus.BAD_REQUEST,
    errors.UnknownJobType: HTTPStatus.BAD_REQUEST,
    errors.WrongState: HTTPStatus.BAD_REQUEST,
    errors.NothingApproved: HTTPStatus.BAD_REQUEST,
    errors.NotAuthenticated: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.SingletonBusy: HTTPStatus.CONFLICT,
    errors.AlreadyThere: HTTPStatus.CONFLICT,
    errors.BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.IdempotencyConflict: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.ItemNotRetryable: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}

RETRY_AFTER_SECONDS = 2

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

_NOT_LET_IN = "The database refuses our login; the operator must fix that."

_NO_TYPE = "Send the body with the header `Content-Type: application/json`."

_NO_BODY = "The body cannot be read: send JSON in UTF-8, not nested too deeply."


def install_errors(app: FastAPI, reporter: ErrorReporter) -> None:
    """Answer every error as problem+json."""

    async def on_job_error(request: Request, exc: Exception) -> JSONResponse:
        assert isinstance(exc, errors.JobError)
        return _of_job_error(request, exc)

    async def on_validation_error(request: Request, exc: Exception) -> JSONResponse:
        assert isinstance(exc, RequestValidationError)
        return _of_validation_error(request, exc)

    async def on_http_exception(request: Request, exc: Exception) -> JSONResponse:
        assert isinstance(exc, HTTPException)
        status = HTTPStatus(exc.status_code)
        if status is HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return _of_job_error(request, errors.BodyTooLarge())
        if status is HTTPStatus.BAD_REQUEST:
            # FastAPI uses this for one case only.
            return _of_job_error(request, errors.MalformedRequest(_NO_BODY))
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            return _of_wrong_method(request)
        response = problem(request, status, code=_snake(status), detail=status.description)
        response.headers.update(exc.headers or {})
        return response

    async def on_refused(request: Request, exc: Exception) -> JSONResponse:
        reporter.file(exc, path=request.url.path)
        return _of_job_error(request, errors.Unavailable(_NOT_LET_IN))

    async def on_anything(request: Request, exc: Exception) -> JSONResponse:
        error_id = reporter.file(exc, path=request.url.path)
        return problem(
            request,
            HTTPStatus.INTERNAL_SERVER_ERROR,
            code="internal_error",
            detail=f"Something broke on our side; the log has error {error_id}.",
        )

    app.add_exception_handler(errors.JobError, on_job_error)
    app.add_exception_handler(RequestValidationError, on_validation_error)
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_exception_handler(Refused, on_refused)
    app.add_exception_handler(Exception, on_anything)


def status_of(exc: errors.JobError) -> HTTPStatus:
    """The HTTP status of an error: its class's, or its nearest parent's."""
    for kind in type(exc).__mro__:
        if kind in STATUS:
            return STATUS[kind]
    return HTTPStatus.INTERNAL_SERVER_ERROR


def problem(
    request: Request, status: HTTPStatus, *, code: str, detail: str, **more: Any
) -> JSONResponse:
    """A problem document (RFC 9457)."""
    return JSONResponse(
        {
            "type": f"urn:longhaul:problem:{code}",
            "title": status.phrase,
            "status": int(status),
            "detail": detail,
            "code": code,
            "instance": request.url.path,
            "trace_id": trace_id(request),
            **more,
        },
        status_code=status,
        media_type="application/problem+json",
    )


def trace_id(request: Request) -> str:
    """The trace id of the caller's `traceparent` (W3C Trace Context), or a new one."""
    parts = request.headers.get("traceparent", "").split("-")
    if len(parts) == 4 and len(parts[1]) == 32:  # noqa: PLR2004 - the format's own numbers
        return parts[1]
    return secrets.token_hex(16)


def _of_job_error(request: Request, exc: errors.JobError) -> JSONResponse:
    status = status_of(exc)
    more: dict[str, Any] = {}
    if isinstance(exc, errors.InvalidInput) and exc.fields:
        more["errors"] = [{"pointer": pointer, "detail": why} for pointer, why in exc.fields]
    if isinstance(exc, errors.SingletonBusy) and exc.job_id:
        more["job_id"] = exc.job_id
    response = problem(request, status, code=exc.code, detail=exc.sentence, **more)
    if status is HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def _of_wrong_method(request: Request) -> JSONResponse:
    # The framework names only the methods of the first route at this path.
    allowed = ", ".join(method for method in METHODS if _takes(request, method))
    status = HTTPStatus.METHOD_NOT_ALLOWED
    detail = f"{request.method} is not possible here; possible: {allowed}."
    response = problem(request, status, code=_snake(status), detail=detail)
    response.headers["Allow"] = allowed
    return response


def _takes(request: Request, method: str) -> bool:
    scope = {**request.scope, "method": method}
    return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)


def _of_validation_error(request: Request, exc: RequestValidationError) -> JSONResponse:
    found = exc.errors()
    if any(error["loc"][0] == "path" for error in found):
        return _of_job_error(request, errors.NotFound("There is nothing at this path."))
    if "Content-Type" not in request.headers and _is_not_read(found[0]):
        # Read all the same, a foreign page could send it to an API that asks for no token.
        return _of_job_error(request, errors.InvalidInput(_NO_TYPE))
    fields = [_field(error) for error in found]
    in_body = all(error["loc"][0] == "body" for error in found)
    first = ": ".join(part for part in fields[0].values() if part)
    return problem(
        request,
        HTTPStatus.UNPROCESSABLE_ENTITY if in_body else HTTPStatus.BAD_REQUEST,
        code="invalid_input" if in_body else "malformed_request",
        detail=f"The request cannot be read. {first}",
        errors=fields,
    )


def _is_not_read(error: Mapping[str, Any]) -> bool:
    return tuple(error["loc"]) == ("body",) and error["type"] != "missing"


def _field(error: Mapping[str, Any]) -> dict[str, str]:
    """The place of a fault as a JSON pointer, and its reason."""
    where = error["loc"][1:]
    if error["type"] == "json_invalid":
        what = f"The body is not valid JSON at character {where[0]}: {error['ctx']['error']}."
        return {"pointer": "", "detail": what}
    return {"pointer": "".join(f"/{part}" for part in where), "detail": error["msg"]}


def _snake(status: HTTPStatus) -> str:
    return status.phrase.lower().replace(" ", "_").replace("-", "_")
