import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longhaul.core.attributes import Attribute
from longhaul.core.expectations import (
    BETWEEN,
    COMPOUND_UNIQUE,
    IN_SET,
    LENGTHS,
    MATCH_REGEX,
    MATCH_STRFTIME,
    MAX_PATTERN,
    MEAN,
    NOT_NULL,
    OF_TYPE,
    PAIR_EQUAL,
    PAIR_GREATER,
    ROW_COUNT,
    UNIQUE_IN_RECORD,
    VOCABULARY,
    BadExpectation,
    check_expectation,
    kwargs_hash,
)
from longhaul.core.formats import DataType
from tests.rule_samples import make_attribute

LTV = make_attribute()
SCORE = make_attribute("Credit Score", DataType.INTEGER, format="Whole Number")
DAY = make_attribute("Closing Date", DataType.DATE, format="YYYYMMDD")
TIME = make_attribute("Loaded At", DataType.DATE_TIME, format="")
CODE = make_attribute("Occupancy", DataType.STRING, format="Character(1)")
FLAG = make_attribute("Is Open", DataType.BOOLEAN, format="")
DOCUMENT = make_attribute("Terms", DataType.JSON, format="")
SIBLINGS = ["Original Combined LTV", "First Payment Date", "Balloon Flag"]

COMPARISON = {
    "type": "comparison",
    "column": {"name": "Balloon Flag"},
    "operator": "==",
    "parameter": "Y",
}


def check(expectation: str, attribute: Attribute = LTV, **kwargs: Any) -> None:
    check_expectation(expectation, kwargs, attribute, SIBLINGS)


GOOD: list[tuple[str, Attribute, dict[str, Any]]] = [
    (NOT_NULL, LTV, {"column": "Original LTV"}),
    (NOT_NULL, LTV, {"column": "Original LTV", "mostly": 0.9, "row_condition": COMPARISON}),
    (BETWEEN, LTV, {"column": "Original LTV", "min_value": 0, "max_value": 150.5}),
    (BETWEEN, LTV, {"column": "Original LTV", "min_value": 0, "strict_min": True}),
    (BETWEEN, DAY, {"column": "Closing Date", "min_value": "1970-01-01"}),
    (BETWEEN, TIME, {"column": "Loaded At", "max_value": "2030-01-01T00:00:00"}),
    (IN_SET, CODE, {"column": "Occupancy", "value_set": ["1", "2"]}),
    (IN_SET, SCORE, {"column": "Credit Score", "value_set": [1, 2]}),
    (IN_SET, FLAG, {"column": "Is Open", "value_set": [True, False]}),
    (MATCH_REGEX, CODE, {"column": "Occupancy", "regex": "^[0-9]$"}),
    (OF_TYPE, LTV, {"column": "Original LTV", "type_": "Decimal"}),
    (LENGTHS, CODE, {"column": "Occupancy", "min_value": 1, "max_value": 1}),
    (MATCH_STRFTIME, DAY, {"column": "Closing Date", "strftime_format": "%Y%m%d"}),
    (
        PAIR_GREATER,
        LTV,
        {"column_A": "Original Combined LTV", "column_B": "Original LTV", "or_equal": True},
    ),
    (PAIR_EQUAL, CODE, {"column_A": "Occupancy", "column_B": "Balloon Flag"}),
    (COMPOUND_UNIQUE, CODE, {"column_list": ["Occupancy", "Balloon Flag"]}),
    (
        UNIQUE_IN_RECORD,
        CODE,
        {"column_list": ["Occupancy", "Balloon Flag"], "ignore_row_if": "any_value_is_missing"},
    ),
    (ROW_COUNT, DOCUMENT, {"min_value": 1}),
    (MEAN, SCORE, {"column": "Credit Score", "min_value": 600, "max_value": 800}),
]


@pytest.mark.parametrize(("expectation", "attribute", "kwargs"), GOOD)
def test_a_rule_that_fits_is_accepted(
    expectation: str, attribute: Attribute, kwargs: dict[str, Any]
) -> None:
    check_expectation(expectation, kwargs, attribute, SIBLINGS)


