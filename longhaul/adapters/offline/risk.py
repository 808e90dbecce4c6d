"""The four judged parts of an attribute's risk, by rules of thumb; each is 1-15.

Each part starts low and is raised by reasons, which go into the rationale. Measurements of
rules weigh more than what a name suggests.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from longhaul.adapters.offline.evidence import present, read_format
from longhaul.core.attributes import Attribute, Obligation
from longhaul.core.formats import DataType
from longhaul.core.scoping import LEAST_PART, MOST_PART, Measures

_FIGURES = frozenset({DataType.INTEGER, DataType.DECIMAL})
_MOMENTS = frozenset({DataType.DATE, DataType.DATE_TIME})

# The inputs of stress tests and capital rules, the most important first.
_WEIGHTY: Sequence[tuple[str, int, str]] = (
    (
        "unpaid principal|exposure at|charge.?off|loss given|probability of default|recovery",
        8,
        "losses are projected from it",
    ),
    (
        "(loan|mba|accrual|foreclosure|liquidation).*status|delinquen|bankruptcy|next payment",
        7,
        "it says how the loan performs",
    ),
    (
        "ltv|property value|credit (bureau )?score|dti|debt to income|lien position|commitment",
        6,
        "risk segments are cut by it",
    ),
    (
        "modif|workout|troubled|loss mitigation|write.?down|hfi|fair value|repurchase|deteriorated",
        5,
        "it decides how the loan is treated in the books",
    ),
    (
        "interest rate|loan amount|payment|product type|term\\b|balance",
        4,
        "cash flows follow from it",
    ),
)
_WEIGHT_OF_OBLIGATION = {
    Obligation.MANDATORY: 5,
    Obligation.CONDITIONAL: 4,
    Obligation.OPTIONAL: 2,
}

_COMPUTED = re.compile(
    r"\b(ltv|cltv|dti|ratio|percent|probability|loss given|exposure|recovery|remaining|combined|"
    r"expected|total|net)\b"
)
_RENEWED = re.compile(r"\b(current|refreshed|last|latest|next|most recent|remaining|reporting)\b")
_ESTIMATED = re.compile(r"\b(valuation|value|probability|loss given|exposure|estimate)")
_RARE = re.compile(
    r"\b(modif|foreclosure|bankruptcy|repurchase|charge.?off|workout|sale|termination|balloon)"
)
_SMALL = frozenset(
    {"the", "and", "for", "with", "after", "before", "amount", "flag", "type", "date", "code"}
    | {"rate", "number", "status", "value", "month", "loan", "original", "origination", "current"}
)
_MANY_DECIMALS, _LONG_TEXT, _SHORTEST_WORD = 3, 20, 3
_MOST_NAMED = 3
_MOST_FROM_KIN = 7


@dataclass(frozen=True, slots=True)
class Part:
    """One judged part, and its reasons."""

    points: int
    reasons: tuple[str, ...]

    @classmethod
    def of(cls, base: int, raised: Iterable[tuple[int, str]]) -> "Part":
        """Add up the reasons of a part, within its bounds."""
        found = [(points, reason) for points, reason in raised if points]
        total = base + sum(points for points, _ in found)
        return cls(
            max(LEAST_PART, min(MOST_PART, total)), tuple(reason for _, reason in found if reason)
        )


def regulatory_impact(attribute: Attribute) -> Part:
    """What wrong values would mean for the regulator's use of the report."""
    name = attribute.name.lower()
    weight = next(
        ((points, why) for words, points, why in _WEIGHTY if re.search(words, name)), None
    )
    return Part.of(
        _WEIGHT_OF_OBLIGATION[attribute.mandatory],
        [
            weight or (0, ""),
            (3 if attribute.is_key else 0, "it identifies the row"),
            (1 if attribute.mdrm else 0, f"the form asks for it as {attribute.mdrm}"),
        ],
    )


def data_complexity(attribute: Attribute) -> Part:
    """How hard the values are to get right."""
    name = attribute.name.lower()
    form = read_format(attribute)
    scale = form.scale if form else None
    length = form.length if form else None
    is_text = attribute.data_type is DataType.STRING
    return Part.of(
        3,
        [
            (4 if _COMPUTED.search(name) else 0, "it is computed from other values"),
            (3 if scale and scale > _MANY_DECIMALS else 0, "it has many decimals"),
            (2 if attribute.data_type in _MOMENTS else 0, "dates are written in several ways"),
            (2 if attribute.data_type in _FIGURES else 0, ""),
            (2 if is_text and length == 1 else 0, "it is a code that is translated"),
            (3 if is_text and length and length > _LONG_TEXT else 0, "it is free text"),
            (
                3 if attribute.mandatory is Obligation.CONDITIONAL else 0,
                "it is due for some loans only",
            ),
            (2 if attribute.column is None else 0, "no column is known to feed it"),
        ],
    )


def common_errors(attribute: Attribute, measures: Measures | None) -> Part:
    """How often the values are wrong: as measured, else as such values usually are."""
    name = attribute.name.lower()
    guessed = [
        (3 if _RENEWED.search(name) else 0, "it goes stale when it is not renewed"),
        (3 if _ESTIMATED.search(name) else 0, "it is an estimate"),
        (2 if _RARE.search(name) else 0, "it is filled in rarely and by hand"),
        (2 if attribute.data_type in _MOMENTS else 0, "dates are mixed up easily"),
        (2 if attribute.mandatory is Obligation.CONDITIONAL else 0, "it is left empty by mistake"),
        (2 if not present(attribute) else 0, "no values of it have been seen"),
    ]
    if measures is None:
        return Part.of(3, guessed)
    share = f"its worst rule failed for {100 - measures.worst_pass_rate:.2f} % of the rows"
    half = [(points // 2, reason) for points, reason in guessed]
    return Part.of(
        1,
        [
            *half,
            (measures.error_points, share),
            (min(2, max(0, measures.failed_rules - 1)), "several rules failed"),
        ],
    )


def downstream_dependencies(attribute: Attribute, kin: Sequence[str]) -> Part:
    """How much depends on the values: keys, figures, related attributes."""
    return Part.of(
        2,
        [
            (min(_MOST_FROM_KIN, len(kin)), ""),
            (5 if attribute.is_key else 0, "rows are joined by it"),
            (2 if attribute.data_type in _FIGURES else 0, "sums and averages contain it"),
            (1 if attribute.mandatory is Obligation.MANDATORY else 0, ""),
        ],
    )


def kin_of(attribute: Attribute, siblings: Sequence[str]) -> list[str]:
    """The other attributes that share a significant word, those that share most first."""
    own = _telling(attribute.name)
    shared = [(len(own & _telling(name)), name) for name in siblings]
    near = [(count, name) for count, name in shared if count]
    return [name for _, name in sorted(near, key=lambda pair: -pair[0])]


def named(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    text = ", ".join(names[:_MOST_NAMED])
    more = len(names) - _MOST_NAMED
    return f"{text} and {more} more" if more > 0 else text


def _telling(name: str) -> set[str]:
    words = re.findall("[a-z]+", name.lower())
    return {word for word in words if len(word) >= _SHORTEST_WORD and word not in _SMALL}
