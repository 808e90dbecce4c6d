"""Definitions of flows: their form, their references, and the order of their steps."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import longhaul
from longhaul.core.errors import InvalidInput
from longhaul.core.flows import (
    Definition,
    Group,
    StepResult,
    Unresolved,
    check,
    fill,
    frontier,
    placed,
    resolve,
    results_of,
)
from longhaul.core.items import ItemState

OPEN, DONE, FAILED = ItemState.OPEN, ItemState.DONE, ItemState.FAILED


def job(name: str, **parameters: Any) -> dict[str, Any]:
    return {"name": name, "kind": "job", "job_type": "echo", "parameters": parameters}


def group(name: str, *steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "kind": "group", "steps": list(steps), **more}


def definition(*steps: dict[str, Any]) -> Definition:
    return Definition.model_validate({"steps": list(steps)})


# Form.


@pytest.mark.parametrize(
    ("step", "complaint"),
    [
        ({"name": "ship it", "kind": "job", "job_type": "echo"}, "step 'ship it'"),
        ({"name": "one", "kind": "job"}, "step 'one': job.job_type: Field required"),
        ({"name": "one", "kind": "magic"}, "step 'one'"),
        ({"name": "one", "kind": "job", "job_type": "echo", "extra": 1}, "job.extra"),
        ({"name": "ok", "kind": "approval", "timeout_seconds": -1}, "approval.timeout_seconds"),
        ({"name": "all", "kind": "group", "steps": []}, "step 'all': group.steps"),
        (group("all", {"name": "in", "kind": "job"}), "step 'in'"),
        (group("all", group("deeper", job("one"))), "step 'all'"),
    ],
)
def test_a_step_that_is_wrong_is_named(step: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError) as found:
        definition(step)

    assert complaint in str(found.value)


def test_a_flow_has_steps() -> None:
    with pytest.raises(ValidationError):
        definition()


@pytest.mark.parametrize(
    ("steps", "pointer", "complaint"),
    [
        ([job("a"), job("a")], "/parameters/steps/1/name", "Step 'a' occurs twice."),
        (
            [group("g", job("a"), job("a"))],
            "/parameters/steps/0/steps/1/name",
            "Step 'a' occurs twice.",
        ),
        (
            [job("a", items={"$from": "b"}), job("b")],
            "/parameters/steps/0/parameters/items",
            "Step 'a' refers to 'b', which is not an earlier step.",
        ),
        (
            [job("a", items={"$from": "a"})],
            "/parameters/steps/0/parameters/items",
            "Step 'a' refers to 'a', which is not an earlier step.",
        ),
        (
            [group("g", job("a"), job("b", items=[{"$job": "g.a"}]))],
            "/parameters/steps/0/steps/1/parameters/items/0",
            "Step 'g.b' refers to 'g.a', which is not an earlier step.",
        ),
    ],
)
def test_a_flow_that_cannot_run_is_refused_by_the_name_of_its_step(
    steps: list[dict[str, Any]], pointer: str, complaint: str
) -> None:
    with pytest.raises(InvalidInput) as found:
        check(definition(*steps))

    assert found.value.fields == ((pointer, complaint),)
    assert complaint in found.value.sentence


@pytest.mark.parametrize(
    "reference",
    [
        {"$from": 1},
        {"$from": "a", "path": 3},
        {"$from": "a", "pth": "x"},
        {"$job": "a", "path": "x"},
        {"$job": None},
    ],
)
def test_a_reference_that_cannot_be_read_is_refused(reference: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="Step 'b'"):
        check(definition(job("a"), job("b", items=reference)))


def test_a_later_step_may_refer_to_steps_groups_and_members() -> None:
    check(
        definition(
            job("a"),
            group("g", job("b"), job("c", items={"$from": "a"})),
            job("d", one={"$from": "g"}, other=[{"$from": "g.b", "path": "x"}, {"$job": "g.c"}]),
        )
    )


def test_the_references_within_a_nested_flow_are_its_own() -> None:
    nested = job("inner", steps=[job("x", items={"$from": "nowhere"})])

    check(definition(nested))

    assert fill(nested["parameters"], {}) == nested["parameters"]


def test_the_example_of_the_docs_is_a_flow() -> None:
    text = (Path(longhaul.__file__).parents[1] / "docs/flows.md").read_text()
    (example,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)

    flow = Definition.model_validate(json.loads(example)["parameters"])

    check(flow)
    assert [step.key for step in placed(flow)] == ["reports.cards", "reports.homes", "total"]


# References.


RESULTS = results_of(
    placed(definition(job("a"), group("g", job("b"), job("c")))),
    {
        "a": StepResult(result={"n": 3, "list": [{"x": 1}], "none": None}, job_id="j-1"),
        "g.b": StepResult(result={"n": 4}, job_id="j-2"),
    },
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"$from": "a", "path": "n"}, 3),
        ({"$from": "a", "path": "list.0.x"}, 1),
        ({"$from": "a", "path": "none"}, None),
        ({"$from": "a", "path": "none", "default": 7}, 7),
        ({"$from": "a", "path": "nothing", "default": 7}, 7),
        ({"$from": "g.c", "default": []}, []),
        ({"$from": "g.c", "path": "n", "default": 0}, 0),
        ({"$from": "g"}, {"b": {"n": 4}, "c": None}),
        ({"$from": "g", "path": "b.n"}, 4),
        ({"$job": "g.b"}, "j-2"),
        ([{"deep": {"$from": "a", "path": "n"}}, "text"], [{"deep": 3}, "text"]),
        ({"path": "n"}, {"path": "n"}),
    ],
)
def test_references_are_filled(value: Any, expected: Any) -> None:
    assert resolve(value, RESULTS) == expected


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({"$from": "a", "path": "nothing"}, "step 'a' left no 'nothing'"),
        ({"$from": "a", "path": "list.one"}, "step 'a' left no 'list.one'"),
        ({"$from": "a", "path": "n.deeper"}, "step 'a' left no 'n.deeper'"),
        ({"$from": "g.c"}, "step 'g.c' left no result"),
        ({"$from": "g.c", "path": "n"}, "step 'g.c' left no 'n'"),
        ({"$job": "g.c"}, "step 'g.c' has no job"),
        ({"$job": "g"}, "step 'g' has no job"),
    ],
)
def test_a_reference_that_cannot_be_filled_says_which(value: Any, complaint: str) -> None:
    with pytest.raises(Unresolved, match=complaint):
        resolve(value, RESULTS)


# Order.


@st.composite
def definitions(draw: st.DrawFn) -> Definition:
    steps = []
    for number in range(draw(st.integers(1, 5))):
        members = draw(st.integers(0, 4))
        required = draw(st.booleans())
        if members:
            inner = [
                {**job(f"m{member}"), "required": draw(st.booleans())} for member in range(members)
            ]
            steps.append(group(f"s{number}", *inner, required=required))
        else:
            steps.append({**job(f"s{number}"), "required": required})
    return definition(*steps)


@given(definitions(), st.data())
def test_steps_run_in_their_order_whatever_ends_first(
    flow: Definition, data: st.DataObject
) -> None:
    steps = placed(flow)
    states = {step.key: OPEN for step in steps}
    position = {step.key: step.position for step in steps}
    ran: list[str] = []

    while True:
        here = frontier(steps, states)
        if here.failed is not None or not here.open:
            break
        assert {one.position for one in here.open} == {min(p.position for p in here.open)}
        assert all(
            states[key] is not OPEN for key in states if position[key] < here.open[0].position
        )
        one = data.draw(st.sampled_from(here.open))
        ran.append(one.key)
        states[one.key] = data.draw(st.sampled_from([DONE, FAILED]))

    assert len(ran) == len(set(ran))
    failed = [step for step in steps if step.required and states[step.key] is FAILED]
    if failed:
        assert here.failed is failed[0]
        assert all(states[s.key] is OPEN for s in steps if s.position > failed[0].position)
    else:
        assert set(ran) == set(states)


@given(definitions())
def test_every_step_has_a_key_of_its_own(flow: Definition) -> None:
    steps = placed(flow)
    members = sum(len(step.steps) if isinstance(step, Group) else 1 for step in flow.steps)

    assert len({step.key for step in steps}) == len(steps) == members
    assert [step.position for step in steps] == sorted(step.position for step in steps)
