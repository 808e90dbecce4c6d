from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longhaul.core.comparison import Kind, compare, read_number
from longhaul.core.formats import DataType

NUMBER, DATE, TEXT = DataType.DECIMAL, DataType.DATE, DataType.STRING

numbers = st.decimals(
    min_value=-(10**12), max_value=10**12, places=4, allow_nan=False, allow_infinity=False
)
dates = st.dates(min_value=date(1900, 1, 1), max_value=date(2199, 12, 31))


@pytest.mark.parametrize(
    ("expected", "found", "data_type"),
    [
        ("1234.50", "$1,234.5", NUMBER),
        ("-1234.5", "(1,234.50)", NUMBER),
        ("-12", "12-", NUMBER),
        ("-12", "$ -12.00", NUMBER),
        ("-12", "-$12.00", NUMBER),
        ("-12", "\u221212", NUMBER),
        ("1234567.89", "1.234.567,89", NUMBER),
        ("12.5", "12,5", NUMBER),
        ("1234567", "1 234 567", NUMBER),
        ("80.00", "80%", NUMBER),
        ("0.8", "80 %", NUMBER),
        ("0", "-0.00", NUMBER),
        ("007", "7", DataType.INTEGER),
        ("1500", "1.5e3", NUMBER),
        (Decimal("1.10"), 1.1, NUMBER),
        ("20240305", "2024-03-05", DATE),
        ("20240305", "03/05/2024", DATE),
        ("20240325", "25/03/2024", DATE),
        ("20240305", "March 5, 2024", DATE),
        ("20240305", "5-Mar-2024", DATE),
        ("20240905", "Sept 5th, 2024", DATE),
        ("20240305", "05.03.2024", DATE),
        (date(2024, 3, 5), "20240305", DATE),
        ("202403", "March 2024", DATE),
        ("202403", "2024-03-31", DATE),
        ("2024-03-05", "2024-03-05T00:00:00Z", DATE),
        ("2024-03-05T12:00:00Z", "2024-03-05 14:00:00+02:00", DataType.DATE_TIME),
        # As PostgreSQL and DuckDB write a time with a zone.
        ("2024-03-05 12:00:00+00", "2024-03-05T12:00:00Z", DataType.DATE_TIME),
        ("2024-03-05 12:00:00.5-05", "2024-03-05T17:00:00.5", DataType.DATE_TIME),
        ("2024-03-05 00:00:00+00", "March 5, 2024", DATE),
        ("Y", "yes", DataType.BOOLEAN),
        (False, "N", DataType.BOOLEAN),
        ('{"a": 1, "b": [2]}', '{"b":[2],"a":1}', DataType.JSON),
        ("Fixed Rate", " fixed   rate ", TEXT),
        ("0004711", "4711", TEXT),
        ("ﬁxed", "FIXED", TEXT),
        ("cafe\u0301", "café", TEXT),
        ("12", "\uff11\uff12", NUMBER),
        (None, "  ", TEXT),
        ("N/A", "n/a", NUMBER),
    ],
)
def test_values_that_mean_the_same_are_equal(
    expected: object, found: object, data_type: DataType
) -> None:
    assert compare(expected, found, data_type).equal
    assert compare(found, expected, data_type).equal


@pytest.mark.parametrize(
    ("expected", "found", "data_type", "difference"),
    [
        ("100", "100.01", NUMBER, "0.01"),
        ("0.8", "8%", NUMBER, "7.2"),
        ("1,234", "1.234", NUMBER, "-1232.766"),
        ("20240305", "2024-03-06", DATE, "1"),
        ("2024-03-05T12:00:00", "2024-03-05T06:00:00", DataType.DATE_TIME, "-0.25"),
        ("1" * 40, "1" * 39 + "2", NUMBER, "1"),
        ("-" + "1" * 40, "(" + "1" * 39 + "3)", NUMBER, "-2"),
        ("0." + "1" * 40, "0." + "1" * 40 + "1", NUMBER, f"0.{'0' * 40}1"),
        ("1" * 32 + "%", "0." + "1" * 32, NUMBER, f"-{'1' * 31}0.{'8' * 31}9"),
        ("12", "1²", NUMBER, None),
        ("12", "1²", TEXT, None),
        ("1", "①", NUMBER, None),
        ("100", None, NUMBER, None),
        ("100", "hundred", NUMBER, None),
        ("20240230", "2024-02-29", DATE, None),
        ("4711", "47110", TEXT, None),
        ("80.0", "80", TEXT, None),
        ("0", "O", TEXT, None),
        ("Y", "N", DataType.BOOLEAN, None),
    ],
)
def test_values_that_differ_say_by_how_much(
    expected: object, found: object, data_type: DataType, difference: str | None
) -> None:
    compared = compare(expected, found, data_type)

    assert not compared.equal
    assert compared.difference == difference


def test_what_was_overlooked_is_noted() -> None:
    assert compare("ABC", "abc", TEXT).notes == ("case",)
    assert compare("007", "7", TEXT).notes == ("padding",)
    assert compare("80", "80%", NUMBER).notes == ("percent",)
    assert compare("202403", "2024-03-09", DATE).notes == ("compared_by_month",)
    assert compare("same", "same", TEXT).notes == ()


@given(numbers, numbers)
def test_the_difference_of_numbers_is_exact(one: Decimal, other: Decimal) -> None:
    compared = compare(str(one), f"{other:,}", NUMBER)

    assert compared.kind is Kind.NUMBER
    assert compared.difference is not None
    assert Decimal(compared.difference) == other - one
    assert compared.equal == (one == other)


@given(numbers, st.sampled_from(["{:,}", "${:,}", "{}", "{} USD", "  {}  ", "+{}"]))
def test_a_number_reads_the_same_however_it_is_written(value: Decimal, form: str) -> None:
    read = read_number(form.format(abs(value)))

    assert read is not None
    assert read.value == abs(value)


@given(dates, dates, st.sampled_from(["%Y%m%d", "%Y-%m-%d", "%m/%d/%Y", "%d.%m.%Y", "%B %d, %Y"]))
def test_dates_are_compared_as_dates(one: date, other: date, form: str) -> None:
    compared = compare(one.strftime("%Y%m%d"), other.strftime(form), DATE)

    assert compared.kind is Kind.DATE
    assert compared.difference == str((other - one) // timedelta(days=1))


@given(st.text(), st.text(), st.sampled_from(DataType))
def test_comparing_never_breaks_and_has_no_sides(one: str, other: str, data_type: DataType) -> None:
    assert compare(one, other, data_type).equal == compare(other, one, data_type).equal
    assert compare(one, one, data_type).equal
