"""Asks a model for rules and checks its answer."""

from collections.abc import Mapping, Sequence
from typing import Any

from longhaul.adapters.llm.prompts import load
from longhaul.core.attributes import Attribute
from longhaul.core.job_types import BadAnswer, Calls
from longhaul.core.ports import RegexDialects
from longhaul.core.rules import RuleAnswer, RuleProposal, read_rules

TASK = "rule_generation"
STEP = "rules"

# The parts of an attribute in a prompt: enough to judge it, with a bounded size.
MAX_DESCRIPTION = 4_000
MAX_SAMPLES = 20
MAX_SAMPLE = 100
MAX_SIBLINGS = 300


class ModelRuleWriter:
    """Proposes a model's rules, if they fit the attribute and every source accepts them."""

    def __init__(self, regexes: RegexDialects) -> None:
        self._regexes = regexes

    async def propose(
        self,
        attribute: Attribute,
        siblings: Sequence[str],
        frozen: Mapping[str, Any],
        calls: Calls,
    ) -> RuleProposal:
        """Propose three to five rules that fit the attribute."""

        async def check(answer: RuleAnswer) -> None:
            complaints = await self._complaints(answer, attribute, siblings)
            if complaints:
                raise BadAnswer("\n".join(complaints))

        prompt = load(TASK, frozen["prompt_version"], "attribute")
        answer = await calls.ask(
            step=STEP,
            provider=frozen["provider"],
            model=frozen["model"],
            instructions=prompt.instructions,
            prompt=prompt.about(_described(attribute, siblings)),
            answer=RuleAnswer,
            check=check,
        )
        return RuleProposal(
            drafts=tuple(read_rules(answer, attribute, siblings)),
            provider=frozen["provider"],
            model=frozen["model"],
            prompt_version=prompt.version,
        )

    async def _complaints(
        self, answer: RuleAnswer, attribute: Attribute, siblings: Sequence[str]
    ) -> list[str]:
        complaints = []
        try:
            read_rules(answer, attribute, siblings)
        except BadAnswer as exc:
            complaints.append(str(exc))
        for number, rule in enumerate(answer.rules, start=1):
            pattern = rule.kwargs.get("regex")
            if isinstance(pattern, str):
                refusal = await self._regexes.refusal(pattern)
                if refusal is not None:
                    complaints.append(f"Rule {number}: {refusal}")
        return complaints


def _described(attribute: Attribute, siblings: Sequence[str]) -> Mapping[str, Any]:
    return {
        "report": attribute.report_name,
        "regulation": attribute.regulation,
        "attribute": {
            "name": attribute.name,
            "line_no": attribute.line_no,
            "mdrm": attribute.mdrm,
            "data_type": attribute.data_type,
            "mandatory": attribute.mandatory,
            "format": attribute.format,
            "description": attribute.description[:MAX_DESCRIPTION],
            "is_key": attribute.is_key,
            "is_critical_data_element": attribute.is_cde,
            "had_issues": attribute.has_issues,
            "physical_column": attribute.column,
            "sample_values": [_cut(value) for value in attribute.sample_values[:MAX_SAMPLES]],
        },
        "other_attributes": list(siblings[:MAX_SIBLINGS]),
    }


def _cut(value: object) -> object:
    return value if isinstance(value, int | float | None) else str(value)[:MAX_SAMPLE]
