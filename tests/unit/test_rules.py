from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from longhaul.core.expectations import BETWEEN, LENGTHS, MATCH_REGEX, NOT_NULL, OF_TYPE, PAIR_EQUAL
from longhaul.core.job_types import BadAnswer
from longhaul.core.rules import (
    RULE_TYPE_SYNONYMS,
    SEVERITY_SYNONYMS,
    ProposedRule,
    RuleAnswer,
    RuleType,
    Severity,
    read_rule_type,
    read_rules,
    read_severity,
)
from tests.rule_samples import make_attribute

LTV = make_attribute()
SIBLINGS = ["Original Combined LTV"]


def proposed(type: str = NOT_NULL, **changes: Any) -> dict[str, Any]:
    return {
        "type": type,
        "kwargs": {"column": "Original LTV"},
        "name": "LTV is there",
        "description": "Every loan has an LTV.",
        "rule_type": "completeness",
        "severity": "high",
        "rationale": "It is mandatory.",
        "confidence": 0.9,
        **changes,
    }


RANGE = proposed(BETWEEN, kwargs={"column": "Original LTV", "min_value": 0}, rule_type="range")
READABLE = proposed(
    OF_TYPE, kwargs={"column": "Original LTV", "type_": "Decimal"}, rule_type="format"
)


def answer(*rules: dict[str, Any]) -> RuleAnswer:
    return RuleAnswer.model_validate({"rules": list(rules)})


@pytest.mark.parametrize("word", [*RuleType, *RULE_TYPE_SYNONYMS])
def test_every_rule_type_and_synonym_is_read(word: str) -> None:
    assert read_rule_type(word, OF_TYPE) in RuleType


@pytest.mark.parametrize("word", ["format", "range", "pattern"])
def test_format_range_and_pattern_are_validity_unless_the_rule_is_about_a_format(word: str) -> None:
    assert read_rule_type(word, BETWEEN) is RuleType.VALIDITY
    assert read_rule_type(word, MATCH_REGEX) is RuleType.FORMAT
    assert read_rule_type(word, LENGTHS) is RuleType.FORMAT


@pytest.mark.parametrize(
    ("word", "rule_type"),
    [
        ("referential", RuleType.CONSISTENCY),
        ("Relationship", RuleType.CONSISTENCY),
        ("business", RuleType.ACCURACY),
        ("Business Logic", RuleType.ACCURACY),
        ("business-logic", RuleType.ACCURACY),
        ("regulatory", RuleType.ACCURACY),
        (" Uniqueness ", RuleType.UNIQUENESS),
    ],
)
def test_synonyms_of_rule_types_are_mapped(word: str, rule_type: RuleType) -> None:
    assert read_rule_type(word, PAIR_EQUAL) is rule_type


@pytest.mark.parametrize(
    ("word", "severity"),
    [
        ("warning", Severity.LOW),
        ("minor", Severity.LOW),
        ("INFO", Severity.LOW),
        ("informational", Severity.LOW),
        ("major", Severity.HIGH),
        ("error", Severity.HIGH),
        ("Critical", Severity.CRITICAL),
    ],
)
def test_synonyms_of_severities_are_mapped(word: str, severity: Severity) -> None:
    assert read_severity(word) is severity
    assert len(SEVERITY_SYNONYMS) == 6


def test_an_answer_becomes_drafts_in_its_order() -> None:
    drafts = read_rules(answer(proposed(), RANGE, READABLE), LTV, SIBLINGS)

    assert [draft.expectation for draft in drafts] == [NOT_NULL, BETWEEN, OF_TYPE]
    assert [draft.execution_order for draft in drafts] == [1, 2, 3]
    assert [draft.rule_type for draft in drafts] == [
        RuleType.COMPLETENESS,
        RuleType.VALIDITY,
        RuleType.FORMAT,
    ]


def test_a_missing_reference_is_the_line_of_the_form() -> None:
    first, *_ = read_rules(answer(proposed(), RANGE, READABLE), LTV, SIBLINGS)

    assert first.regulatory_reference == "FR Y-14M Schedule A.1, line 8 (M149)"


def test_arguments_that_are_null_count_as_left_out() -> None:
    rule = proposed(BETWEEN, kwargs={"column": "Original LTV", "min_value": 0, "max_value": None})

    drafts = read_rules(answer(rule, proposed(), READABLE), LTV, SIBLINGS)

    assert drafts[0].kwargs == {"column": "Original LTV", "min_value": 0}


def test_everything_that_is_wrong_is_told_at_once_rule_by_rule() -> None:
    with pytest.raises(BadAnswer) as refused:
        read_rules(
            answer(
                proposed(kwargs={"column": "LTV"}, severity="urgent"),
                RANGE,
                proposed(rule_type="spelling"),
            ),
            LTV,
            SIBLINGS,
        )

    assert str(refused.value).splitlines() == [
        'Rule 1: column must be the attribute\'s own name, "Original LTV".',
        "Rule 1: severity must be one of low, medium, high, critical.",
        "Rule 3: rule_type must be one of completeness, validity, accuracy, consistency, "
        "uniqueness, format.",
    ]


def test_a_rule_that_says_the_same_twice_is_refused() -> None:
    twin = {**RANGE, "kwargs": {"min_value": 0.0, "column": "Original LTV"}}

    with pytest.raises(BadAnswer, match="Rule 3: It says the same as rule 1"):
        read_rules(answer(RANGE, proposed(), twin), LTV, SIBLINGS)


@pytest.mark.parametrize("count", [0, 2, 6])
def test_fewer_than_three_or_more_than_five_rules_are_refused(count: int) -> None:
    with pytest.raises(ValidationError):
        answer(*[proposed()] * count)


def test_the_schema_sent_to_models_names_every_field_and_its_meaning() -> None:
    schema = RuleAnswer.model_json_schema()

    rule = schema["$defs"]["ProposedRule"]
    assert rule["additionalProperties"] is False
    assert all("description" in one for one in rule["properties"].values())
    assert schema["properties"]["rules"]["maxItems"] == 5


WORDS = st.text(max_size=20)


@settings(deadline=None)
@given(
    st.lists(
        st.builds(
            ProposedRule.model_construct,
            type=st.sampled_from([NOT_NULL, BETWEEN]) | WORDS,
            kwargs=st.dictionaries(st.sampled_from(["column", "min_value"]), WORDS),
            name=WORDS,
            description=WORDS,
            rule_type=st.sampled_from(list(RuleType)) | WORDS,
            severity=st.sampled_from(list(Severity)) | WORDS,
            rationale=WORDS,
            regulatory_reference=WORDS,
            confidence=st.floats(0, 1),
        ),
        min_size=3,
        max_size=5,
    )
)
def test_whatever_a_model_answers_is_read_or_refused(rules: list[ProposedRule]) -> None:
    try:
        drafts = read_rules(RuleAnswer.model_construct(rules=rules), LTV, SIBLINGS)
    except BadAnswer as exc:
        str(exc).encode()
    else:
        assert len(drafts) == len(rules)


def test_a_nul_is_dropped_from_texts_because_it_cannot_be_stored() -> None:
    first, *_ = read_rules(answer(proposed(name="LTV\0 "), RANGE, READABLE), LTV, SIBLINGS)

    assert first.name == "LTV"
