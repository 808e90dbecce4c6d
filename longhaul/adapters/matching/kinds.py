"""The kind of value of a column, by its name and type, and whether an attribute fits."""

from collections.abc import Mapping, Sequence

from longhaul.core.attributes import Attribute
from longhaul.core.formats import DataType, UnknownFormat, parse_format
from longhaul.core.mappings import PhysicalColumn

_NUMBERS = frozenset({DataType.INTEGER, DataType.DECIMAL})
_MOMENTS = frozenset({DataType.DATE, DataType.DATE_TIME})
_TEXTS = frozenset({DataType.STRING, DataType.JSON})
_CODES = _TEXTS | _NUMBERS | {DataType.BOOLEAN}

# The kind of value that the last token of a column's name stands for.
KIND_TOKENS: Mapping[str, frozenset[DataType]] = {
    **dict.fromkeys(("amt", "amount", "bal", "prc", "val"), _NUMBERS),
    **dict.fromkeys(("pct", "percent", "rt", "rate", "ratio"), _NUMBERS),
    **dict.fromkeys(("cnt", "count", "qty", "scr", "score"), _NUMBERS | {DataType.STRING}),
    **dict.fromkeys(("dt", "date"), _MOMENTS),
    **dict.fromkeys(("ts", "timestamp"), _MOMENTS),
    **dict.fromkeys(("mth", "month", "yr", "year"), _MOMENTS | _NUMBERS),
    **dict.fromkeys(("cd", "code", "typ", "type"), _CODES),
    **dict.fromkeys(("flg", "flag", "ind", "yn"), _CODES),
    **dict.fromkeys(("nm", "name", "desc", "txt"), _TEXTS),
    **dict.fromkeys(("id", "nbr", "num", "no"), _CODES),
}

_LONGEST_CODE = 10
_FLAG_TOKENS = frozenset({"flg", "flag", "ind", "yn"})
_NAME_TOKENS = frozenset({"nm", "name", "desc", "txt"})

# The beginnings of type names; others stand for no kind.
_TYPES: Sequence[tuple[tuple[str, ...], frozenset[DataType]]] = (
    (("bool",), frozenset({DataType.BOOLEAN, DataType.STRING, DataType.INTEGER})),
    (("date", "timestamp", "time"), _MOMENTS),
    # Dates are often kept as numbers such as 20250630.
    (("int", "bigint", "smallint", "long", "uint"), _NUMBERS | _MOMENTS | {DataType.STRING}),
    (("numeric", "decimal", "double", "float", "real", "money", "number"), _NUMBERS | _MOMENTS),
    (("json", "struct", "map", "array", "list"), frozenset({DataType.JSON, DataType.STRING})),
    (("bytea", "blob", "binary", "geometry"), frozenset()),
)

_MISFIT, _POOR, _FITS = 0.5, 0.85, 1.0


def is_kind(token: str) -> bool:
    """Whether a token only says what kind of value a column has."""
    return token in KIND_TOKENS


def fit(attribute: Attribute, column: PhysicalColumn, tokens: Sequence[str]) -> float:
    """How well the kind of value fits: 1, or less if name or type contradict."""
    return min(_fit_of_name(attribute, tokens), _fit_of_type(attribute, column))


def _fit_of_name(attribute: Attribute, tokens: Sequence[str]) -> float:
    words = [token for token in tokens if not token.isdigit()]
    last = words[-1] if words else ""
    expected = KIND_TOKENS.get(last)
    if expected is None:
        return _FITS
    if attribute.data_type not in expected:
        return _MISFIT
    length = _length(attribute)
    if last in _FLAG_TOKENS and attribute.data_type in _NUMBERS:
        return _POOR
    if last in _NAME_TOKENS and length is not None and length == 1:
        return _POOR
    if last in {"cd", "code"} and length is not None and length > _LONGEST_CODE:
        return _POOR
    return _FITS


def _fit_of_type(attribute: Attribute, column: PhysicalColumn) -> float:
    written = column.type.lower()
    for beginnings, holds in _TYPES:
        if written.startswith(beginnings):
            return _FITS if attribute.data_type in holds else _MISFIT
    return _FITS


def _length(attribute: Attribute) -> int | None:
    try:
        return parse_format(attribute.format).length
    except UnknownFormat:
        return None
