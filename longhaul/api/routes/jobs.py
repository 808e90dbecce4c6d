"""The job routes, mounted under /api/v1/jobs and, for clients of the replaced system, /jobs."""

from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from longhaul.adapters.report.page import HEADERS, render
from longhaul.api.quality import prefers_html
from longhaul.api.reading import LEVELS
from longhaul.api.routes.dependencies import (
    Caller,
    Cursor,
    Limit,
    Serving,
    uuid_or_absent,
)
from longhaul.api.schemas import (
    ActiveJobs,
    Approvals,
    ApproveRequest,
    ControlRequest,
    History,
    ItemDetail,
    ItemList,
    JobList,
    JobRequest,
    JobTypes,
    JobView,
    LogPage,
    PatchRequest,
    PauseRequest,
    ResumedJobView,
    RetryRequest,
    StorableTime,
    Validated,
)
from longhaul.core.errors import Forbidden
from longhaul.core.items import ItemState
from longhaul.core.job_filters import ItemFilter, JobFilter
from longhaul.core.jobs import JobStatus
from longhaul.core.principals import Principal
from longhaul.core.quality_report import QualityReport

router = APIRouter()

ACCEPTED = HTTPStatus.ACCEPTED

# The answer of a control when the job is already in that state.
UNCHANGED: dict[int | str, dict[str, Any]] = {
    HTTPStatus.OK: {"model": JobView, "description": "Nothing to do"}
}


def job_id_of(job_id: str) -> str:
    """The id of a job."""
    return uuid_or_absent(job_id, "There is no such job.")


