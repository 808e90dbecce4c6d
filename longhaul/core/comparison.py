"""Compares an expected value with a found one as a person would read them.

It says how they differ; people decide whether the test passes.
"""

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal, InvalidOperation, localcontext
from enum import StrEnum
from typing import Any

from longhaul.core.dates import Moment, read_moment
from longhaul.core.formats import DataType


class Kind(StrEnum):
    """The type as which two values were compared."""

    MISSING = "missing"
    NUMBER = "number"
    DATE = "date"
    BOOLEAN = "boolean"
    JSON = "json"
    TEXT = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How a found value compares with the expected one.

    Attributes:
        kind: The type as which both were read.
        difference: Found minus expected, for dates in days. None where it cannot be computed.
        expected: As it was read, in normal form; None when it is missing.
        notes: Differences that were ignored: `case`, `padding`, `percent`, ….
    """

    equal: bool
    kind: Kind
    difference: str | None = None
    expected: str | None = None
    found: str | None = None
    notes: tuple[str, ...] = ()

    def to_json(self) -> Mapping[str, Any]:
        """The comparison as it is stored."""
        return {
            "equal": self.equal,
            "kind": self.kind,
            "difference": self.difference,
            "expected": self.expected,
            "found": self.found,
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it was written."""

    value: Decimal
    is_percent: bool = False


def compare(expected: object, found: object, data_type: DataType) -> Comparison:
    """Compare two values of an attribute.

    Values that cannot be read as the attribute's type are compared as texts.
    """
    left, right = _text(expected), _text(found)
    if left is None or right is None:
        return Comparison(
            equal=left is right is None, kind=Kind.MISSING, expected=left, found=right
        )
    typed = None
    if data_type in (DataType.INTEGER, DataType.DECIMAL):
        typed = _compare_numbers(left, right)
    elif data_type in (DataType.DATE, DataType.DATE_TIME):
        typed = _compare_dates(left, right)
    elif data_type is DataType.BOOLEAN:
        typed = _compare_booleans(left, right)
    elif data_type is DataType.JSON:
        typed = _compare_json(left, right)
    return typed or _compare_texts(left, right)


_CURRENCY = re.compile(r"^(?:USD|EUR|GBP|US\$|[$€£¥])\s*|\s*(?:USD|EUR|GBP|[$€£¥])$", re.IGNORECASE)
_GAPS = re.compile(r"(?<=[0-9])[ '’\u00a0\u202f](?=[0-9]{3}(?![0-9]))")
_ENGLISH = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?")
_EUROPEAN = re.compile(r"[0-9]{1,3}(?:\.[0-9]{3})+,[0-9]+|[0-9]+,(?:[0-9]{1,2}|[0-9]{4,})")
_PLAIN = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")

# A number with more digits than this is not an amount.
_LONGEST = 100

# Digits that no sum of two such numbers exceeds, with exponents of three digits.
_EXACT = 2_300


def read_number(text: str) -> Number | None:
    """Read a number with signs, brackets, currency, percent and thousands separators."""
    text = _usual(text).replace("\u2212", "-").strip()
    if len(text) > _LONGEST:
        return None
    is_negative = False
    if text.startswith("(") and text.endswith(")"):
        is_negative, text = True, text[1:-1].strip()
    if text.endswith("-"):
        is_negative, text = not is_negative, text[:-1].rstrip()
    text, sign = _without_sign(text)
    text = _CURRENCY.sub("", text)
    text, inner = _without_sign(text)
    is_percent = text.endswith("%")
    digits = _plain(_GAPS.sub("", text.removesuffix("%").strip()))
    if digits is None:
        return None
    try:
        value = Decimal(digits)
    except InvalidOperation:
        return None
    # A minus before it would round it.
    return Number(value.copy_negate() if is_negative ^ sign ^ inner else value, is_percent)


def _without_sign(text: str) -> tuple[str, bool]:
    if text[:1] in ("+", "-"):
        return text[1:].lstrip(), text[0] == "-"
    return text, False


def _plain(text: str) -> str | None:
    if _PLAIN.fullmatch(text):
        return text
    if _ENGLISH.fullmatch(text):
        return text.replace(",", "")
    if _EUROPEAN.fullmatch(text):
        return text.replace(".", "").replace(",", ".")
    return None


