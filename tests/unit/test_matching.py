"""The word matcher, measured: on the sample forms, on schemes it was not made for, on noise."""

import random
import re
from collections.abc import Callable, Sequence

import pytest

from longhaul.adapters.matching.abbreviations import likeness, skeleton
from longhaul.adapters.matching.alignment import agreement
from longhaul.adapters.matching.finder import SHORTLIST, WordMatcher
from longhaul.adapters.matching.words import readings_of, tokens_of
from longhaul.adapters.sample.form import read_form
from longhaul.core.attributes import Attribute
from longhaul.core.formats import DataType
from longhaul.core.mappings import Candidate, PhysicalColumn
from tests.rule_samples import form_attributes, make_attribute

FORMS = pytest.mark.parametrize("form", ["a1", "b1"])


def column(name: str, table: str = "loans", type: str = "text") -> PhysicalColumn:
    return PhysicalColumn(source_id=1, source="Core", table=table, name=name, type=type)


def columns_of(form: str) -> list[PhysicalColumn]:
    read = read_form(form)
    return [column(one.name, read.table) for one in read.physical_columns()]


def shortlists(
    attributes: Sequence[Attribute], columns: Sequence[PhysicalColumn]
) -> list[tuple[Candidate, ...]]:
    index = WordMatcher().index(columns, [one.name for one in attributes])
    return [index.shortlist(attribute) for attribute in attributes]


# --- The sample forms -----------------------------------------------------------------------


@FORMS
@pytest.mark.parametrize("described", [True, False])
def test_the_true_column_comes_first_for_nine_of_ten(form: str, described: bool) -> None:
    attributes = form_attributes(form, described=described)
    found = shortlists(attributes, columns_of(form))

    having = [
        (one, first) for one, (first, *_) in zip(attributes, found, strict=True) if one.column
    ]
    right = [one for one, first in having if first.column.name == one.column]
    assert len(right) / len(having) >= 0.9


@FORMS
def test_what_has_no_column_is_not_mapped_and_no_decoy_is_taken(form: str) -> None:
    attributes = form_attributes(form)
    best = [
        (attribute, first)
        for attribute, (first, *_) in zip(
            attributes, shortlists(attributes, columns_of(form)), strict=True
        )
    ]

    without = [first for attribute, first in best if attribute.column is None]
    taken = {first.column.name for _, first in best if first.score >= 0.5}
    assert without
    assert max(first.score for first in without) < 0.5
    assert taken
    assert taken.isdisjoint(read_form(form).decoys)


@FORMS
def test_a_column_that_goes_missing_is_seldom_replaced_by_another(form: str) -> None:
    """Each attribute in turn loses its column: what is left must not be taken for it."""
    attributes = [one for one in form_attributes(form) if one.column]
    names = [one.name for one in attributes]
    taken = approved = 0
    for attribute in attributes:
        left = [one for one in columns_of(form) if one.name != attribute.column]
        first, *_ = WordMatcher().index(left, names).shortlist(attribute)
        taken += first.score >= 0.5
        approved += first.score >= 0.85
    assert taken / len(attributes) <= 0.08
    assert approved / len(attributes) <= 0.02


# --- Schemes that the dictionary was not made for -------------------------------------------

SMALL = {
    *("a", "an", "and", "any", "as", "at", "by", "for", "from", "in", "is", "of", "on", "or"),
    *("per", "the", "to", "was", "with"),
}


def words(name: str) -> list[str]:
    found = re.findall("[A-Za-z]+|[0-9]+", re.sub(r"\(.*?\)", "", name))
    return [word.lower() for word in found if word.lower() not in SMALL]


def without_vowels(word: str) -> str:
    return word[0] + re.sub("[aeiou]", "", word[1:])


SCHEMES: dict[str, Callable[[str], str]] = {
    "vowels dropped": lambda name: "_".join(map(without_vowels, words(name))),
    "vowels dropped, four letters": lambda name: "_".join(
        without_vowels(word)[:4] for word in words(name)
    ),
    "four letters": lambda name: "_".join(word[:4] for word in words(name)),
    "three letters": lambda name: "_".join(word[:3] for word in words(name)),
    "camel case": lambda name: "".join(word.capitalize() for word in words(name)),
    "other order": lambda name: "_".join(word[:4] for word in reversed(words(name))),
    "first letters": lambda name: "_".join(
        ("".join(word[0] for word in words(name)[:-1]), without_vowels(words(name)[-1]))
        if len(words(name)) > 2
        else map(without_vowels, words(name))
    ),
}


@FORMS
@pytest.mark.parametrize("scheme", SCHEMES)
def test_other_ways_to_abbreviate_are_understood_as_well(form: str, scheme: str) -> None:
    attributes = form_attributes(form, described=False)
    truth = [SCHEMES[scheme](one.name)[:63] for one in attributes]
    found = shortlists(attributes, [column(name) for name in sorted(set(truth))])

    right = [first.column.name == name for (first, *_), name in zip(found, truth, strict=True)]
    assert sum(right) / len(right) >= 0.9


@FORMS
def test_even_words_that_are_cut_and_glued_are_mostly_told_apart(form: str) -> None:
    attributes = form_attributes(form, described=False)
    truth = ["".join(word[:4] for word in words(one.name))[:63] for one in attributes]
    found = shortlists(attributes, [column(name) for name in sorted(set(truth))])

    right = [first.column.name == name for (first, *_), name in zip(found, truth, strict=True)]
    assert sum(right) / len(right) >= 0.75


# --- Many columns ---------------------------------------------------------------------------

