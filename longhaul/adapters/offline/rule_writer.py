"""Proposes rules by rules of thumb: no network, no model, always the same answer."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from longhaul.adapters.offline.codes import codings
from longhaul.adapters.offline.evidence import contradicted, present
from longhaul.adapters.offline.idea import FILLING, STRONG, Idea
from longhaul.adapters.offline.meanings import copy_of
from longhaul.adapters.offline.relations import keys, orders, presence, samenesses
from longhaul.adapters.offline.values import dates, documents, last_resorts, ranges, texts, written
from longhaul.core.attributes import Attribute
from longhaul.core.expectations import VOCABULARY, kwargs_hash
from longhaul.core.job_types import OFFLINE, Calls
from longhaul.core.rules import (
    FEWEST_RULES,
    MOST_RULES,
    RuleDraft,
    RuleProposal,
    RuleType,
    Severity,
)

MODEL = "rules-of-thumb"
VERSION = "3"

# Rules that are cheap and whose failures break others come first.
_EXECUTION = (
    RuleType.COMPLETENESS,
    RuleType.FORMAT,
    RuleType.VALIDITY,
    RuleType.UNIQUENESS,
    RuleType.CONSISTENCY,
    RuleType.ACCURACY,
)

# Each has one kind of ideas about an attribute.
_SIDES = (
    presence,
    written,
    texts,
    codings,
    ranges,
    dates,
    documents,
    keys,
    orders,
    samenesses,
    last_resorts,
)

_MOST_OF_A_KIND = 2


class OfflineRuleWriter:
    """Proposes what a name, a format, flags, a description and sample values suggest.

    Args:
        seconds_per_item: How long to wait for each item, for demonstrations and tests.
    """

    def __init__(self, *, seconds_per_item: float = 0.0) -> None:
        self._seconds = seconds_per_item

    async def propose(
        self,
        attribute: Attribute,
        siblings: Sequence[str],
        frozen: Mapping[str, Any],
        calls: Calls,
    ) -> RuleProposal:
        """Propose three to five rules that fit the attribute."""
        if self._seconds:
            await asyncio.sleep(self._seconds)
        near = [name for name in siblings if copy_of(name) == copy_of(attribute.name)]
        ideas = [
            idea
            for side in _SIDES
            for idea in side(attribute, near)
            # A name may suggest another type than the attribute has.
            if attribute.data_type in VOCABULARY[idea.expectation].suits
        ]
        chosen = _choose(_weigh(ideas, attribute), attribute)
        chosen.sort(key=lambda idea: _EXECUTION.index(idea.rule_type))
        return RuleProposal(
            drafts=tuple(
                _draft(idea, number, attribute) for number, idea in enumerate(chosen, start=1)
            ),
            provider=OFFLINE,
            model=MODEL,
            prompt_version=VERSION,
        )


def _weigh(ideas: Sequence[Idea], attribute: Attribute) -> list[Idea]:
    """Weigh each idea by the sample values."""
    has_samples = bool(present(attribute))
    weighed = []
    for idea in ideas:
        if contradicted(idea.expectation, idea.kwargs, attribute):
            weighed.append(replace(idea, weight=1, confidence=0.3))
        elif has_samples:
            weighed.append(replace(idea, confidence=round(min(0.99, idea.confidence + 0.04), 2)))
        else:
            weighed.append(idea)
    return sorted(weighed, key=lambda idea: -idea.weight)


def _choose(ideas: Sequence[Idea], attribute: Attribute) -> list[Idea]:
    """The best ideas: all strong ones, within the limits."""
    is_watched = attribute.is_cde or attribute.has_issues
    chosen: list[Idea] = []
    kinds: Counter[str] = Counter()
    seen: set[tuple[str, str]] = set()
    for idea in ideas:
        is_wanted = idea.weight >= STRONG or len(chosen) < FEWEST_RULES
        # Critical and troubled attributes get one more rule.
        is_wanted |= is_watched and len(chosen) == FEWEST_RULES and idea.weight >= FILLING
        same = (idea.expectation, kwargs_hash(idea.kwargs))
        if not is_wanted or same in seen or kinds[idea.expectation] == _MOST_OF_A_KIND:
            continue
        if idea.weight < STRONG and kinds[idea.expectation]:
            continue
        chosen.append(idea)
        seen.add(same)
        kinds[idea.expectation] += 1
        if len(chosen) == MOST_RULES:
            break
    return chosen


def _draft(idea: Idea, number: int, attribute: Attribute) -> RuleDraft:
    return RuleDraft(
        expectation=idea.expectation,
        kwargs=idea.kwargs,
        name=idea.name,
        description=idea.description,
        rule_type=idea.rule_type,
        severity=_severity(idea, attribute),
        execution_order=number,
        rationale=idea.rationale,
        regulatory_reference=attribute.reference,
        confidence=idea.confidence,
    )


def _severity(idea: Idea, attribute: Attribute) -> Severity:
    steps = list(Severity)
    is_watched = attribute.is_key or attribute.is_cde or attribute.has_issues
    return steps[min(steps.index(idea.severity) + is_watched, len(steps) - 1)]