def _compare_numbers(left: str, right: str) -> Comparison | None:
    expected, found = read_number(left), read_number(right)
    if expected is None or found is None:
        return None
    notes = []
    value, other = expected.value, found.value
    with localcontext(prec=_EXACT):
        if expected.is_percent != found.is_percent:
            notes.append("percent")
            # 80 % is written as 80 in one place and as 0.8 in the next.
            if value != other:
                shrunk = (_hundredth(expected), _hundredth(found))
                if shrunk[0] == shrunk[1]:
                    value, other = shrunk
        difference = other - value
    return Comparison(
        equal=value == other,
        kind=Kind.NUMBER,
        difference=_written(difference),
        expected=_written(expected.value),
        found=_written(found.value),
        notes=tuple(notes),
    )


def _hundredth(number: Number) -> Decimal:
    return number.value.scaleb(-2) if number.is_percent else number.value


def _written(value: Decimal) -> str:
    if value == 0:
        return "0"
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _compare_dates(left: str, right: str) -> Comparison | None:
    expected, found = read_moment(left), read_moment(right)
    if expected is None or found is None:
        return None
    coarse = min(expected.precision, found.precision)
    notes = () if expected.precision is found.precision else (f"compared_by_{coarse.name.lower()}",)
    value, other = expected.cut(coarse), found.cut(coarse)
    return Comparison(
        equal=value == other,
        kind=Kind.DATE,
        difference=_days(other.at - value.at),
        expected=_shown(expected),
        found=_shown(found),
        notes=notes,
    )


def _days(difference: timedelta) -> str:
    return _written(
        Decimal(difference.days) + (Decimal(difference.seconds) / 86_400).quantize(Decimal("1e-6"))
    )


def _shown(moment: Moment) -> str:
    return str(moment)


_TRUE = frozenset({"y", "yes", "true", "t", "1", "x"})
_FALSE = frozenset({"n", "no", "false", "f", "0"})


def _compare_booleans(left: str, right: str) -> Comparison | None:
    values = []
    for text in (left, right):
        word = text.casefold()
        if word not in _TRUE | _FALSE:
            return None
        values.append(word in _TRUE)
    return Comparison(
        equal=values[0] == values[1],
        kind=Kind.BOOLEAN,
        expected=str(values[0]).lower(),
        found=str(values[1]).lower(),
    )


def _compare_json(left: str, right: str) -> Comparison | None:
    try:
        texts = [
            json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
            for text in (left, right)
        ]
    except (ValueError, RecursionError):
        return None
    return Comparison(equal=texts[0] == texts[1], kind=Kind.JSON, expected=texts[0], found=texts[1])


# In the order in which they are tried; the first that makes them equal is noted.
_OVERLOOKED = (
    ("spaces", lambda text: " ".join(text.split())),
    ("case", str.casefold),
    ("padding", lambda text: text.lstrip("0") or "0" if text.isdecimal() else text),
)


def _compare_texts(left: str, right: str) -> Comparison:
    expected, found = _usual(left), _usual(right)
    notes: list[str] = []
    equal = expected == found
    for note, simplify in _OVERLOOKED:
        if equal:
            break
        simpler = simplify(expected), simplify(found)
        if simpler != (expected, found):
            notes.append(note)
        expected, found = simpler
        equal = expected == found
    return Comparison(
        equal=equal,
        kind=Kind.TEXT,
        expected=left,
        found=right,
        notes=tuple(notes) if equal else (),
    )


# 1\u00b2 is not 12, and a digit in a circle or a fraction is not one either.
_MEANING = ("<super>", "<circle>", "<fraction>")


def _usual(text: str) -> str:
    """A text in normal characters, except those whose form has a meaning."""
    parts = (
        char
        if unicodedata.decomposition(char).startswith(_MEANING)
        else unicodedata.normalize("NFKC", char)
        for char in text
    )
    return unicodedata.normalize("NFC", "".join(parts))


def _text(value: object) -> str | None:
    """A value as text without the space around it; None when it is empty."""
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    text = json.dumps(value) if isinstance(value, dict | list) else str(value)
    return text.replace("\x00", "").strip() or None
