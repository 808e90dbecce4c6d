"""Values as texts and as doubles, the same from every engine."""

import math

import ibis
import ibis.expr.types as ir

# Smaller whole numbers fit into a bigint, and are written without point and exponent.
_WRITTEN_OUT = 1e18

# From here on a number of four bytes has no digits after the point.
_WHOLE_REALS = 2**24


def as_text(column: ir.Column) -> ir.StringValue:
    """A column as text, as people write its values."""
    if column.type().is_floating():
        return _number_as_text(as_double(column))
    # This also removes the padding blanks of a character(n) in PostgreSQL.
    return column.cast("string")


def as_double(column: ir.Column) -> ir.FloatingValue:
    """A floating column as a double; 0.1 in four bytes becomes 0.1."""
    if not column.type().is_float32():
        return column
    written = column.cast("string").cast("float64")
    return ibis.cases((column.abs() < _WHOLE_REALS, written), else_=column.cast("float64"))


def _number_as_text(number: ir.FloatingValue) -> ir.StringValue:
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
