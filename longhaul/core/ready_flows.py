"""The ready flows: their parameters and steps."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from longhaul.core.decisions import Kind
from longhaul.core.flows import DAY_SECONDS, Definition
from longhaul.core.jobs import MAX_WAIT_SECONDS

RULE_GENERATION = "data_profiling_llm_generation"
RULE_EXECUTION = "data_profiling_rule_execution"
MAPPING = "pde_auto_mapping"
SCOPING = "scoping_recommendations"
SAMPLING = "intelligent_sampling"
TEST_EXECUTION = "test_execution"

# Actions that are defined elsewhere.
APPROVE_VERSION = "approve_version"
REPORT = "report"

RowId = Annotated[int, Field(ge=1, lt=2**31)]
Step = dict[str, Any]


class FlowParameters(Definition):
    """The steps of a flow, as its caller gives them."""


class ReadyParameters(BaseModel):
    """What the ready flows have in common."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    cycle_id: RowId
    report_id: RowId
    approvals: Literal["people", "automatic"] = Field(
        "people", description="automatic: proposals are approved without a review"
    )
    approval_timeout_seconds: Annotated[float, Field(gt=0, le=MAX_WAIT_SECONDS)] = 7 * DAY_SECONDS
    approval_roles: list[str] = Field(
        [], description="who may approve; empty: everybody who may control the flow"
    )
    approvers: list[str] = Field([], description="people who may see the flow and approve")
    concurrency: Annotated[int, Field(ge=1, le=1_000)] = Field(
        16, description="items in flight at once, of each step"
    )
    steps: list[Any] | None = Field(None, description="filled in when the flow is created")


class ProfilingParameters(ReadyParameters):
    """Which report to profile, and who approves."""

    attribute_ids: list[RowId] | None = Field(None, min_length=1, max_length=100_000)


class FullCycleParameters(ReadyParameters):
    """Which report to take through its cycle, and who approves."""

    target_sample_size: Annotated[int, Field(ge=1, le=100_000)] = 25
    seed: int = 1


def profiling(wanted: ProfilingParameters) -> list[Step]:
    """Generate rules, approve them, execute them, and report."""
    return [
        _generate(wanted, wanted.attribute_ids),
        _approve(wanted, "generate", "approve-rules", Kind.RULES),
        _execute(wanted),
        {
            "name": "report",
            "title": "Quality report",
            "kind": "action",
            "action": REPORT,
            "parameters": {
                "version_id": {"$from": "generate", "path": "version_id"},
                "job_id": {"$job": "execute"},
            },
        },
    ]


def full_cycle(wanted: FullCycleParameters) -> list[Step]:
    """Map, generate and execute rules, scope, sample, and execute the tests."""
    report = {"cycle_id": wanted.cycle_id, "report_id": wanted.report_id}
    return [
        _job("map", "PDE mapping", MAPPING, wanted, report),
        _generate(wanted, None),
        _approve(wanted, "generate", "approve-rules", Kind.RULES),
        _execute(wanted),
        _job("scope", "Scoping", SCOPING, wanted, report),
        _approve(wanted, "scope", "approve-scope", Kind.RECOMMENDATIONS),
        _job(
            "sample",
            "Sampling",
            SAMPLING,
            wanted,
            {**report, "target_sample_size": wanted.target_sample_size, "seed": wanted.seed},
        ),
        _approve(wanted, "sample", "approve-samples", Kind.SAMPLES),
        _job("test", "Test execution", TEST_EXECUTION, wanted, report),
    ]


def _generate(wanted: ReadyParameters, attribute_ids: list[int] | None) -> Step:
    parameters: dict[str, Any] = {"cycle_id": wanted.cycle_id, "report_id": wanted.report_id}
    if attribute_ids is not None:
        parameters["attribute_ids"] = attribute_ids
    return _job("generate", "Rule generation", RULE_GENERATION, wanted, parameters)


def _execute(wanted: ReadyParameters) -> Step:
    version = {"version_id": {"$from": "generate", "path": "version_id"}}
    return _job("execute", "Rule execution", RULE_EXECUTION, wanted, version)


def _approve(wanted: ReadyParameters, what: str, name: str, kind: Kind) -> Step:
    """Let people decide on the version of a step, or decide for them."""
    step: Step = {"name": name, "title": f"Approve the {kind}"}
    version = {"version_id": {"$from": what, "path": "version_id"}}
    if wanted.approvals == "automatic":
        return {**step, "kind": "action", "action": APPROVE_VERSION, "parameters": version}
    return {
        **step,
        "kind": "approval",
        "message": f"Decide on the {kind} and approve their version: that answers this step too.",
        "about": {"kind": kind, **version},
        "timeout_seconds": wanted.approval_timeout_seconds,
        "roles": wanted.approval_roles,
        "users": wanted.approvers,
    }


def _job(
    name: str, title: str, job_type: str, wanted: ReadyParameters, parameters: dict[str, Any]
) -> Step:
    return {
        "name": name,
        "title": title,
        "kind": "job",
        "job_type": job_type,
        "parameters": parameters,
        "options": {"concurrency": wanted.concurrency},
    }
