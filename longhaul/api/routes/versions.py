"""Versions of rules, recommendations and samples: list, decide, submit and approve."""

from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query

from longhaul.api.decision_schemas import (
    CountedVersionView,
    DecidedView,
    DecisionHistory,
    DecisionRequest,
    EntryPage,
    EntryView,
    GenerateRulesRequest,
    StepRequest,
    TriggeredJob,
    VersionList,
)
from longhaul.api.routes.dependencies import (
    Caller,
    Cursor,
    Limit,
    OneEntry,
    RowNumber,
    Serving,
    VersionId,
    Wanted,
    uuid_or_absent,
)
from longhaul.api.schemas import JobRequest
from longhaul.core.decisions import (
    Kind,
    VersionAction,
    VersionFilter,
)
from longhaul.core.errors import WrongState
from longhaul.core.rule_edits import RuleChange
from longhaul.core.versions import VersionStatus

RULE_GENERATION = "data_profiling_llm_generation"

router = APIRouter()


def rule_id_of(rule_id: str) -> str:
    """The id of a rule."""
    return uuid_or_absent(rule_id, "The version has no such rule.")


RuleId = Annotated[str, Depends(rule_id_of)]

# Mappings belong to a phase.
VersionedKind = Literal[Kind.RULES, Kind.RECOMMENDATIONS, Kind.SAMPLES]


@router.get("", response_model=VersionList)
async def list_versions(
    caller: Caller,
    serving: Serving,
    kind: Annotated[list[VersionedKind], Query()] = [],  # noqa: B006 - FastAPI copies it
    status: Annotated[list[VersionStatus], Query()] = [],  # noqa: B006
    cycle_id: RowNumber | None = None,
    report_id: RowNumber | None = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Any:
    """The versions of the reports that the caller may read, newest first."""
    wanted = VersionFilter(kinds=kind, statuses=status, cycle_id=cycle_id, report_id=report_id)
    return await serving.deciding.list(caller, wanted, limit=limit, cursor=cursor)


@router.get("/{version_id}", response_model=CountedVersionView)
async def read_version(version_id: VersionId, caller: Caller, serving: Serving) -> Any:
    """One version, and how its entries stand."""
    return await serving.deciding.show(serving.deciding.version(caller, version_id))


@router.post("/{version_id}/submit", response_model=CountedVersionView)
async def submit_version(
    version_id: VersionId, caller: Caller, serving: Serving, body: StepRequest | None = None
) -> Any:
    """Submit a draft to the report owner."""
    return await _take(version_id, caller, serving, VersionAction.SUBMIT, body)


@router.post("/{version_id}/approve", response_model=CountedVersionView)
async def approve_version(
    version_id: VersionId, caller: Caller, serving: Serving, body: StepRequest | None = None
) -> Any:
    """Approve a submitted version; the one approved before is superseded."""
    return await _take(version_id, caller, serving, VersionAction.APPROVE, body)


@router.post("/{version_id}/reject", response_model=CountedVersionView)
async def reject_version(
    version_id: VersionId, caller: Caller, serving: Serving, body: StepRequest
) -> Any:
    """Reject a submitted version as a whole."""
    return await _take(version_id, caller, serving, VersionAction.REJECT, body)


@router.get("/{version_id}/history")
async def read_version_history(
    version_id: VersionId,
    caller: Caller,
    serving: Serving,
    entry_id: OneEntry = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> DecisionHistory:
    """The audit of the version and its entries, oldest first."""
    find = serving.deciding.version(caller, version_id)
    return await serving.deciding.history(find, entry_id=entry_id, limit=limit, cursor=cursor)


@router.post("/{version_id}/generate-rules", status_code=HTTPStatus.ACCEPTED)
async def generate_rules(
    version_id: VersionId,
    caller: Caller,
    serving: Serving,
    body: GenerateRulesRequest | None = None,
) -> TriggeredJob:
    """Start rule generation into a draft, as clients of the replaced Celery system do."""
    version = await serving.deciding.read(serving.deciding.version(caller, version_id, Kind.RULES))
    if version.status is not VersionStatus.DRAFT:
        raise WrongState(f"The version is {version.status}: rules are only generated into a draft.")
    wanted = (body or GenerateRulesRequest()).model_dump(exclude_none=True)
    request = JobRequest(job_type=RULE_GENERATION, parameters={"version_id": version_id, **wanted})
    job, is_new = await serving.submission.submit(caller, request, None)
    message = "Rule generation has started." if is_new else "Rule generation is running already."
    return {"job_id": job.id, "message": message}


@router.get("/{version_id}/{kind}", response_model=EntryPage)
async def list_entries(
    version_id: VersionId,
    kind: VersionedKind,
    caller: Caller,
    serving: Serving,
    wanted: Wanted,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Any:
    """The rules, recommendations or samples of a version, in the order of the form."""
    find = serving.deciding.version(caller, version_id, kind)
    return await serving.deciding.entries(find, wanted, limit=limit, cursor=cursor)


@router.patch("/{version_id}/rules/{rule_id}", response_model=EntryView)
async def edit_rule(
    version_id: VersionId, rule_id: RuleId, body: RuleChange, caller: Caller, serving: Serving
) -> Any:
    """Change a rule of a draft; this approves it as tester."""
    find = serving.deciding.version(caller, version_id, Kind.RULES)
    return await serving.deciding.edit_rule(caller, find, rule_id, body)


@router.post("/{version_id}/{kind}/decisions")
async def decide(
    version_id: VersionId,
    kind: VersionedKind,
    body: DecisionRequest,
    caller: Caller,
    serving: Serving,
) -> DecidedView:
    """Approve or reject entries, as tester or as report owner."""
    find = serving.deciding.version(caller, version_id, kind)
    return await serving.deciding.decide(caller, find, body)


async def _take(
    version_id: str,
    caller: Caller,
    serving: Serving,
    action: VersionAction,
    body: StepRequest | None,
) -> Any:
    find = serving.deciding.version(caller, version_id)
    return await serving.deciding.take(caller, find, action, body.reason if body else "")
