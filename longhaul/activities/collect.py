"""The action `collect`: one result of the results of a group."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from longhaul.core.step_actions import ActionContext, StepAction


class CollectParameters(BaseModel):
    """The results to add up; a step that failed is null."""

    model_config = ConfigDict(extra="forbid")

    results: dict[str, Any] = Field(description='by step, such as {"$from": "a-group"}')


class Collect(StepAction[CollectParameters]):
    """Counts results and adds up the numbers that they have in the same places."""

    name = "collect"
    title = "Collect results"
    parameters = CollectParameters

    async def do(self, context: ActionContext, parameters: CollectParameters) -> Mapping[str, Any]:
        """Count and add up."""
        there = {name: one for name, one in parameters.results.items() if one is not None}
        sums: dict[str, float] = {}
        for result in there.values():
            for path, number in _numbers(result):
                sums[path] = sums.get(path, 0) + number
        return {
            "total": len(parameters.results),
            "done": len(there),
            "missing": sorted(set(parameters.results) - set(there)),
            "sums": sums,
        }


def _numbers(value: Any, path: str = "") -> Iterator[tuple[str, float]]:
    match value:
        case bool():
            return
        case int() | float():
            yield path or "value", value
        case Mapping():
            for key, inner in value.items():
                yield from _numbers(inner, f"{path}.{key}" if path else str(key))
        case _:
            return
