import csv
import re
import shutil
from pathlib import Path

import pytest

from longhaul.adapters.sample.form import FORMS, TITLES, FormError, read_form
from longhaul.core.formats import DataType, Format, UnknownFormat, parse_format

FIELDS = [
    (form, cells["line_no"], cells["format"])
    for form in TITLES
    for cells in csv.DictReader(
        (FORMS / f"fry14m_{form}_fields.csv").read_text(encoding="utf-8").splitlines()
    )
]


def matches(format_text: str, value: str) -> bool:
    pattern = parse_format(format_text).pattern
    assert pattern is not None
    return re.fullmatch(pattern, value) is not None


@pytest.mark.parametrize(("form", "line", "text"), FIELDS, ids=str)
def test_every_format_of_the_forms_parses(form: str, line: str, text: str) -> None:
    parsed = parse_format(text)

    assert parsed.data_type in {DataType.STRING, DataType.INTEGER, DataType.DECIMAL, DataType.DATE}


def test_both_forms_are_complete() -> None:
    forms = [form for form, _, _ in FIELDS]

    assert (forms.count("a1"), forms.count("b1")) == (117, 107)


@pytest.mark.parametrize(
    ("text", "data_type", "length", "scale", "strftime"),
    [
        ("Character(32)", DataType.STRING, 32, None, None),
        ("Character (2)", DataType.STRING, 2, None, None),
        ("C18", DataType.STRING, 18, None, None),
        ("Whole Number", DataType.INTEGER, None, 0, None),
        ("Whole number", DataType.INTEGER, None, 0, None),
        ("N5", DataType.INTEGER, 5, 0, None),
        ("N5.0", DataType.INTEGER, 5, 0, None),
        ("Numeric", DataType.DECIMAL, None, None, None),
        ("Numeric, to 2 decimal places", DataType.DECIMAL, None, 2, None),
        ("Numeric, to 2 decimals", DataType.DECIMAL, None, 2, None),
        ("Numeric, to 1 decimal place", DataType.DECIMAL, None, 1, None),
        ("Numeric, up to 5 decimals", DataType.DECIMAL, None, 5, None),
        ("Numeric, up to 5 decimal places", DataType.DECIMAL, None, 5, None),
        ("N12.2", DataType.DECIMAL, 12, 2, None),
        ("YYYYMMDD", DataType.DATE, 8, None, "%Y%m%d"),
        ("Date YYYYMMDD", DataType.DATE, 8, None, "%Y%m%d"),
        ("YYYYMM", DataType.DATE, 6, None, "%Y%m"),
        ("  date   yyyymm ", DataType.DATE, 6, None, "%Y%m"),
    ],
)
def test_a_format_says_type_length_scale_and_date_form(
    text: str, data_type: DataType, length: int | None, scale: int | None, strftime: str | None
) -> None:
    parsed = parse_format(text)

    assert parsed == Format(
        data_type=data_type, length=length, scale=scale, strftime=strftime, pattern=parsed.pattern
    )


def test_a_text_has_a_length_and_no_pattern() -> None:
    assert parse_format("Character(32)") == Format(data_type=DataType.STRING, length=32)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Whole Number", "0"),
        ("Whole Number", "-125000"),
        ("Numeric", "12"),
        ("Numeric", "-0.123456789"),
        ("Numeric, to 2 decimals", "80"),
        ("Numeric, to 2 decimals", "80.5"),
        ("Numeric, up to 5 decimals", ".06125"),
        ("N12.2", "1234567890.12"),
        ("N2.2", "0.12"),
        ("N5", "12345"),
        ("YYYYMMDD", "20241231"),
        ("YYYYMM", "202412"),
    ],
)
def test_a_pattern_takes_what_is_written_so(text: str, value: str) -> None:
    assert matches(text, value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Whole Number", ""),
        ("Whole Number", "12.0"),
        ("Whole Number", "1,000"),
        ("Whole Number", "٣"),
        ("Numeric", "1e5"),
        ("Numeric", "12."),
        ("Numeric, to 2 decimals", "80.125"),
        ("Numeric, up to 5 decimals", "0.061250"),
        ("N12.2", "12345678901.2"),
        ("N2.2", "1.12"),
        ("N5", "123456"),
        ("YYYYMMDD", "20241301"),
        ("YYYYMMDD", "20241232"),
        ("YYYYMMDD", "2024-12-31"),
        ("YYYYMM", "202413"),
        ("YYYYMM", "20241"),
    ],
)
def test_a_pattern_refuses_what_is_not_written_so(text: str, value: str) -> None:
    assert not matches(text, value)


@pytest.mark.parametrize(
    "text",
    [
        *("", "Roman numerals", "Character()", "Character(0)", "C", "C0", "N", "N0", "N2.5", "N.2"),
        *("Numeric, 2 decimals", "YYYY", "DDMMYYYY", "Whole Numbers", "Character(32) or less"),
    ],
)
def test_an_unknown_format_is_refused_by_its_text(text: str) -> None:
    with pytest.raises(UnknownFormat, match=re.escape(repr(text))):
        parse_format(text)


def test_a_form_with_an_unknown_format_is_refused_by_its_line(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(FORMS, tmp_path / "forms"))
    file = folder / "fry14m_a1_fields.csv"
    lines = file.read_text(encoding="utf-8").splitlines()
    lines[11] = lines[11].replace("Whole Number", "Roman numerals")
    file.write_text("\n".join(lines), encoding="utf-8")

    with pytest.raises(FormError) as refused:
        read_form("a1", folder=folder)

    assert str(refused.value) == ("fry14m_a1_fields.csv, line 12: Unknown format 'Roman numerals'.")
