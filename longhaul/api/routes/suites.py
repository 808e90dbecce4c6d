"""Export and import of the rules of a version as a Great Expectations suite."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from longhaul.api.routes.dependencies import Caller, Serving, VersionId
from longhaul.core.decisions import Kind
from longhaul.core.errors import InvalidInput
from longhaul.core.suite_files import BadSuite, suite_rules

router = APIRouter()


class Suite(BaseModel):
    """A suite; other fields of Great Expectations are ignored."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    name: str = Field("suite", min_length=1, max_length=200)
    expectations: list[dict[str, Any]] = Field(min_length=1, max_length=5_000)
    meta: dict[str, Any] = Field(default_factory=dict)


class SuiteAdded(BaseModel):
    """The result of an import."""

    added: int
    known: int


@router.get("/{version_id}/suite", response_model=Suite)
async def read_suite(version_id: VersionId, caller: Caller, serving: Serving) -> Any:
    """The rules of a version as a suite."""
    return await serving.suites.read(serving.deciding.version(caller, version_id, Kind.RULES))


@router.post("/{version_id}/suite", response_model=SuiteAdded)
async def add_suite(version_id: VersionId, body: Suite, caller: Caller, serving: Serving) -> Any:
    """Add the rules of a suite to a draft as proposals, all or none."""
    try:
        rules = suite_rules(body.model_dump())
    except BadSuite as exc:
        raise InvalidInput(str(exc)) from None
    find = serving.deciding.version(caller, version_id, Kind.RULES)
    return asdict(await serving.suites.add(caller, find, body.name, rules))