def test_every_expectation_of_the_vocabulary_has_a_name_of_great_expectations() -> None:
    assert len(VOCABULARY) == 16
    assert all(name.startswith("expect_") for name in VOCABULARY)


BAD: list[tuple[str, Attribute, dict[str, Any], str]] = [
    ("expect_column_values_to_not_be_nul", LTV, {}, "perhaps .*_to_not_be_null"),
    (NOT_NULL, LTV, {}, "needs the kwargs column"),
    (NOT_NULL, LTV, {"column": "Original Combined LTV"}, "must be the attribute's own name"),
    (NOT_NULL, LTV, {"column": "Original LTV", "min_value": 1}, 'has no kwargs "min_value"'),
    (NOT_NULL, LTV, {"column": "Original LTV", "mostly": 0}, "above 0 and at most 1"),
    (NOT_NULL, LTV, {"column": "Original LTV", "mostly": 90}, "above 0 and at most 1"),
    (NOT_NULL, LTV, {"column": "Original LTV", "mostly": True}, "above 0 and at most 1"),
    (BETWEEN, LTV, {"column": "Original LTV"}, "needs min_value or max_value"),
    (BETWEEN, LTV, {"column": "Original LTV", "min_value": "0"}, "must be a number"),
    (BETWEEN, LTV, {"column": "Original LTV", "min_value": math.nan}, "must be a number"),
    (BETWEEN, LTV, {"column": "Original LTV", "min_value": 2, "max_value": 1}, "not be greater"),
    (
        BETWEEN,
        LTV,
        {"column": "Original LTV", "min_value": 1, "max_value": 1, "strict_max": True},
        "neither end can be strict",
    ),
    (BETWEEN, SCORE, {"column": "Credit Score", "min_value": 0.5}, "must be a whole number"),
    (BETWEEN, DAY, {"column": "Closing Date", "min_value": "20200101"}, "YYYY-MM-DD"),
    (BETWEEN, DAY, {"column": "Closing Date", "min_value": "2021-02-29"}, "YYYY-MM-DD"),
    (BETWEEN, CODE, {"column": "Occupancy", "min_value": "1"}, "does not suit .* String"),
    (MEAN, DAY, {"column": "Closing Date", "min_value": 1}, "does not suit .* Date"),
    (MEAN, LTV, {"column": "Original LTV", "min_value": 1, "mostly": 0.9}, "has no kwargs"),
    (IN_SET, CODE, {"column": "Occupancy", "value_set": []}, "list of 1 to"),
    (IN_SET, CODE, {"column": "Occupancy", "value_set": "12"}, "list of 1 to"),
    (IN_SET, CODE, {"column": "Occupancy", "value_set": [1, 2]}, "must be a text"),
    (IN_SET, CODE, {"column": "Occupancy", "value_set": ["1", "1"]}, "a value twice"),
    (IN_SET, SCORE, {"column": "Credit Score", "value_set": ["1"]}, "must be a whole number"),
    (IN_SET, SCORE, {"column": "Credit Score", "value_set": [True]}, "must be a whole number"),
    (IN_SET, CODE, {"column": "Occupancy", "value_set": ["a\0b"]}, "must be a text"),
    (MATCH_REGEX, CODE, {"column": "Occupancy", "regex": "x" * (MAX_PATTERN + 1)}, "1 to 500"),
    (MATCH_REGEX, CODE, {"column": "Occupancy", "regex": "\ud800"}, "1 to 500"),
    (MATCH_REGEX, DAY, {"column": "Closing Date", "regex": "^[0-9]{8}$"}, "does not suit"),
    (OF_TYPE, CODE, {"column": "Occupancy", "type_": "String"}, "must be one of"),
    (OF_TYPE, LTV, {"column": "Original LTV", "type_": "FLOAT"}, "must be one of"),
    (LENGTHS, CODE, {"column": "Occupancy", "min_value": -1}, "whole number of 0 or more"),
    (MATCH_STRFTIME, DAY, {"column": "Closing Date", "strftime_format": "%c"}, "must be one of"),
    (
        PAIR_GREATER,
        LTV,
        {"column_A": "Original LTV", "column_B": "Original Combined LVT"},
        'perhaps "Original Combined LTV"',
    ),
    (
        PAIR_GREATER,
        LTV,
        {"column_A": "Original LTV", "column_B": "Original LTV"},
        "two different attributes",
    ),
    (
        PAIR_GREATER,
        LTV,
        {"column_A": "Balloon Flag", "column_B": "First Payment Date"},
        "must be the attribute itself",
    ),
    (
        PAIR_EQUAL,
        LTV,
        {"column_A": "Original LTV", "column_B": "Balloon Flag", "ignore_row_if": "never"},
        "both_values_are_missing",
    ),
    (COMPOUND_UNIQUE, CODE, {"column_list": ["Occupancy"]}, "list of 2 to"),
    (COMPOUND_UNIQUE, CODE, {"column_list": ["Occupancy", "Occupancy"]}, "an attribute twice"),
    (
        COMPOUND_UNIQUE,
        CODE,
        {"column_list": ["Balloon Flag", "First Payment Date"]},
        "must contain the attribute itself",
    ),
    (ROW_COUNT, LTV, {"min_value": 1.5}, "whole number of 0 or more"),
    (IN_SET, DOCUMENT, {"column": "Terms", "value_set": ["{}"]}, "does not suit .* JSON"),
]


