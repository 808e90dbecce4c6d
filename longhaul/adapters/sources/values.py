"""Values as texts and as doubles, the same from every engine."""

import math
from typing import Any

import ibis

# Whole numbers below fit into a bigint, and are written without a point and an exponent.
_WRITTEN_OUT = 1e18

# From here on a number of four bytes has no digits after the point.
_WHOLE_REALS = 2**24


def as_text(column: Any) -> Any:
    """A column as the text that people would write for its values."""
    if column.type().is_floating():
        return _number_as_text(as_double(column))
    # This also takes away the blanks that PostgreSQL fills a character(n) up with.
    return column.cast("string")


def as_double(column: Any) -> Any:
    """A floating column as a double; 0.1 in four bytes is the number that is written so."""
    if not column.type().is_float32():
        return column
    written = column.cast("string").cast("float64")
    return ibis.cases((column.abs() < _WHOLE_REALS, written), else_=column.cast("float64"))


def _number_as_text(number: Any) -> Any:
    # One engine writes 7, NaN and Infinity where the other writes 7.0, nan and inf.
    whole = number.cast("int64")
    other = number.cast("string")
    return ibis.cases(
        (
            number.abs() < _WRITTEN_OUT,
            ibis.cases((number == whole, whole.cast("string")), else_=other),
        ),
        (number.isnan(), "NaN"),
        (number == math.inf, "Infinity"),
        (number == -math.inf, "-Infinity"),
        else_=other,
    )
