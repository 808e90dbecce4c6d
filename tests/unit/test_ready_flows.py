"""The ready flows, against stand-ins of the types and actions that they name."""

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from longhaul.adapters.postgres.flows import PostgresFlows
from longhaul.core import ready_flows
from longhaul.core.approvers import Approvers
from longhaul.core.catalog import Catalog
from longhaul.core.errors import Forbidden, InvalidInput
from longhaul.core.job_types import JobType
from longhaul.core.principals import Principal, Role
from longhaul.core.ready_flows import FullCycleParameters, ProfilingParameters
from longhaul.core.step_actions import StepAction
from longhaul.job_types.flow import FlowJobType, FullCycleFlow, ProfilingFlow
from tests.job_types.echo import Echo
from tests.job_types.flows import Note

TESTER = Principal(sub="u-1", roles=frozenset({Role.TESTER}))


class AnyParameters(BaseModel):
    model_config = ConfigDict(extra="allow")


def catalog(*missing: str) -> Catalog:
    names = {
        ready_flows.RULE_GENERATION,
        ready_flows.RULE_EXECUTION,
        ready_flows.MAPPING,
        ready_flows.SCOPING,
        ready_flows.SAMPLING,
        ready_flows.TEST_EXECUTION,
    }
    types: list[JobType[Any]] = [
        type("Named", (Echo,), {"name": name, "parameters": AnyParameters})()
        for name in names - set(missing)
    ]
    actions: list[StepAction[Any]] = [
        type("NamedAction", (Note,), {"name": name, "parameters": AnyParameters})()
        for name in {ready_flows.APPROVE_VERSION, ready_flows.REPORT} - set(missing)
    ]
    flows = PostgresFlows()
    ours: list[JobType[Any]] = [FlowJobType(flows), ProfilingFlow(flows), FullCycleFlow(flows)]
    return Catalog([*types, *ours], actions)


async def steps_of(name: str, types: Catalog, **parameters: Any) -> list[dict[str, Any]]:
    job_type = types.get(name)
    given = job_type.parameters.model_validate({"cycle_id": 58, "report_id": 156, **parameters})
    prepared = await job_type.prepare(None, given, TESTER)  # type: ignore[arg-type]
    items = [item async for item in job_type.items(None, prepared.parameters)]  # type: ignore[arg-type]
    steps: list[dict[str, Any]] = prepared.parameters.model_dump(mode="json")["steps"]
    assert [item.key for item in items] == [step["name"] for step in steps]
    assert (prepared.cycle_id, prepared.report_id) == (58, 156)
    return steps


async def test_profiling_generates_approves_executes_and_reports() -> None:
    steps = await steps_of("profiling", catalog(), attribute_ids=[1, 2], approvers=["u-7"])

    assert [(step["name"], step["kind"]) for step in steps] == [
        ("generate", "job"),
        ("approve-rules", "approval"),
        ("execute", "job"),
        ("report", "action"),
    ]
    assert steps[0]["parameters"]["attribute_ids"] == [1, 2]
    assert steps[1]["users"] == ["u-7"]


async def test_the_full_cycle_has_its_steps_in_order() -> None:
    steps = await steps_of("full_cycle", catalog(), approvals="automatic")

    assert [step.get("job_type") or step.get("action") for step in steps] == [
        "pde_auto_mapping",
        "data_profiling_llm_generation",
        "approve_version",
        "data_profiling_rule_execution",
        "scoping_recommendations",
        "approve_version",
        "intelligent_sampling",
        "approve_version",
        "test_execution",
    ]


async def test_an_approval_says_which_version_it_is_about() -> None:
    steps = await steps_of("full_cycle", catalog())

    asked = {one["name"]: one["about"] for one in steps if one["kind"] == "approval"}
    assert asked == {
        name: {"kind": kind, "version_id": {"$from": source, "path": "version_id"}}
        for name, kind, source in [
            ("approve-rules", "rules", "generate"),
            ("approve-scope", "recommendations", "scope"),
            ("approve-samples", "samples", "sample"),
        ]
    }


async def test_approvers_may_see_the_flow() -> None:
    types = catalog()
    parameters = ProfilingParameters(cycle_id=1, report_id=2, approvers=["u-7", "u-8"])

    prepared = await types.get("profiling").prepare(None, parameters, TESTER)  # type: ignore[arg-type]

    assert prepared.approvers == Approvers(users=("u-7", "u-8"))


async def test_whoever_holds_a_role_that_is_asked_may_see_the_flow() -> None:
    types = catalog()
    parameters = FullCycleParameters(cycle_id=1, report_id=2, approval_roles=["Report Owner"])

    prepared = await types.get("full_cycle").prepare(None, parameters, TESTER)  # type: ignore[arg-type]

    assert prepared.approvers == Approvers(roles=("Report Owner",))


async def test_what_is_not_installed_is_named_with_its_step() -> None:
    with pytest.raises(InvalidInput, match="Step 'report': Unknown action 'report'"):
        await steps_of("profiling", catalog("report"))
    with pytest.raises(InvalidInput, match="Step 'map': Unknown job type 'pde_auto_mapping'"):
        await steps_of("full_cycle", catalog("pde_auto_mapping"))


async def test_the_steps_of_a_ready_flow_are_fixed() -> None:
    with pytest.raises(InvalidInput, match="are fixed"):
        await steps_of("full_cycle", catalog(), steps=[])


async def test_a_step_that_the_caller_may_not_start_is_named() -> None:
    types = catalog()
    types.get(ready_flows.SAMPLING).roles = frozenset({Role.TEST_EXECUTIVE})  # type: ignore[misc]
    parameters = FullCycleParameters(cycle_id=1, report_id=2)

    with pytest.raises(Forbidden, match="Step 'sample'"):
        await types.get("full_cycle").prepare(None, parameters, TESTER)  # type: ignore[arg-type]


async def test_parameters_that_do_not_fit_a_type_are_found_before_the_flow_runs() -> None:
    types = Catalog([Echo(), FlowJobType(PostgresFlows())], [Note()])

    def flow(**parameters: Any) -> Any:
        step = {"name": "b", "kind": "job", "job_type": "echo", "parameters": parameters}
        first = {"name": "a", "kind": "job", "job_type": "echo"}
        return types.get("flow").parameters.model_validate({"steps": [first, step]})

    async def complaint(**parameters: Any) -> tuple[tuple[str, str], ...]:
        with pytest.raises(InvalidInput) as found:
            await types.get("flow").prepare(None, flow(**parameters), TESTER)  # type: ignore[arg-type]
        return found.value.fields

    plain = await complaint(items="many")
    beside_a_reference = await complaint(items={"$from": "a"}, seconds="long")
    unknown = await complaint(items={"$from": "a"}, extra=3)
    await types.get("flow").prepare(None, flow(items={"$from": "a"}), TESTER)  # type: ignore[arg-type]

    assert plain[0][0] == "/parameters/steps/1/parameters/items"
    assert beside_a_reference[0][0] == "/parameters/steps/1/parameters/seconds"
    assert unknown == (
        ("/parameters/steps/1/parameters/extra", "Step 'b': unknown parameter 'extra'."),
    )
