import asyncio
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longhaul.adapters.offline.evidence import documented_codes, is_fraction, recurring_codes
from longhaul.adapters.offline.rule_writer import OfflineRuleWriter
from longhaul.core.attributes import Attribute, Obligation
from longhaul.core.expectations import (
    BETWEEN,
    COMPOUND_UNIQUE,
    IN_SET,
    MATCH_REGEX,
    MATCH_STRFTIME,
    MEAN,
    NOT_NULL,
    OF_TYPE,
    PAIR_GREATER,
    UNIQUE,
    check_expectation,
    kwargs_hash,
)
from longhaul.core.formats import DataType
from longhaul.core.job_types import Calls
from longhaul.core.rules import RuleDraft, RuleProposal, RuleType, Severity
from tests.fakes import settled
from tests.rule_samples import form_attributes, make_attribute, siblings_of


class NoCalls:
    """The offline analyst must not ask a model anything."""

    async def ask(self, **_: Any) -> Any:
        raise AssertionError("the offline analyst asked a model")


NO_CALLS: Calls = NoCalls()


async def propose(attribute: Attribute, siblings: list[str] | None = None) -> RuleProposal:
    return await OfflineRuleWriter().propose(attribute, siblings or [], {}, NO_CALLS)


async def drafts_of(name: str, form: str = "a1", **changes: Any) -> dict[str, RuleDraft]:
    """The rules of one field of a form, by expectation."""
    attributes = form_attributes(form)
    (attribute,) = [one for one in attributes if one.name == name]
    proposal = await propose(attribute, siblings_of(attribute, attributes))
    return {draft.expectation: draft for draft in proposal.drafts}


@pytest.mark.parametrize("form", ["a1", "b1"])
@pytest.mark.parametrize("described", [True, False])
async def test_every_field_of_the_forms_gets_three_to_five_rules_that_fit(
    form: str, described: bool
) -> None:
    attributes = form_attributes(form, described=described)
    types: Counter[str] = Counter()
    dimensions: Counter[RuleType] = Counter()

    for attribute in attributes:
        siblings = siblings_of(attribute, attributes)
        drafts = (await propose(attribute, siblings)).drafts
        assert 3 <= len(drafts) <= 5, attribute.name
        for draft in drafts:
            check_expectation(draft.expectation, draft.kwargs, attribute, siblings)
            assert draft.rationale
            assert draft.regulatory_reference.endswith(f"({attribute.mdrm})")
            assert 0 < draft.confidence < 1
        types.update(draft.expectation for draft in drafts)
        dimensions.update(draft.rule_type for draft in drafts)

    assert len(attributes) == {"a1": 117, "b1": 107}[form]
    assert len(types) >= 8
    assert set(dimensions) == set(RuleType)
    assert max(types.values()) < sum(types.values()) / 3, "one rule for everything"


async def test_the_same_attribute_always_gets_the_same_rules() -> None:
    attributes = form_attributes("a1")
    siblings = siblings_of(attributes[7], attributes)

    assert await propose(attributes[7], siblings) == await propose(attributes[7], siblings)


async def test_a_credit_score_lies_where_the_bureaus_say() -> None:
    drafts = await drafts_of("Origination Credit Bureau Score")

    assert drafts[BETWEEN].kwargs == {
        "column": "Origination Credit Bureau Score",
        "min_value": 300,
        "max_value": 850,
    }
    assert drafts[BETWEEN].severity is Severity.CRITICAL
    assert "300 to 850" in drafts[BETWEEN].rationale
    assert drafts[MEAN].rule_type is RuleType.ACCURACY


async def test_a_first_payment_comes_after_the_closing() -> None:
    rule = (await drafts_of("First Payment Date"))[PAIR_GREATER]

    assert rule.kwargs == {
        "column_A": "First Payment Date",
        "column_B": "Loan Closing Date",
        "or_equal": False,
        "ignore_row_if": "either_value_is_missing",
    }
    assert rule.rule_type is RuleType.CONSISTENCY


