"""Risk scores: their parts always add up, and reflect the risk."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longhaul.adapters.offline.scorer import OfflineScorer
from longhaul.core.attributes import Attribute, Obligation
from longhaul.core.formats import DataType
from longhaul.core.job_types import BadAnswer
from longhaul.core.scoping import (
    Measures,
    Priority,
    Recommendation,
    RiskScore,
    ScopingAnswer,
    ScopingProposal,
    read_proposal,
    read_recommendation,
)
from tests.job_bench import NoCalls
from tests.rule_samples import form_attributes, make_attribute, siblings_of

ATTRIBUTES = form_attributes("a1")
FROZEN = {"provider": "openai", "model": "gpt-x", "prompt_version": "1"}

part = st.integers(1, 15)
scores = st.builds(
    RiskScore,
    regulatory_impact=part,
    data_complexity=part,
    common_errors=part,
    downstream_dependencies=part,
    is_cde=st.booleans(),
    has_issues=st.booleans(),
)
measured = st.none() | st.builds(
    Measures,
    rules=st.integers(1, 50),
    failed_rules=st.integers(0, 50),
    most_rows=st.integers(0, 10**8),
    most_failed_rows=st.integers(0, 10**8),
    worst_pass_rate=st.floats(0, 100),
)
attributes = st.builds(
    Attribute,
    id=st.just(1),
    name=st.text(max_size=60) | st.sampled_from([one.name for one in ATTRIBUTES]),
    line_no=st.integers(0, 999),
    mdrm=st.text(max_size=5),
    data_type=st.sampled_from(DataType),
    mandatory=st.sampled_from(Obligation),
    description=st.text(max_size=40),
    format=st.sampled_from(["", "Character(1)", "Numeric, up to 5 decimals", "YYYYMMDD", "what?"]),
    is_key=st.booleans(),
    is_cde=st.booleans(),
    has_issues=st.booleans(),
    sample_values=st.lists(st.none() | st.text(max_size=5), max_size=3).map(tuple),
    column=st.none() | st.just("c"),
)


async def propose(
    attribute: Attribute, measures: Measures | None = None, siblings: list[str] | None = None
) -> ScopingProposal:
    return await OfflineScorer().propose(attribute, siblings or [], measures, FROZEN, NoCalls())


@given(scores)
def test_a_score_is_the_sum_of_its_parts(score: RiskScore) -> None:
    assert score.total == sum(score.parts) + score.cde_points + score.historical_issue_points
    assert 1 <= score.total <= 100
    assert score.cde_points == 20 * score.is_cde
    assert score.historical_issue_points == 20 * score.has_issues
    assert (score.priority is Priority.HIGH) == (score.total > 70)
    assert (score.priority is Priority.LOW) == (score.total < 30)


@pytest.mark.parametrize("wrong", [0, 16, -1])
def test_a_part_outside_its_range_is_no_score(wrong: int) -> None:
    with pytest.raises(ValueError, match="1 to 15"):
        RiskScore(
            regulatory_impact=wrong,
            data_complexity=1,
            common_errors=1,
            downstream_dependencies=1,
            is_cde=False,
            has_issues=False,
        )


@given(attributes, measured, st.lists(st.text(max_size=30), max_size=20))
async def test_whatever_the_attribute_the_offline_score_keeps_its_range(
    attribute: Attribute, measures: Measures | None, siblings: list[str]
) -> None:
    proposal = await propose(attribute, measures, siblings)

    assert all(1 <= each <= 15 for each in proposal.score.parts)
    assert 1 <= proposal.score.total <= 100
    assert (proposal.score.is_cde, proposal.score.has_issues) == (
        attribute.is_cde,
        attribute.has_issues,
    )
    assert 0 <= proposal.confidence <= 1
    assert proposal.expected_source_documents


async def test_scores_of_a_form_differ_and_are_the_same_every_time() -> None:
    first = [await propose(one, None, siblings_of(one, ATTRIBUTES)) for one in ATTRIBUTES]
    again = [await propose(one, None, siblings_of(one, ATTRIBUTES)) for one in ATTRIBUTES]

    assert first == again
    assert len({one.score.total for one in first}) >= 20
    assert {one.recommendation for one in first} == set(Recommendation)
    assert {one.score.priority for one in first} == set(Priority)
    assert len({one.confidence for one in first}) >= 3
    for position in range(4):
        assert len({one.score.parts[position] for one in first}) >= 5


async def test_what_is_flagged_is_always_tested() -> None:
    flagged = [one for one in ATTRIBUTES if one.is_key or one.is_cde or one.has_issues]

    assert flagged
    for attribute in flagged:
        assert (await propose(attribute)).recommendation is Recommendation.TEST


async def test_a_balance_weighs_more_than_a_count_of_units() -> None:
    by_name = {one.name: await propose(one) for one in ATTRIBUTES}
    balance, units = by_name["Unpaid Principal Balance"].score, by_name["Number of Units"].score

    assert balance.regulatory_impact > units.regulatory_impact
    assert balance.total > units.total


async def test_measured_failures_raise_the_risk_by_their_share() -> None:
    attribute = make_attribute("Number of Units", DataType.STRING, sample_values=("1",))

    def failing(pass_rate: float) -> Measures:
        failed = round(1_000 * (100 - pass_rate) / 100)
        return Measures(
            rules=4,
            failed_rules=min(failed, 1),
            most_rows=1_000,
            most_failed_rows=failed,
            worst_pass_rate=pass_rate,
        )

    clean, few, many = [(await propose(attribute, failing(rate))) for rate in (100.0, 99.9, 50.0)]
    unknown = await propose(attribute)

    errors = [one.score.common_errors for one in (clean, few, many)]
    assert errors == sorted(set(errors))
    assert clean.score.common_errors <= unknown.score.common_errors
    assert few.recommendation is many.recommendation is Recommendation.TEST
    assert many.confidence > unknown.confidence
    assert "50.00 %" in many.rationale.historical_issues


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("Test", Recommendation.TEST),
        ("in scope", Recommendation.TEST),
        ("EXCLUDE", Recommendation.SKIP),
        ("out-of-scope", Recommendation.SKIP),
    ],
)
def test_recommendations_and_their_synonyms(word: str, meant: Recommendation) -> None:
    assert read_recommendation(word) is meant


def answer(**changes: Any) -> ScopingAnswer:
    return ScopingAnswer.model_validate(
        {
            "recommendation": "test",
            "regulatory_impact": 2,
            "data_complexity": 3,
            "common_errors": 4,
            "downstream_dependencies": 5,
            "rationale": {
                "regulatory_usage": "a",
                "interconnections": "b",
                "historical_issues": "c",
                "business_impact": "d\0",
            },
            "expected_source_documents": ["Note", " Note ", "\0"],
            "keywords": ["loan"],
            "confidence": 0.3,
            **changes,
        }
    )


def test_the_flags_are_the_attributes_own() -> None:
    proposal = read_proposal(answer(), make_attribute(is_cde=True), None, FROZEN)

    assert proposal.score.total == 2 + 3 + 4 + 5 + 20
    assert proposal.confidence == 0.3
    assert proposal.expected_source_documents == ("Note",)
    assert proposal.rationale.business_impact == "d"
    assert proposal.provider == "openai"


def test_a_recommendation_outside_the_vocabulary_is_not_repeated() -> None:
    with pytest.raises(BadAnswer) as refused:
        read_proposal(answer(recommendation="perhaps-77"), make_attribute(), None, FROZEN)

    assert str(refused.value) == "recommendation must be one of test, skip."


def failing(rate: float, failed_rules: int = 1) -> Measures:
    return Measures(
        rules=3, failed_rules=failed_rules, most_rows=100, most_failed_rows=1, worst_pass_rate=rate
    )


def test_a_model_cannot_skip_an_attribute_whose_rules_failed() -> None:
    skips = answer(recommendation="out of scope")

    with pytest.raises(BadAnswer) as refused:
        read_proposal(skips, make_attribute(), failing(99.0), FROZEN)

    assert str(refused.value) == (
        "recommendation must be test: 1 of the attribute's 3 rules failed when they last ran."
    )
    for measures in (None, failing(100.0, failed_rules=0)):
        proposal = read_proposal(skips, make_attribute(), measures, FROZEN)
        assert proposal.recommendation is Recommendation.SKIP


@pytest.mark.parametrize(
    ("rate", "judged", "errors"),
    [(100.0, 1, 1), (99.9, 1, 6), (99.0, 1, 8), (90.0, 1, 11), (90.0, 14, 14), (99.9, 7, 7)],
)
def test_a_model_judges_errors_no_lower_than_they_were_measured(
    rate: float, judged: int, errors: int
) -> None:
    proposal = read_proposal(answer(common_errors=judged), make_attribute(), failing(rate), FROZEN)

    assert proposal.score.common_errors == errors
