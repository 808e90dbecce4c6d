"""Imported forms: what is read, and the faults of what cannot be."""

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from longhaul.adapters.sample.form import FORMS, TITLES, read_form
from longhaul.core.attributes import Obligation
from longhaul.core.errors import InvalidInput
from longhaul.core.formats import DataType
from longhaul.core.forms import MAX_ATTRIBUTES, FormAttribute, read_csv, read_list, what_differs


def attribute(**fields: Any) -> FormAttribute:
    return FormAttribute.model_validate({"name": "Balance", "format": "N12.2", **fields})


def stored(*attributes: FormAttribute) -> list[Mapping[str, Any]]:
    return [one.model_dump(mode="json") for one in attributes]


@pytest.mark.parametrize("form", sorted(TITLES))
def test_the_forms_of_the_sample_are_read_as_they_lie_there(form: str) -> None:
    found = read_csv((FORMS / f"fry14m_{form}_fields.csv").read_text(encoding="utf-8"))

    wanted = read_form(form).fields
    assert [(one.name, one.line_no, one.mdrm, one.data_type) for one in found] == [
        (one.name, one.line_no, one.mdrm, one.format.data_type) for one in wanted
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_form_may_have_columns_in_any_order_and_lines_that_hold_nothing(delimiter: str) -> None:
    lines = [
        ["Name", "Format", "Key", "mandatory", "description"],
        ["Loan Number", "Character(32)", "Y", "mandatory", '"first, and\nlast"'],
        ["", "", "", "", ""],
        ["Paid", "", "", "n", ""],
    ]
    text = "\ufeff" + "\r\n".join(delimiter.join(cells) for cells in lines)

    with pytest.raises(InvalidInput) as refused:
        read_csv(text)
    assert refused.value.fields == (("/form", "Line 5: give a format or a data type."),)

    lines[0].append("data_type")
    for line, kind in zip(lines[1:], ("", "", "boolean"), strict=True):
        line.append(kind)
    number, paid = read_csv("\r\n".join(delimiter.join(cells) for cells in lines))

    assert (number.line_no, number.is_key, number.mandatory) == (1, True, Obligation.MANDATORY)
    assert number.description == "first, and\nlast"
    assert (paid.line_no, paid.data_type, paid.mandatory) == (
        2,
        DataType.BOOLEAN,
        Obligation.OPTIONAL,
    )


HEADER = "line_no,name,mdrm,mandatory,format\n"
GOOD = "1,Balance,M1,Mandatory,N12.2\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (HEADER + GOOD + "2,Day,M2,Mandatory,DDMMYYYY\n", "Line 3: format: Unknown format"),
        (HEADER + GOOD + '2,"Long\nname",M2,Perhaps,N1\n', "Line 3: mandatory: "),
        (HEADER + "x,Balance,M1,Mandatory,N12.2\n", "Line 2: line_no: "),
        (HEADER + "1,,M1,Mandatory,N12.2\n", "Line 2: name: "),
        (HEADER + GOOD + GOOD, "Line 3: the name already occurs at line 2"),
        (HEADER + GOOD + "2,Balance\n", "Line 3: 2 cells instead of 5"),
        (HEADER + GOOD + '2,"Day,M2,Mandatory,N1\n', "Line 3: it breaks the rules of CSV"),
        (HEADER + GOOD + f"2,{'x' * 131_073},M2,,N1\n", "Line 3: a cell is longer than 2,000"),
        (HEADER, "Line 1: the form has no lines below its first one"),
        ("", "Line 1: the form has no lines"),
        ("name,colour\n", "Line 1: unknown column 'colour'"),
        ("name,name,format\n", "Line 1: the columns need a name, each column once"),
        ("format\nN1\n", "Line 1: the columns need a name"),
    ],
)
def test_a_fault_names_its_line(text: str, complaint: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_csv(text)

    assert complaint in refused.value.sentence
    assert refused.value.fields[0][0] == "/form"


def test_all_faults_of_a_form_are_said_at_once_up_to_a_bound() -> None:
    lines = [f"{number},Day {number},,Mandatory,DD\n" for number in range(30)]

    with pytest.raises(InvalidInput, match="There are 19 more faults") as refused:
        read_csv(HEADER + "".join(lines))

    assert len(refused.value.fields) == 20


def test_faults_of_the_lines_themselves_are_said_with_all_others() -> None:
    lines = [GOOD, "2,Day\n", "3,Due,,Mandatory,DD\n", '4,"Rest,,Mandatory,N1\n']

    with pytest.raises(InvalidInput) as refused:
        read_csv(HEADER + "".join(lines))

    assert [problem.partition(": ")[0] for _, problem in refused.value.fields] == [
        "Line 3",
        "Line 4",
        "Line 5",
    ]


def test_a_form_is_not_read_beyond_the_most_that_it_may_have() -> None:
    lines = [f"{number},Day {number},,Mandatory,N1\n" for number in range(MAX_ATTRIBUTES + 1)]

    with pytest.raises(InvalidInput, match="at most 5,000 attributes"):
        read_csv(HEADER + "".join(lines) + "a line that cannot be read\n")


def test_a_format_and_a_data_type_that_contradict_each_other_are_refused() -> None:
    assert attribute(data_type="decimal").data_type is DataType.DECIMAL
    with pytest.raises(ValidationError, match="is one of Decimal"):
        attribute(data_type="Date")


def test_a_list_has_no_name_twice() -> None:
    with pytest.raises(InvalidInput) as refused:
        read_list([attribute(), attribute(name="Day"), attribute()])

    assert refused.value.fields == (
        ("/attributes/2/name", "Attribute 3: the name already occurs at attribute 1."),
    )


def test_the_same_form_does_not_differ_from_itself() -> None:
    form = read_list([attribute(), attribute(name="Day", format="YYYYMMDD", key=True)])

    assert what_differs(stored(*form), form) == ""


def test_what_a_form_changes_is_named() -> None:
    before = stored(*(attribute(name=name) for name in "ABC"))
    after = [attribute(name="B"), attribute(name="C", cde=True), attribute(name="D")]

    assert what_differs(before, after) == "1 new (D); 1 missing (A); 1 described differently (C)"