async def test_what_names_the_record_is_unique_and_the_rest_of_its_key_together_with_it() -> None:
    number = await drafts_of("Loan Number")
    month = await drafts_of("Reporting As of Month Date")
    bank = await drafts_of("National Bank RSSD ID")

    # A history has a loan once a month.
    loan_and_month = ["Loan Number", "Reporting As of Month Date"]
    assert number[COMPOUND_UNIQUE].severity is Severity.CRITICAL
    assert number[COMPOUND_UNIQUE].kwargs == {"column_list": loan_and_month}
    assert UNIQUE not in number
    assert month[COMPOUND_UNIQUE].kwargs == {"column_list": loan_and_month}
    assert bank[COMPOUND_UNIQUE].kwargs["column_list"][:2] == loan_and_month
    assert month[MATCH_STRFTIME].kwargs["strftime_format"] == "%Y%m"


async def test_without_a_period_what_names_the_record_is_unique_by_itself() -> None:
    number = make_attribute("Loan Number", DataType.STRING, format="Character(32)", is_key=True)

    proposal = await OfflineRuleWriter().propose(number, ["Original LTV"], {}, NoCalls())

    assert {"column": "Loan Number"} in [
        draft.kwargs for draft in proposal.drafts if draft.expectation == UNIQUE
    ]


async def test_a_conditional_field_is_only_needed_where_another_calls_for_it() -> None:
    before = await drafts_of("Interest Rate Before Modification")
    sale = await drafts_of("Foreclosure Sale Date")

    assert before[NOT_NULL].kwargs["row_condition"] == {
        "type": "nullity",
        "column": {"name": "Last Modified Date"},
        "is_null": False,
    }
    assert NOT_NULL not in sale


async def test_codes_that_the_description_explains_are_the_only_ones() -> None:
    assert (await drafts_of("Occupancy"))[IN_SET].kwargs["value_set"] == ["1", "2", "3", "U"]
    assert "CA" in (await drafts_of("Property State"))[IN_SET].kwargs["value_set"]


async def test_codes_are_not_guessed_without_evidence() -> None:
    code = make_attribute("Loan Type", DataType.STRING, format="Character(1)")

    assert IN_SET not in {draft.expectation for draft in (await propose(code)).drafts}


async def test_shares_are_bounded_in_the_unit_they_are_written_in() -> None:
    percent = make_attribute("Original Interest Rate", sample_values=("6.125", "3.5"))
    fraction = make_attribute("Original Interest Rate", sample_values=("0.06125", "0.035"))

    found = [
        draft.kwargs["max_value"]
        for attribute in (percent, fraction)
        for draft in (await propose(attribute)).drafts
        if draft.expectation == BETWEEN
    ]
    assert found == [25, 0.25]


async def test_critical_and_troubled_attributes_get_graver_rules() -> None:
    plain, critical = [
        {draft.expectation: draft.severity for draft in (await propose(attribute)).drafts}
        for attribute in (make_attribute(), make_attribute(is_cde=True))
    ]

    assert (plain[NOT_NULL], critical[NOT_NULL]) == (Severity.HIGH, Severity.CRITICAL)
    assert (plain[OF_TYPE], critical[OF_TYPE]) == (Severity.MEDIUM, Severity.HIGH)


async def test_a_rule_that_the_values_contradict_is_left_out() -> None:
    iso = make_attribute(
        "Loan Closing Date",
        DataType.DATE,
        format="YYYYMMDD",
        sample_values=("2015-04-01", "2018-09-15", "2022-01-03"),
    )

    proposal = await propose(iso)

    assert MATCH_STRFTIME not in {draft.expectation for draft in proposal.drafts}


async def test_one_odd_value_among_five_contradicts_nothing() -> None:
    zip_code = make_attribute(
        "Property ZIP Code",
        DataType.STRING,
        format="Character(5)",
        sample_values=("94105", "75201", "10001", "33101", "ABC"),
    )

    assert MATCH_REGEX in {draft.expectation for draft in (await propose(zip_code)).drafts}


