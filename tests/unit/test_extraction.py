"""The keys of a record, and where they occur in a text."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longhaul.adapters.offline.labels import behind
from longhaul.core.extraction import DocumentText, Question, identifying
from longhaul.core.layout import read_lines, read_separated, tables
from longhaul.core.records import Records
from tests.rule_samples import make_attribute

KEYS = {"Loan Number": "4711000017", "Bank": "852218", "Entity Type": "1", "Branch": "000001234567"}


@pytest.mark.parametrize(
    ("different", "names"),
    [
        ({"Loan Number": 25, "Bank": 1, "Entity Type": 4, "Branch": 9}, {"Loan Number"}),
        ({"Loan Number": 25, "Bank": 20, "Entity Type": 4}, {"Loan Number", "Bank"}),
        ({"Loan Number": 6, "Bank": 1}, {"Loan Number"}),
        # With two samples counting is not possible; the longest key tells most.
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


class Watched(str):
    """A text that counts the characters that are cut out of it and of its lines."""

    cut: list[int]

    def __new__(cls, text: str, cut: list[int]) -> "Watched":
        self = super().__new__(cls, text)
        self.cut = cut
        return self

    def __getitem__(self, key: Any) -> str:
        part = super().__getitem__(key)
        self.cut.append(len(part))
        return part

    def split(self, *args: Any) -> list[str]:
        return [Watched(line, self.cut) for line in super().split(*args)]


@pytest.mark.parametrize(
    "text",
    [
        ",".join(f'{{"loan_number": "{4711000000 + n}", "upb": {n}.5}}' for n in range(1_000)),
        "Loan Number x " * 2_000,
    ],
)
def test_of_a_long_line_a_key_is_looked_for_close_behind_its_name_only(text: str) -> None:
    cut: list[int] = []
    question = Question(attribute=make_attribute("UPB"), keys={"Loan Number": "4711000017"})

    records = Records(question, DocumentText(pages=(Watched(text, cut),)))

    assert len(records.lines[0]) == 1
    assert sum(cut) < 100 * len(text)


@pytest.mark.parametrize(("read", "between"), [(read_lines, "  "), (read_separated, ",")])
def test_a_row_belongs_to_one_table_of_a_label(read: Any, between: str) -> None:
    lines = ("Loan Number", "State"), ("4711000017", "TX")

    found = list(tables(read("\n".join(map(between.join, lines * 500))), re.compile("Loan Number")))

    assert [len(table.rows) for table in found] == [1] * 500


def test_of_equal_titles_of_a_table_the_first_few_count() -> None:
    lines = read_lines("  ".join(["UPB"] * 1_000) + "\n1  2\n")

    assert len(list(tables(lines, re.compile("UPB")))) == 10


def test_a_field_behind_doubled_quotes_is_found_where_it_stands() -> None:
    text = '"a ""b"" c",17,"d"'

    (line,) = read_separated(text)

    assert [cell.text for cell in line.cells] == ['a "b" c', "17", "d"]
    assert text[line.cells[1].start :].startswith("17")
    assert text[line.cells[2].start :].startswith("d")


def test_a_label_behind_a_gap_as_long_as_a_page_is_found() -> None:
    # Were the gap looked through from each of its characters, this would not end.
    found = behind(make_attribute("UPB")).search(" " * 1_000_000 + "UPB: 17")

    assert found is not None
    assert found["value"] == "17"


@given(st.text(alphabet="ab1,;\"'\r\n\t\0 \u2028", max_size=60))
def test_any_text_can_be_read_as_fields(text: str) -> None:
    lines = read_separated(text)

    assert "\n".join(line.text for line in lines) == text


def test_a_lone_return_is_a_space_within_a_line() -> None:
    first, second = read_separated("loan_number,a\rb\r\n17,x\r\n")[:2]

    assert [(cell.text, cell.start) for cell in first.cells] == [("loan_number", 0), ("a b", 12)]
    assert [(cell.text, cell.start) for cell in second.cells] == [("17", 17), ("x", 20)]