@pytest.mark.parametrize(("expectation", "attribute", "kwargs", "sentence"), BAD)
def test_a_rule_that_does_not_fit_is_refused_with_what_to_mend(
    expectation: str, attribute: Attribute, kwargs: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(BadExpectation, match=sentence):
        check_expectation(expectation, kwargs, attribute, SIBLINGS)


def nested(depth: int) -> dict[str, Any]:
    condition: dict[str, Any] = COMPARISON
    for _ in range(depth):
        condition = {"type": "and", "conditions": [condition]}
    return condition


@pytest.mark.parametrize(
    "condition",
    [
        COMPARISON,
        {"type": "nullity", "column": {"name": "Balloon Flag"}, "is_null": False},
        {**COMPARISON, "operator": "IN", "parameter": ["Y", "N"]},
        {**COMPARISON, "column": {"name": "Original LTV"}, "operator": ">", "parameter": 0},
        {"type": "or", "conditions": [COMPARISON, nested(2)]},
    ],
)
def test_row_conditions_are_accepted_as_their_tree(condition: dict[str, Any]) -> None:
    check(NOT_NULL, column="Original LTV", row_condition=condition)


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [
        ("Balloon Flag == 'Y'", "must be built of"),
        ({**COMPARISON, "extra": 1}, "must be built of"),
        ({**COMPARISON, "operator": "LIKE"}, "operator of row_condition"),
        ({**COMPARISON, "operator": "IN"}, "list of 1 to"),
        ({**COMPARISON, "operator": "IN", "parameter": ["Y", 1]}, "values of one type"),
        ({**COMPARISON, "parameter": None}, "a text, a number, true or false"),
        ({**COMPARISON, "column": "Balloon Flag"}, "must be written as"),
        ({**COMPARISON, "column": {"name": "Ballon Flag"}}, 'perhaps "Balloon Flag"'),
        ({**COMPARISON, "column": {"name": "Original LTV"}}, "must be a number"),
        ({"type": "and", "conditions": []}, "list of at least one condition"),
        (nested(5), "nested deeper"),
        (
            {"type": "or", "conditions": [{"type": "and", "conditions": [COMPARISON] * 11}] * 2},
            "more than 20 conditions",
        ),
    ],
)
def test_row_conditions_are_refused_with_what_to_mend(condition: Any, sentence: str) -> None:
    with pytest.raises(BadExpectation, match=sentence):
        check(NOT_NULL, column="Original LTV", row_condition=condition)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
