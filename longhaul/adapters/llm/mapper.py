"""Asks a model which of a few columns is meant, and refuses columns that do not exist."""

from collections.abc import Mapping, Sequence
from typing import Any

from longhaul.adapters.llm.described import MAX_NAME, described
from longhaul.adapters.llm.prompts import load
from longhaul.core.attributes import Attribute
from longhaul.core.job_types import BadAnswer, Calls
from longhaul.core.mappings import (
    AUTO_APPROVED_FROM,
    MOST_ALTERNATIVES,
    Candidate,
    ColumnIndex,
    MappingAnswer,
    MappingProposal,
    PhysicalColumn,
    complaints,
    read_classification,
    read_mapping_type,
)

TASK = "pde_mapping"
STEP = "mapping"

# A column whose name says nothing of the attribute, or clearly less than another one's, is looked
# at by a person, however sure the model is: what it read may have been written to mislead it.
_SUPPORTED_FROM = 0.3
_NEAR_THE_FIRST = 0.05
_UNSUPPORTED_AT_MOST = AUTO_APPROVED_FROM - 0.01


class ModelMapper:
    """Proposes a model's column, if it exists."""

    async def propose(
        self,
        attribute: Attribute,
        shortlist: Sequence[Candidate],
        columns: ColumnIndex,
        frozen: Mapping[str, object],
        calls: Calls,
    ) -> MappingProposal:
        """Propose a column, or none."""
        provider, model = str(frozen["provider"]), str(frozen["model"])
        prompt = load(TASK, str(frozen["prompt_version"]), "attribute")
        answer = await calls.ask(
            step=STEP,
            provider=provider,
            model=model,
            instructions=prompt.instructions,
            prompt=prompt.about(_asked(attribute, shortlist)),
            answer=MappingAnswer,
            check=_check,
        )
        column = _chosen(answer, shortlist, columns)
        return MappingProposal(
            column=column,
            mapping_type=read_mapping_type(answer.mapping_type),
            confidence=_confidence(answer, column, shortlist),
            alternatives=_alternatives(answer, column, shortlist),
            classification=read_classification(answer, attribute),
            rationale=answer.rationale.replace("\0", "").strip(),
            provider=provider,
            model=model,
            prompt_version=prompt.version,
        )


async def _check(answer: MappingAnswer) -> None:
    wrong = complaints(answer)
    if wrong:
        raise BadAnswer("\n".join(wrong))


def _asked(attribute: Attribute, shortlist: Sequence[Candidate]) -> Mapping[str, Any]:
    return {
        "report": attribute.report_name,
        "regulation": attribute.regulation,
        "attribute": described(attribute),
        "candidates": [
            {
                "data_source": one.column.source[:MAX_NAME],
                "table": one.column.table[:MAX_NAME],
                "column": one.column.name[:MAX_NAME],
                "type": one.column.type[:MAX_NAME],
                "name_agreement": round(one.score, 2),
            }
            for one in shortlist
        ],
    }


def _chosen(
    answer: MappingAnswer, shortlist: Sequence[Candidate], columns: ColumnIndex
) -> PhysicalColumn | None:
    if not answer.column:
        return None
    shown = [
        one.column
        for one in shortlist
        if one.column.name == answer.column
        and answer.table in (None, one.column.table)
        and answer.data_source in (None, one.column.source)
    ]
    if len(shown) == 1:
        return shown[0]
    return columns.find(answer.data_source, answer.table, answer.column)


def _confidence(
    answer: MappingAnswer, column: PhysicalColumn | None, shortlist: Sequence[Candidate]
) -> float:
    if column is None:
        # Without a column there is no confidence; the model's reason goes into the rationale.
        return 0.0
    agreement = next((one.score for one in shortlist if one.column == column), 0.0)
    best = max((one.score for one in shortlist), default=0.0)
    if agreement < max(_SUPPORTED_FROM, round(best - _NEAR_THE_FIRST, 3)):
        return min(answer.confidence, _UNSUPPORTED_AT_MOST)
    return answer.confidence


def _alternatives(
    answer: MappingAnswer, column: PhysicalColumn | None, shortlist: Sequence[Candidate]
) -> tuple[Candidate, ...]:
    named = {f"{one.column.table}.{one.column.name}": one for one in shortlist}
    found = [named[name] for name in dict.fromkeys(answer.alternatives) if name in named]
    if column is None and not found:
        found = list(shortlist)
    return tuple(one for one in found if one.column != column)[:MOST_ALTERNATIVES]