async def test_a_repeated_form_is_paired_within_its_copy() -> None:
    day = make_attribute("First Payment Date (2)", DataType.DATE, format="YYYYMMDD")

    proposal = await propose(day, ["Loan Closing Date", "Loan Closing Date (2)"])

    (pair,) = [draft for draft in proposal.drafts if draft.expectation == PAIR_GREATER]
    assert pair.kwargs["column_B"] == "Loan Closing Date (2)"


async def test_the_analyst_says_that_no_model_was_asked() -> None:
    proposal = await propose(make_attribute())

    assert (proposal.provider, bool(proposal.model), proposal.prompt_version) == (
        "offline",
        True,
        "3",
    )


async def test_the_analyst_takes_its_time_when_told_to() -> None:
    attribute = make_attribute()
    quick, slow = (
        asyncio.create_task(
            OfflineRuleWriter(seconds_per_item=seconds).propose(attribute, [], {}, NO_CALLS)
        )
        for seconds in (0, 3_600)
    )
    await settled()
    slow.cancel()

    assert quick.done()
    with pytest.raises(asyncio.CancelledError):
        await slow


@pytest.mark.parametrize(
    ("description", "codes"),
    [
        ("Who lives in it: 1 the owner, 2 a tenant, U unknown.", ["1", "2", "U"]),
        ("Whether the rate was fixed (1) or adjustable (2).", ["1", "2"]),
        ("The chapter: 07, 11, 12 or 13; only in bankruptcy.", ["07", "11", "12", "13"]),
        ("The insurer, by number 1 to 3; 0 where there is none.", ["0", "1", "2", "3"]),
        ("In the same codes 01 to 03 as the other.", ["01", "02", "03"]),
        ("How late: 0 not late, 1 to 3 for 30, 60 and 90 days.", []),
        ("The months, usually 180 or 360.", []),
        ("A day on which I did nothing.", []),
        ("", []),
    ],
)
def test_codes_are_read_from_a_description_unless_a_number_may_be_something_else(
    description: str, codes: list[str]
) -> None:
    assert documented_codes(description) == codes


def test_values_show_codes_only_when_few_recur_among_many() -> None:
    few = make_attribute(sample_values=("A", "B", "A"))
    many = make_attribute(sample_values=("A", "B") * 5)

    assert recurring_codes(few) == []
    assert recurring_codes(many) == ["A", "B"]


def test_the_description_decides_about_the_unit_before_the_values_do() -> None:
    said = make_attribute(description="As a fraction.", sample_values=("80.00",))

    assert is_fraction(said) is True
    assert is_fraction(make_attribute(sample_values=("80.00",))) is False
    assert is_fraction(make_attribute()) is None


FORMATS = ("", "Character(1)", "Character(40)", "N12.2", "Whole Number", "YYYYMMDD", "???")
FIELDS = [*form_attributes("a1"), *form_attributes("b1")]
NAMES = sorted({field.name for field in FIELDS} | {"Original LTV (3)"})
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)


@settings(deadline=None)
@given(
    attribute=st.builds(
        make_attribute,
        st.sampled_from(NAMES) | st.text(min_size=1, max_size=20),
        st.sampled_from(list(DataType)),
        mandatory=st.sampled_from(list(Obligation)),
        description=st.text(max_size=60) | st.from_regex("[A-Z]: 1 a, [0-9]{1,2} b, U c"),
        format=st.sampled_from(FORMATS),
        is_key=st.booleans(),
        is_cde=st.booleans(),
        has_issues=st.booleans(),
        sample_values=st.lists(VALUES | st.just(10**400), max_size=12).map(tuple),
    ),
    siblings=st.lists(st.sampled_from(FIELDS), max_size=40),
)
async def test_any_attribute_gets_three_to_five_different_rules_that_fit(
    attribute: Attribute, siblings: list[Attribute]
) -> None:
    names = siblings_of(attribute, siblings)

    drafts = (await propose(attribute, names)).drafts

    assert 3 <= len({(one.expectation, kwargs_hash(one.kwargs)) for one in drafts}) <= 5
    assert [draft.execution_order for draft in drafts] == list(range(1, len(drafts) + 1))
    for draft in drafts:
        check_expectation(draft.expectation, draft.kwargs, attribute, names)