JobId = Annotated[str, Depends(job_id_of)]
StoredId = Annotated[int | None, Query(ge=0, lt=2**31)]
IdempotencyKey = Annotated[
    str | None, Header(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")
]


@router.post(
    "",
    status_code=ACCEPTED,
    responses={
        HTTPStatus.OK: {
            "model": JobView | Validated,
            "description": "There is such a job already, or the request asked only for a check",
        }
    },
)
async def submit_job(
    body: JobRequest,
    caller: Caller,
    serving: Serving,
    request: Request,
    response: Response,
    idempotency_key: IdempotencyKey = None,
    validate_only: bool = False,
) -> JobView | Validated:
    """Start a job, or return the one of this key or singleton."""
    if validate_only:
        found = await serving.submission.validate(caller, body)
        response.status_code = HTTPStatus.OK
        return {
            "valid": True,
            "job_type": found.job_type,
            "parameters": found.parameters,
            "items": found.items,
        }
    job, is_new = await serving.submission.submit(caller, body, idempotency_key)
    if not is_new:
        response.status_code = HTTPStatus.OK
    response.headers["Location"] = f"{request.url.path.rstrip('/')}/{job.id}"
    return await serving.reading.render(job)


@router.get("")
async def list_jobs(
    caller: Caller,
    serving: Serving,
    status: Annotated[list[JobStatus], Query()] = [],  # noqa: B006 - FastAPI copies it
    job_type: Annotated[list[str], Query()] = [],  # noqa: B006
    owner: str | None = None,
    cycle_id: StoredId = None,
    report_id: StoredId = None,
    created_after: StorableTime | None = None,
    created_before: StorableTime | None = None,
    waiting_for: Literal["approval"] | None = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> JobList:
    """The caller's jobs and those that ask them, newest first; an Admin's list has all."""
    if owner not in (None, caller.sub) and not caller.is_admin:
        raise Forbidden("Only an Admin may list the jobs of others.")
    wanted = JobFilter(
        visible_to=_bound_to(caller),
        owner=owner,
        statuses=status,
        job_types=serving.catalog.resolve(job_type),
        cycle_id=cycle_id,
        report_id=report_id,
        created_after=created_after,
        created_before=created_before,
        waiting_for=waiting_for,
    )
    return await serving.reading.jobs(wanted, limit=limit, cursor=cursor)


@router.get("/active")
async def list_active_jobs(
    caller: Caller, serving: Serving, limit: Limit = 100, cursor: Cursor = None
) -> ActiveJobs:
    """The jobs of `GET /jobs` that have not ended."""
    wanted = JobFilter(visible_to=_bound_to(caller), live_only=True)
    return await serving.reading.active_jobs(wanted, limit=limit, cursor=cursor)


@router.get("/types")
async def list_job_types(caller: Caller, serving: Serving) -> JobTypes:
    """The catalog."""
    return {
        "job_types": [
            {
                "job_type": job_type.name,
                "title": job_type.title,
                "task_name": job_type.task_name or job_type.name,
                "aliases": list(job_type.aliases),
                "parameters": job_type.parameters.model_json_schema(),
                "roles": sorted(job_type.roles),
            }
            for job_type in serving.catalog
        ]
    }


@router.get("/{job_id}")
@router.get("/{job_id}/status")
async def read_job(job_id: JobId, caller: Caller, serving: Serving) -> JobView:
    """One job."""
    return await serving.reading.job(caller, job_id)


@router.get("/{job_id}/children")
async def list_children(
    job_id: JobId, caller: Caller, serving: Serving, limit: Limit = 100, cursor: Cursor = None
) -> JobList:
    """The jobs of a flow's steps, newest first."""
    return await serving.reading.children(caller, job_id, limit=limit, cursor=cursor)


@router.get("/{job_id}/approvals")
async def list_approvals(job_id: JobId, caller: Caller, serving: Serving) -> Approvals:
    """The approvals of a flow and their answers."""
    return await serving.approving.list(caller, job_id)


@router.post("/{job_id}/approve")
async def approve_step(
    job_id: JobId, body: ApproveRequest, caller: Caller, serving: Serving
) -> JobView:
    """Approve or reject a step that waits for a person."""
    return await serving.reading.render(await serving.approving.decide(caller, job_id, body))


@router.patch("/{job_id}")
async def change_job(
    job_id: JobId, body: PatchRequest, caller: Caller, serving: Serving
) -> JobView:
    """Change concurrency, priority or description while the job runs.

    Priority decides when a job starts; for a running one it counts for its next attempt and for
    steps that have not begun.
    """
    return await serving.reading.render(await serving.controls.change(caller, job_id, body))


@router.post("/{job_id}/pause", status_code=ACCEPTED, responses=UNCHANGED)
async def pause_job(
    job_id: JobId,
    caller: Caller,
    serving: Serving,
    response: Response,
    body: PauseRequest | None = None,
) -> JobView:
    """Pause: start no more items, and finish those in flight or stop them now."""
    answer = await serving.controls.pause(caller, job_id, body or PauseRequest())
    if not answer.accepted:
        response.status_code = HTTPStatus.OK
    return await serving.reading.render(answer.job)


@router.post("/{job_id}/resume", status_code=ACCEPTED, responses=UNCHANGED)
async def resume_job(
    job_id: JobId, caller: Caller, serving: Serving, response: Response
) -> ResumedJobView:
    """Go on under the same id."""
    answer = await serving.controls.resume(caller, job_id)
    if not answer.accepted:
        response.status_code = HTTPStatus.OK
    return {**await serving.reading.render(answer.job), "original_job_id": job_id}


@router.post("/{job_id}/cancel", status_code=ACCEPTED, responses=UNCHANGED)
@router.delete("/{job_id}", status_code=ACCEPTED, responses=UNCHANGED)
async def cancel_job(
    job_id: JobId, caller: Caller, serving: Serving, response: Response
) -> JobView:
    """Stop for good; what is done stays done and readable."""
    answer = await serving.controls.cancel(caller, job_id)
    if not answer.accepted:
        response.status_code = HTTPStatus.OK
    return await serving.reading.render(answer.job)


@router.post("/{job_id}/retry", status_code=ACCEPTED)
async def retry_job(
    job_id: JobId, caller: Caller, serving: Serving, body: RetryRequest | None = None
) -> JobView:
    """Run failed and open items again, under the same id."""
    answer = await serving.controls.retry(caller, job_id, body or RetryRequest())
    return await serving.reading.render(answer.job)


@router.post(
    "/{job_id}/control",
    status_code=ACCEPTED,
    responses=UNCHANGED,
)
async def control_job(
    job_id: JobId, body: ControlRequest, caller: Caller, serving: Serving, response: Response
) -> ResumedJobView | JobView:
    """The control routes in one."""
    match body.action:
        case "pause":
            return await pause_job(job_id, caller, serving, response, body)
        case "resume":
            return await resume_job(job_id, caller, serving, response)
        case "cancel":
            return await cancel_job(job_id, caller, serving, response)
        case "retry":
            return await retry_job(job_id, caller, serving, body)


@router.post("/{job_id}/purge", status_code=HTTPStatus.NO_CONTENT)
async def purge_job(job_id: JobId, caller: Caller, serving: Serving) -> None:
    """Delete a job that has ended; only its audit stays."""
    await serving.controls.purge(caller, job_id)


@router.get("/{job_id}/history")
async def read_history(job_id: JobId, caller: Caller, serving: Serving) -> History:
    """The attempts of a job and the audit of who did what."""
    return await serving.reading.history(caller, job_id)


@router.get("/{job_id}/items")
async def list_items(
    job_id: JobId,
    caller: Caller,
    serving: Serving,
    state: Annotated[list[ItemState], Query()] = [],  # noqa: B006 - FastAPI copies it
    error_code: str | None = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> ItemList:
    """The ledger."""
    wanted = ItemFilter(states=state, error_code=error_code)
    return await serving.reading.items(caller, job_id, wanted, limit=limit, cursor=cursor)


@router.get("/{job_id}/items/{item_key:path}")
async def read_item(job_id: JobId, item_key: str, caller: Caller, serving: Serving) -> ItemDetail:
    """One item with its calls."""
    return await serving.reading.item(caller, job_id, item_key)


@router.get("/{job_id}/logs")
async def read_logs(
    job_id: JobId,
    caller: Caller,
    serving: Serving,
    tail: Limit = 100,
    level: Annotated[str, Query(pattern=f"^({'|'.join(LEVELS)})$")] = "debug",
    cursor: Cursor = None,
) -> LogPage:
    """The newest log lines, or the first after a cursor; oldest first."""
    return await serving.reading.logs(caller, job_id, tail=tail, level=level, cursor=cursor)


@router.get(
    "/{job_id}/report",
    response_model=QualityReport,
    responses={HTTPStatus.OK: {"content": {"text/html": {}}}},
)
async def read_report(
    job_id: JobId,
    caller: Caller,
    serving: Serving,
    format: Annotated[Literal["html", "json"] | None, Query()] = None,
    accept: Annotated[str, Header()] = "",
) -> Response:
    """The quality report of a job that has executed rules, as a page or as JSON."""
    report = await serving.quality.report(caller, job_id)
    if format == "html" or (format is None and prefers_html(accept)):
        headers = {**HEADERS, "Vary": "Accept"}
        return Response(render(report), media_type="text/html; charset=utf-8", headers=headers)
    return Response(
        report.model_dump_json(), media_type="application/json", headers={"Vary": "Accept"}
    )


def _bound_to(caller: Principal) -> Principal | None:
    """The principal that limits a list; None for an Admin."""
    return None if caller.is_admin else caller