NAMES = sorted({name for known in VOCABULARY.values() for name in known.kwargs})
# Values that come near to what is asked for reach further into the check.
NEAR = (
    JSON
    | st.sampled_from(["Original LTV", "Credit Score", "Terms", "Decimal", "%Y%m%d", *SIBLINGS])
    | st.lists(st.sampled_from(["Original LTV", "Occupancy", *SIBLINGS]) | SCALARS)
    | st.fixed_dictionaries(
        {"type": st.sampled_from(["and", "or", "comparison", "nullity"])},
        optional={
            "conditions": st.lists(JSON | st.just(COMPARISON)),
            "column": st.fixed_dictionaries({"name": st.sampled_from(SIBLINGS) | SCALARS}) | JSON,
            "operator": st.sampled_from(["==", "IN", ">", "?"]) | JSON,
            "parameter": JSON,
            "is_null": JSON,
        },
    )
)


@settings(deadline=None)
@given(
    expectation=st.sampled_from(sorted(VOCABULARY)) | st.text(),
    attribute=st.sampled_from([LTV, SCORE, DAY, TIME, CODE, FLAG, DOCUMENT]),
    kwargs=JSON | st.dictionaries(st.sampled_from(NAMES) | st.text(), NEAR),
)
def test_whatever_a_model_sends_is_accepted_or_refused_in_words(
    expectation: str, attribute: Attribute, kwargs: Any
) -> None:
    try:
        check_expectation(expectation, kwargs, attribute, SIBLINGS)
    except BadExpectation as exc:
        str(exc).encode()  # goes into the next prompt
    else:
        assert len(kwargs_hash(kwargs)) == 64


@settings(deadline=None)
@given(st.dictionaries(st.text(), JSON))
def test_the_hash_of_kwargs_does_not_depend_on_their_order(kwargs: dict[str, Any]) -> None:
    assert kwargs_hash(dict(reversed(kwargs.items()))) == kwargs_hash(kwargs)


def condition(*values: str) -> dict[str, Any]:
    return {"column": {"name": "Loan Type"}, "operator": "IN", "parameter": list(values)}


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ({"value_set": ["Y", "N"]}, {"value_set": ["N", "Y", "N"]}),
        ({"value_set": [2, 1]}, {"value_set": [1.0, 2]}),
        ({"column_list": ["a", "b"]}, {"column_list": ["b", "a"]}),
        ({"min_value": 1}, {"min_value": 1, "strict_min": False, "strict_max": False}),
        ({"column_A": "a"}, {"column_A": "a", "ignore_row_if": "both_values_are_missing"}),
        ({"column_list": ["a"]}, {"column_list": ["a"], "ignore_row_if": "all_values_are_missing"}),
        ({"column": "a"}, {"column": "a", "mostly": 1.0}),
        ({"row_condition": condition("1", "2")}, {"row_condition": condition("2", "1")}),
        (
            {"row_condition": {"type": "and", "conditions": [condition("1"), condition("2")]}},
            {"row_condition": {"type": "and", "conditions": [condition("2"), condition("1")]}},
        ),
    ],
)
def test_kwargs_that_mean_the_same_have_the_same_hash(
    one: dict[str, Any], same: dict[str, Any]
) -> None:
    assert kwargs_hash(one) == kwargs_hash(same)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"value_set": [1]}, {"value_set": ["1"]}),
        ({"value_set": [1]}, {"value_set": [True]}),
        ({"min_value": 1}, {"min_value": 1, "strict_min": True}),
        ({"column": "a"}, {"column": "a", "mostly": 0.99}),
        ({"column_A": "a", "column_B": "b"}, {"column_A": "b", "column_B": "a"}),
        ({"column_A": "a"}, {"column_A": "a", "ignore_row_if": "neither"}),
    ],
)
def test_kwargs_that_mean_something_else_have_another_hash(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert kwargs_hash(one) != kwargs_hash(other)


def test_numbers_that_are_equal_have_equal_hashes() -> None:
    assert kwargs_hash({"min_value": 1}) == kwargs_hash({"min_value": 1.0})
    assert kwargs_hash({"min_value": 1}) != kwargs_hash({"min_value": True})
    assert kwargs_hash({"min_value": 1}) != kwargs_hash({"min_value": "1"})