TOKENS = [
    *("acct", "cust", "ln", "pmt", "bal", "trn", "gl", "dept", "emp", "rt", "amt", "dt", "cd"),
    *("flg", "src", "tgt", "ref", "ctr", "rgn", "prd", "ccy", "fx", "trd", "pos", "lmt", "exp"),
    *("eff", "cre", "upd", "usr", "grp", "hdr", "dtl", "seq", "nbr", "idx", "val", "pct", "scr"),
    *("typ", "cls", "seg", "brk", "adj", "fee", "tax", "int"),
]


@FORMS
def test_among_five_thousand_columns_the_true_one_is_still_found(form: str) -> None:
    dice = random.Random(5)
    noise = [
        column("_".join(dice.sample(TOKENS, 3)), f"table_{number % 50}") for number in range(5_000)
    ]
    attributes = form_attributes(form)
    found = shortlists(attributes, [*noise, *columns_of(form)])

    having = [(one, list_) for one, list_ in zip(attributes, found, strict=True) if one.column]
    shown = [one.column in [each.column.name for each in list_] for one, list_ in having]
    first = [one.column == list_[0].column.name for one, list_ in having]
    assert all(len(list_) <= SHORTLIST for list_ in found)
    assert sum(shown) / len(shown) >= 0.98
    assert sum(first) / len(first) >= 0.9


# --- What it knows --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("token", "phrase"),
    [
        ("orig", "origination"),
        ("ln", "loan"),
        ("amt", "amount"),
        ("crd", "credit"),
        ("frzn", "frozen"),
        ("close", "closing"),
        ("upb", "unpaid principal balance"),
        ("tdr", "troubled debt restructure"),
        ("wrtdwn", "write down"),
        ("prepay", "prepay"),
        ("chrgoff", "charge off"),
        ("cltv", "combined ltv"),
        ("reo", "bank owned"),
        ("flags", "flag"),
    ],
)
def test_a_token_stands_for_words(token: str, phrase: str) -> None:
    assert likeness(token, tuple(phrase.split())) >= 0.7


@pytest.mark.parametrize(
    ("token", "phrase"),
    [
        ("reo", "recourse"),
        ("prod", "probability of default"),
        ("mail", "property"),
        ("2", "3"),
        ("a", "amount"),
        ("xyz", "loan"),
        ("", "loan"),
    ],
)
def test_a_token_does_not_stand_for_anything(token: str, phrase: str) -> None:
    assert likeness(token, tuple(phrase.split())) < 0.55 or len(token) < 2


def test_an_acronym_beside_its_words_is_another_way_to_say_them() -> None:
    texts = [
        " ".join(word.text for word in reading)
        for reading in readings_of("Debt to Income (DTI) Back-End at Origination")
    ]
    assert texts == [
        "debt to income back end at origination",
        "dti back end at origination",
    ]


@pytest.mark.parametrize("name", ["cur_ln_amt", "CurLnAmt", "CUR-LN-AMT", "curLn amt"])
def test_columns_are_taken_apart_however_they_are_written(name: str) -> None:
    assert tokens_of(name) == ("cur", "ln", "amt")


def test_vowels_and_doubled_letters_go() -> None:
    assert [skeleton(word) for word in ("escrow", "balloon", "amount", "")] == [
        "escrw",
        "bln",
        "amnt",
        "",
    ]


@pytest.mark.parametrize("name", ["", "!!!", "ÄÖÜ", "的", "a" * 5_000, "x y " * 500])
def test_odd_names_do_no_harm(name: str) -> None:
    odd = make_attribute(name)
    index = WordMatcher().index([column("ln_amt"), column(name), column("")], [name])
    assert all(0 <= one.score <= 1 for one in index.shortlist(odd))
    for reading in readings_of(name):
        assert 0 <= agreement(reading, tokens_of(name)) <= 1


def test_of_equals_the_table_that_is_named_like_the_report_comes_first() -> None:
    attribute = make_attribute("Original LTV")
    columns = [column("orig_ltv_pct", "zz_archive"), column("orig_ltv_pct", "fry14m_schedule_a1")]
    first, second = WordMatcher().index(columns, [attribute.name]).shortlist(attribute)

    assert first.column.table == "fry14m_schedule_a1"
    assert first.score > second.score


@pytest.mark.parametrize(
    ("data_type", "right", "wrong"),
    [
        (DataType.DATE, column("pmt_dt"), column("pmt_cd")),
        (DataType.DECIMAL, column("pmt_amt"), column("pmt_dt")),
        (DataType.STRING, column("pmt", type="varchar"), column("pmt", type="bytea")),
        (DataType.DECIMAL, column("pmt", type="numeric(12,2)"), column("pmt", type="boolean")),
    ],
)
def test_the_kind_of_value_must_fit(
    data_type: DataType, right: PhysicalColumn, wrong: PhysicalColumn
) -> None:
    attribute = make_attribute("Payment", data_type, format="")
    first, second = WordMatcher().index([wrong, right], [attribute.name]).shortlist(attribute)

    assert first.column == right
    assert first.score > second.score


def test_a_column_is_found_by_names_that_leave_no_doubt() -> None:
    columns = [column("id", "a"), column("id", "b"), column("nm", "b")]
    index = WordMatcher().index(columns, [])

    assert index.columns == 3
    assert index.find("Core", "b", "id") == columns[1]
    assert index.find(None, None, "nm") == columns[2]
    assert index.find(None, None, "id") is None
    assert index.find("Core", "b", "ID") is None
    assert index.find("Other", "b", "id") is None


def test_without_columns_nothing_is_shortlisted() -> None:
    assert WordMatcher().index([], []).shortlist(make_attribute()) == ()
