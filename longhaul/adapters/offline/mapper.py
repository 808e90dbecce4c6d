"""Maps by names alone: no network, no model, always the same answer."""

import asyncio
from collections.abc import Mapping, Sequence

from longhaul.adapters.offline.classification import classify
from longhaul.core.attributes import Attribute
from longhaul.core.job_types import OFFLINE, Calls
from longhaul.core.mappings import (
    MOST_ALTERNATIVES,
    STORED_FROM,
    Candidate,
    ColumnIndex,
    MappingProposal,
    MappingType,
)

MODEL = "matching-names"
VERSION = "1"

_MOST_SURE = 0.99

# Two columns that are this close cannot be told apart by their names.
_TIE = 0.02
_AT_MOST_OF_A_TIE = 0.6


class OfflineMapper:
    """Proposes the likeliest column of the shortlist; the confidence is the names' agreement.

    Args:
        seconds_per_item: How long to wait for each item, for demonstrations and tests.
    """

    def __init__(self, *, seconds_per_item: float = 0.0) -> None:
        self._seconds = seconds_per_item

    async def propose(
        self,
        attribute: Attribute,
        shortlist: Sequence[Candidate],
        columns: ColumnIndex,
        frozen: Mapping[str, object],
        calls: Calls,
    ) -> MappingProposal:
        """Propose a column, or none."""
        if self._seconds:
            await asyncio.sleep(self._seconds)
        best = shortlist[0] if shortlist else None
        confidence = _confidence(shortlist)
        is_sure = best is not None and confidence >= STORED_FROM
        others = shortlist[1:] if is_sure else shortlist
        return MappingProposal(
            column=best.column if best is not None and is_sure else None,
            mapping_type=MappingType.CONDITIONAL
            if best is not None and best.rivals
            else MappingType.DIRECT,
            confidence=confidence,
            alternatives=tuple(one for one in others[:MOST_ALTERNATIVES] if one.score > 0),
            classification=classify(attribute),
            rationale=_rationale(best, is_sure=is_sure),
            provider=OFFLINE,
            model=MODEL,
            prompt_version=VERSION,
        )


def _confidence(shortlist: Sequence[Candidate]) -> float:
    if not shortlist:
        return 0.0
    sure = min(shortlist[0].score, _MOST_SURE)
    is_tied = len(shortlist) > 1 and shortlist[0].score - shortlist[1].score < _TIE
    return round(min(sure, _AT_MOST_OF_A_TIE) if is_tied else sure, 2)


def _rationale(best: Candidate | None, *, is_sure: bool) -> str:
    if best is None or best.score == 0:
        return "No column of the report's sources has a name with the attribute's meaning."
    column = f"{best.column.table}.{best.column.name}"
    share = f"{best.score:.0%}"
    if not is_sure:
        return (
            f"The column whose name comes closest, {column}, agrees with the attribute's name by "
            f"only {share}, or another attribute fits it better."
        )
    shared = f" It also fits {', '.join(best.rivals)}." if best.rivals else ""
    return f"The name and kind of {column} agree with the attribute by {share}.{shared}"
