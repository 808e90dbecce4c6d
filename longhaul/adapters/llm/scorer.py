"""Asks a model to judge the risk of an attribute; the score is computed here."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from longhaul.adapters.llm.described import described
from longhaul.adapters.llm.prompts import load
from longhaul.core.attributes import Attribute
from longhaul.core.job_types import Calls
from longhaul.core.scoping import Measures, ScopingAnswer, ScopingProposal, read_proposal

TASK = "scoping"
STEP = "risk"

MAX_SIBLINGS = 300


class ModelScorer:
    """Recommends with a model."""

    async def propose(
        self,
        attribute: Attribute,
        siblings: Sequence[str],
        measures: Measures | None,
        frozen: Mapping[str, str],
        calls: Calls,
    ) -> ScopingProposal:
        """Recommend whether to test an attribute."""

        async def check(answer: ScopingAnswer) -> None:
            read_proposal(answer, attribute, measures, frozen)

        prompt = load(TASK, frozen["prompt_version"], "attribute")
        answer = await calls.ask(
            step=STEP,
            provider=frozen["provider"],
            model=frozen["model"],
            instructions=prompt.instructions,
            prompt=prompt.about(_asked(attribute, siblings, measures)),
            answer=ScopingAnswer,
            check=check,
        )
        return read_proposal(answer, attribute, measures, frozen)


def _asked(
    attribute: Attribute, siblings: Sequence[str], measures: Measures | None
) -> Mapping[str, Any]:
    return {
        "report": attribute.report_name,
        "regulation": attribute.regulation,
        "attribute": {**described(attribute), "physical_column": attribute.column},
        "measured_by_rules": asdict(measures) if measures else None,
        "other_attributes": list(siblings[:MAX_SIBLINGS]),
    }
