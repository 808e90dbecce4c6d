"""Vocabularies of mappings, and when one is stored, approved or left to a person."""

from typing import Any

import pytest

from longhaul.adapters.llm.mapper import ModelMapper
from longhaul.adapters.offline.classification import classify
from longhaul.adapters.offline.mapper import OfflineMapper
from longhaul.core.formats import DataType
from longhaul.core.job_types import BadAnswer
from longhaul.core.mappings import (
    Candidate,
    Level,
    MappingAnswer,
    MappingProposal,
    MappingType,
    PhysicalColumn,
    SecurityClass,
    read_classification,
    read_level,
    read_mapping_type,
    read_security,
)
from tests.job_bench import NoCalls
from tests.rule_samples import form_attributes, make_attribute


class Chooses:
    """A model that is sure of one column."""

    def __init__(self, column: str) -> None:
        self._column = column

    async def ask(self, **_: Any) -> Any:
        return answer(column=self._column, confidence=1.0)


class NoColumns:
    columns = 0

    def shortlist(self, attribute: Any) -> tuple[Candidate, ...]:
        raise AssertionError

    def find(self, source: str | None, table: str | None, column: str) -> None:
        return None


def candidate(name: str, score: float, *rivals: str) -> Candidate:
    column = PhysicalColumn(source_id=1, source="Core", table="loans", name=name)
    return Candidate(column=column, score=score, rivals=rivals)


async def propose(*shortlist: Candidate) -> MappingProposal:
    return await OfflineMapper().propose(make_attribute(), shortlist, NoColumns(), {}, NoCalls())


def answer(**changes: Any) -> MappingAnswer:
    return MappingAnswer.model_validate(
        {
            "mapping_type": "direct",
            "confidence": 0.9,
            "business_process": "Origination",
            "information_security_classification": "Public",
            "criticality": "High",
            "risk": "Low",
            "regulatory_flag": True,
            "pii_flag": False,
            "rationale": "r",
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("Direct", MappingType.DIRECT),
        ("1:1", MappingType.DIRECT),
        ("derived", MappingType.CALCULATED),
        ("Code translation", MappingType.LOOKUP),
        ("rule-based", MappingType.CONDITIONAL),
    ],
)
def test_mapping_types_and_their_synonyms(word: str, meant: MappingType) -> None:
    assert read_mapping_type(word) is meant


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("hrci", SecurityClass.HRCI),
        ("Highly Restricted", SecurityClass.HRCI),
        ("confidential", SecurityClass.CONFIDENTIAL),
        ("Internal use only", SecurityClass.PROPRIETARY),
        ("PUBLIC", SecurityClass.PUBLIC),
    ],
)
def test_security_classes_and_their_synonyms(word: str, meant: SecurityClass) -> None:
    assert read_security(word) is meant


@pytest.mark.parametrize(
    ("word", "meant"), [("HIGH", Level.HIGH), ("moderate", Level.MEDIUM), ("minor", Level.LOW)]
)
def test_levels_and_their_synonyms(word: str, meant: Level) -> None:
    assert read_level(word) is meant


@pytest.mark.parametrize("word", ["", "cosmic", "high low"])
@pytest.mark.parametrize(
    ("read", "kind"),
    [(read_mapping_type, MappingType), (read_security, SecurityClass), (read_level, Level)],
)
def test_other_words_are_refused(read: Any, kind: type, word: str) -> None:
    with pytest.raises(ValueError, match=f"is not a valid {kind.__name__}"):
        read(word)


def test_all_unknown_words_of_an_answer_are_named_without_repeating_them() -> None:
    wrong = answer(information_security_classification="x-1", criticality="x-2", risk="x-3")
    with pytest.raises(BadAnswer) as refused:
        read_classification(wrong, make_attribute())

    assert str(refused.value).splitlines() == [
        "information_security_classification must be one of HRCI, Confidential, Proprietary, "
        "Public.",
        "criticality must be one of High, Medium, Low.",
        "risk must be one of High, Medium, Low.",
    ]


def test_an_answer_without_references_refers_to_the_form() -> None:
    assert read_classification(answer(), make_attribute()).references == (
        "FR Y-14M Schedule A.1, line 8 (M149)",
    )


@pytest.mark.parametrize(
    ("score", "stored", "approved"),
    [(0.49, False, False), (0.5, True, False), (0.84, True, False), (0.85, True, True)],
)
async def test_it_depends_on_the_confidence_what_becomes_of_a_mapping(
    score: float, stored: bool, approved: bool
) -> None:
    proposal = await propose(candidate("orig_ltv", score), candidate("cltv", 0.1))

    assert (proposal.is_stored, proposal.is_auto_approved) == (stored, approved)
    assert [one.column.name for one in proposal.alternatives] == (
        ["cltv"] if stored else ["orig_ltv", "cltv"]
    )


async def test_two_columns_that_names_cannot_tell_apart_are_for_a_person_to_look_at() -> None:
    proposal = await propose(candidate("a", 0.95), candidate("b", 0.94))

    assert proposal.is_stored
    assert not proposal.is_auto_approved


@pytest.mark.parametrize(
    ("chosen", "approved"),
    [("orig_ltv", True), ("ltv_orig", True), ("curr_ltv", False), ("etl_btch_id", False)],
)
async def test_a_model_is_only_believed_of_what_names_say_best(chosen: str, approved: bool) -> None:
    shortlist = (
        candidate("orig_ltv", 0.95),
        candidate("ltv_orig", 0.9),
        candidate("curr_ltv", 0.89),
        candidate("etl_btch_id", 0.1),
    )
    frozen = {"provider": "openai", "model": "gpt-x", "prompt_version": "1"}

    proposal = await ModelMapper().propose(
        make_attribute(), shortlist, NoColumns(), frozen, Chooses(chosen)
    )

    assert proposal.column is not None
    assert proposal.column.name == chosen
    assert (proposal.is_stored, proposal.is_auto_approved) == (True, approved)


async def test_without_candidates_there_is_no_mapping() -> None:
    proposal = await propose()

    assert (proposal.column, proposal.confidence) == (None, 0.0)
    assert not proposal.is_stored


async def test_a_shared_column_is_mapped_on_a_condition() -> None:
    proposal = await propose(candidate("prod_typ_cd", 0.9, "Product Type - Current"))

    assert proposal.mapping_type is MappingType.CONDITIONAL
    assert "Product Type - Current" in proposal.rationale


def test_the_offline_classification_uses_every_class_where_it_belongs() -> None:
    by_name = {one.name: classify(one) for one in form_attributes("a1")}

    assert by_name["Loan Number"].security is SecurityClass.HRCI
    assert by_name["Loan Number"].pii
    assert by_name["Property ZIP Code"].pii
    assert by_name["Unpaid Principal Balance"].security is SecurityClass.CONFIDENTIAL
    assert by_name["Probability of Default – PD"].security is SecurityClass.PROPRIETARY
    assert by_name["Reporting As of Month Date"].security is SecurityClass.PUBLIC
    assert {one.criticality for one in by_name.values()} == set(Level)
    assert {one.risk for one in by_name.values()} == set(Level)
    assert len({one.business_process for one in by_name.values()}) >= 6
    assert not classify(make_attribute("Original LTV", DataType.DECIMAL)).pii
