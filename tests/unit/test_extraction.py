"""What names a record, and where it stands in a text."""

import pytest

from longhaul.core.extraction import DocumentText, identifying

KEYS = {"Loan Number": "4711000017", "Bank": "852218", "Entity Type": "1", "Branch": "000001234567"}


@pytest.mark.parametrize(
    ("different", "names"),
    [
        ({"Loan Number": 25, "Bank": 1, "Entity Type": 4, "Branch": 9}, {"Loan Number"}),
        ({"Loan Number": 25, "Bank": 20, "Entity Type": 4}, {"Loan Number", "Bank"}),
        ({"Loan Number": 6, "Bank": 1}, {"Loan Number"}),
        # Of two samples nothing can be counted; the longest key tells most.
        ({"Loan Number": 2, "Bank": 2, "Branch": 1}, {"Branch"}),
        ({}, {"Branch"}),
        # What was not counted is a day, however long.
        ({"Loan Number": 1, "Bank": 1, "Entity Type": 1}, {"Loan Number"}),
    ],
)
def test_the_keys_that_tell_records_apart_are_found_by_counting(
    different: dict[str, int], names: set[str]
) -> None:
    assert identifying(KEYS, different) == names


def test_without_keys_nothing_identifies() -> None:
    assert identifying({}, {}) == frozenset()


@pytest.mark.parametrize(
    ("text", "is_there"),
    [
        ("Loan 123, of May", True),
        ("loan-123.", True),
        ("(123)", True),
        ("9123", False),
        ("1234", False),
        ("123-4", False),
        ("9-123", False),
        ("123.50", False),
        ("A123", False),
    ],
)
def test_a_value_stands_in_a_text_where_it_is_no_part_of_a_longer_one(
    text: str, is_there: bool
) -> None:
    assert DocumentText(pages=(text,)).holds("123") is is_there
