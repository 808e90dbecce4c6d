"""The steps of a flow in its row, and their results for later ones."""

from collections.abc import Mapping
from typing import Any

from longhaul.core.flows import STEPS, Definition, Placed, StepResult, placed, results_of
from longhaul.core.items import ItemState
from longhaul.core.jobs import Job
from longhaul.core.ports import StepRow


def steps_of(flow: Job) -> list[Placed]:
    """The steps of a flow, as they were when it was created."""
    return placed(Definition(steps=flow.parameters[STEPS]))


def results_so_far(steps: list[Placed], rows: Mapping[str, StepRow]) -> dict[str, Any]:
    """The results of the steps that have ended, by the names of references."""
    ended = {
        key: StepResult(result=row.output.get("result"), job_id=row.output.get("job_id"))
        for key, row in rows.items()
        if row.state is ItemState.DONE and row.output is not None
    }
    return results_of(steps, ended)
