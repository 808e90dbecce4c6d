"""How values are written: reads every format text that report forms use."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class DataType(StrEnum):
    """What kind of value an attribute holds."""

    STRING = "String"
    INTEGER = "Integer"
    DECIMAL = "Decimal"
    DATE = "Date"
    DATE_TIME = "DateTime"
    BOOLEAN = "Boolean"
    JSON = "JSON"


class UnknownFormat(ValueError):
    """A format text that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """The written form of an attribute's values.

    Attributes:
        length: The limit of characters of a text or a date, of digits of a number.
        scale: The limit of digits after the decimal point.
        pattern: Regular expression that a value matches from `^` to `$`. It only uses syntax
            that Python, PostgreSQL and RE2 read alike.
        strftime: How a date is written, such as `%Y%m%d`; without a day for a month.
    """

    data_type: DataType
    length: int | None = None
    scale: int | None = None
    pattern: str | None = None
    strftime: str | None = None


def parse_format(text: str) -> Format:
    """Read a format text: `Character(32)`, `Numeric, to 2 decimals`, `YYYYMM`, `N12.2`, ….

    Upper and lower case and the width of gaps do not matter.

    Raises:
        UnknownFormat: The text is not a known format; the message quotes it.
    """
    written = " ".join(text.split())
    for form, read in _FORMS:
        found = form.fullmatch(written)
        if found:
            return read(found)
    raise _unknown(text)


_YEAR = "[0-9]{4}"
_MONTH = "(0[1-9]|1[0-2])"
_DAY = "(0[1-9]|[12][0-9]|3[01])"


def _text(found: re.Match[str]) -> Format:
    return Format(data_type=DataType.STRING, length=int(found[1]))


def _whole_number(_: re.Match[str]) -> Format:
    return Format(data_type=DataType.INTEGER, scale=0, pattern="^-?[0-9]+$")


def _numeric(found: re.Match[str]) -> Format:
    scale = None if found[1] is None else int(found[1])
    return Format(data_type=DataType.DECIMAL, scale=scale, pattern=_decimal("[0-9]+", scale))


def _number_code(found: re.Match[str]) -> Format:
    digits, scale = int(found[1]), int(found[2] or 0)
    if scale > digits:
        raise _unknown(found[0])
    if scale == 0:
        pattern = f"^-?[0-9]{{1,{digits}}}$"
        return Format(data_type=DataType.INTEGER, length=digits, scale=0, pattern=pattern)
    before = digits - scale
    pattern = _decimal(f"[0-9]{{1,{before}}}" if before else "0", scale)
    return Format(data_type=DataType.DECIMAL, length=digits, scale=scale, pattern=pattern)


def _date(_: re.Match[str]) -> Format:
    pattern = f"^{_YEAR}{_MONTH}{_DAY}$"
    return Format(data_type=DataType.DATE, length=8, pattern=pattern, strftime="%Y%m%d")


def _month(_: re.Match[str]) -> Format:
    # A month is a Date without a day: it is ordered and compared like one, and strptime
    # reads it as the first of the month. As an Integer 202412 + 1 would be a month,
    # and a String could not be compared with the other dates of its report.
    pattern = f"^{_YEAR}{_MONTH}$"
    return Format(data_type=DataType.DATE, length=6, pattern=pattern, strftime="%Y%m")


def _decimal(before: str, scale: int | None) -> str:
    if scale == 0:
        return f"^-?{before}$"
    after = r"\.[0-9]+" if scale is None else rf"\.[0-9]{{1,{scale}}}"
    return f"^-?({before}({after})?|{after})$"


def _unknown(text: str) -> UnknownFormat:
    return UnknownFormat(f"Unknown format {text[:80]!r}.")


_LENGTH = "([1-9][0-9]{0,3})"
# Two figures only: PostgreSQL repeats no part of a pattern more than 255 times.
_DIGITS = "([1-9][0-9]?)"
_FORMS: Sequence[tuple[re.Pattern[str], Callable[[re.Match[str]], Format]]] = [
    (re.compile(form, re.IGNORECASE | re.ASCII), read)
    for form, read in [
        (rf"Character ?\( ?{_LENGTH} ?\)", _text),
        (f"C{_LENGTH}", _text),
        ("Whole Number", _whole_number),
        (r"Numeric(?:, (?:up )?to ([0-9]{1,2}) decimal(?:s| places?)?)?", _numeric),
        (rf"N{_DIGITS}(?:\.([0-9]{{1,2}}))?", _number_code),
        ("(?:Date )?YYYYMMDD", _date),
        ("(?:Date )?YYYYMM", _month),
    ]
]
