"""I11: a running workflow survives a deployment of new code."""

import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from longhaul.core.errors import JobError
from tests.replay import fingerprints
from tests.replay.histories import HISTORIES, WORKFLOWS

pytestmark = pytest.mark.invariant("I11")

FILES = sorted(HISTORIES.glob("*/*.json"))

HOW_TO_GO_ON = """
The workflows give other commands than before. Jobs that run now would not survive this change.

1. Guard it:    if workflow.patched("what-it-is"): ... (docs/decisions/0008)
2. Record it:   make record-history KIND=<the kind that goes through it>
3. Note it:     python -m tests.replay.fingerprints
"""


def replayer() -> Replayer:
    return Replayer(workflows=WORKFLOWS, workflow_failure_exception_types=[JobError])


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
async def test_recorded_histories_still_replay(file: Path) -> None:
    history = WorkflowHistory.from_json(file.stem, file.read_text())

    result = await replayer().replay_workflow(history, raise_on_replay_failure=False)

    assert result.replay_failure is None


def test_there_are_histories_of_every_kind() -> None:
    assert len(FILES) >= 15


async def test_a_changed_order_of_commands_does_not_replay() -> None:
    (file,) = HISTORIES.glob("0.1.0/plain.json")
    changed = json.loads(file.read_text())
    first = next(
        event for event in changed["events"] if "activityTaskScheduledEventAttributes" in event
    )
    first["activityTaskScheduledEventAttributes"]["activityType"]["name"] = "something_else"
    history = WorkflowHistory.from_json("changed", json.dumps(changed))

    result = await replayer().replay_workflow(history, raise_on_replay_failure=False)

    assert result.replay_failure is not None


def test_the_commands_of_the_workflows_are_those_that_were_recorded() -> None:
    assert fingerprints.read() == json.loads(fingerprints.BASELINE.read_text()), HOW_TO_GO_ON
