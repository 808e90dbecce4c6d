"""Judges risk by rules of thumb: no network, no model, always the same answer."""

import asyncio
from collections.abc import Mapping, Sequence

from longhaul.adapters.offline.classification import classify
from longhaul.adapters.offline.documents import expected_documents, hints, keywords
from longhaul.adapters.offline.risk import (
    Part,
    common_errors,
    data_complexity,
    downstream_dependencies,
    kin_of,
    named,
    regulatory_impact,
)
from longhaul.core.attributes import Attribute
from longhaul.core.job_types import OFFLINE, Calls
from longhaul.core.scoping import (
    Measures,
    Rationale,
    Recommendation,
    RiskScore,
    ScopingProposal,
)

MODEL = "rules-of-thumb"
VERSION = "1"

# From this score on an attribute is tested, whatever its flags.
_TESTED_FROM = 30

# Near the border the confidence is lower.
_NEAR = 4
_SURE, _PER_EVIDENCE, _DOUBT = 0.62, 0.08, 0.15


class OfflineScorer:
    """Recommends by name, format, flags, siblings and measured rules.

    Args:
        seconds_per_item: How long to wait for each item, for demonstrations and tests.
    """

    def __init__(self, *, seconds_per_item: float = 0.0) -> None:
        self._seconds = seconds_per_item

    async def propose(
        self,
        attribute: Attribute,
        siblings: Sequence[str],
        measures: Measures | None,
        frozen: Mapping[str, str],
        calls: Calls,
    ) -> ScopingProposal:
        """Recommend whether to test an attribute."""
        if self._seconds:
            await asyncio.sleep(self._seconds)
        kin = kin_of(attribute, siblings)
        impact, complexity = regulatory_impact(attribute), data_complexity(attribute)
        errors = common_errors(attribute, measures)
        dependencies = downstream_dependencies(attribute, kin)
        score = RiskScore(
            regulatory_impact=impact.points,
            data_complexity=complexity.points,
            common_errors=errors.points,
            downstream_dependencies=dependencies.points,
            is_cde=attribute.is_cde,
            has_issues=attribute.has_issues,
        )
        process = classify(attribute).business_process
        return ScopingProposal(
            recommendation=_recommendation(attribute, score, measures),
            score=score,
            rationale=Rationale(
                regulatory_usage=_regulatory_usage(attribute, impact),
                interconnections=_interconnections(kin, dependencies),
                historical_issues=_historical_issues(attribute, measures, errors),
                business_impact=_business_impact(attribute, process, complexity),
            ),
            expected_source_documents=expected_documents(attribute, process),
            keywords=keywords(attribute),
            validation_hints=hints(attribute, kin),
            confidence=_confidence(attribute, score, measures),
            measures=measures,
            provider=OFFLINE,
            model=MODEL,
            prompt_version=VERSION,
        )


def _recommendation(
    attribute: Attribute, score: RiskScore, measures: Measures | None
) -> Recommendation:
    is_flagged = attribute.is_key or attribute.is_cde or attribute.has_issues
    has_failed = measures is not None and measures.failed_rules > 0
    is_tested = is_flagged or has_failed or score.total >= _TESTED_FROM
    return Recommendation.TEST if is_tested else Recommendation.SKIP


def _confidence(attribute: Attribute, score: RiskScore, measures: Measures | None) -> float:
    evidence = (
        bool(attribute.description),
        bool(attribute.sample_values),
        attribute.column is not None,
        measures is not None,
    )
    sure = _SURE + _PER_EVIDENCE * sum(evidence)
    if abs(score.total - _TESTED_FROM) < _NEAR:
        sure -= _DOUBT
    return round(sure, 2)


def _regulatory_usage(attribute: Attribute, impact: Part) -> str:
    return f"{attribute.reference} is {attribute.mandatory.lower()}{_because(impact)}."


def _interconnections(kin: Sequence[str], dependencies: Part) -> str:
    if not kin:
        return f"No other attribute of the report has the same subject{_because(dependencies)}."
    return f"It belongs together with {named(kin)}{_because(dependencies)}."


def _historical_issues(attribute: Attribute, measures: Measures | None, errors: Part) -> str:
    past = "It had issues before" if attribute.has_issues else "No earlier issues are known"
    if measures is None:
        return f"{past}; no rule has measured it yet{_because(errors)}."
    return (
        f"{past}; {measures.failed_rules} of {measures.rules} rules failed when they last ran"
        f"{_because(errors)}."
    )


def _business_impact(attribute: Attribute, process: str, complexity: Part) -> str:
    critical = "A critical data element" if attribute.is_cde else "A value"
    return f"{critical} of {process.lower()}{_because(complexity)}."


def _because(part: Part) -> str:
    return f": {', '.join(part.reasons)}" if part.reasons else ""
