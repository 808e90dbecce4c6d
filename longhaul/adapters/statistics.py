"""What a sample shows about the rows it was drawn from, by the formulas of auditing."""

from collections.abc import Mapping, Sequence
from math import ceil, floor, prod
from typing import Any

from longhaul.core.sampling import Stratum

CONFIDENCE = 0.95
TOLERABLE_RATE = 0.05

_DIGITS = 4
_MOST = 1_000_000
_HALVINGS = 100


def required_size(
    confidence: float, tolerable: float, expected: float = 0.0, population: int | None = None
) -> int:
    """How many rows must be drawn at random, and how many may be wrong, for a confidence.

    The binomial distribution is for a large population; for one of known size it is the
    hypergeometric.

    Args:
        tolerable: The lowest share of wrong rows that is not accepted.
        expected: The share that is expected and allowed.
    """
    low, high = 1, population or _MOST
    if _chance(high, tolerable, expected, population) > 1 - confidence:
        return high
    # Allowing one more error makes the chance jump, so that halving finds some size and
    # walking from there the smallest.
    while low < high:
        middle = (low + high) // 2
        if _chance(middle, tolerable, expected, population) <= 1 - confidence:
            high = middle
        else:
            low = middle + 1
    size = low
    for smaller in range(max(1, size - _span(tolerable)), size):
        if _chance(smaller, tolerable, expected, population) <= 1 - confidence:
            return smaller
    return size


def achieved_confidence(strata: Sequence[Stratum], tolerable: float) -> float:
    """The confidence, if no row of the sample is wrong, that fewer than the tolerable are.

    It holds for every spread of wrong rows over the strata.
    """
    if not any(one.rows and one.drawn for one in strata):
        return 0.0
    return 1 - _most_hidden(strata, ceil(tolerable * sum(one.rows for one in strata)))


def upper_limit(strata: Sequence[Stratum], confidence: float) -> float:
    """The upper limit of the share of wrong rows with this confidence, if none was found."""
    rows = sum(one.rows for one in strata)
    low, high = 0, rows
    while low < high:
        middle = (low + high + 1) // 2
        if _most_hidden(strata, middle) > 1 - confidence:
            low = middle
        else:
            high = middle - 1
    return low / rows if rows else 1.0


class AuditStatistics:
    """Computes what a sample shows."""

    def basis(self, rows: int, clean: Sequence[Stratum], *, size: int) -> Mapping[str, Any]:
        """The confidence that a sample gives, by the hypergeometric distribution.

        Rows that were looked for because something is odd say nothing about the rest, and those
        drawn by chance nothing about the odd ones: the population is that of the clean rows.
        """
        population = sum(one.rows for one in clean)
        needed = required_size(CONFIDENCE, TOLERABLE_RATE, population=population or None)
        return {
            "method": "hypergeometric, no error expected",
            "rows": rows,
            "screened_out": rows - population if clean else 0,
            "population": population,
            "drawn_from": "rows without any suspicion, stratum by stratum"
            if len(clean) > 1
            else "rows without any suspicion",
            "strata": len(clean),
            "sample_size": size,
            "random_samples": sum(one.drawn for one in clean),
            "tolerable_error_rate": TOLERABLE_RATE,
            "confidence_achieved": _rounded(achieved_confidence(clean, TOLERABLE_RATE)),
            "confidence_if_all_were_random": _rounded(
                achieved_confidence([Stratum(rows, size)], TOLERABLE_RATE)
            ),
            "required_for_95_percent": needed if population else 0,
            "upper_error_limit_if_no_error": _rounded(upper_limit(clean, CONFIDENCE)),
        }


def _most_hidden(strata: Sequence[Stratum], wrong: int) -> float:
    """The highest probability, over all spreads, that no wrong row is drawn."""
    return prod(
        (one.rows - hidden - turn) / (one.rows - turn)
        for one, hidden in zip(strata, _best_hidden(strata, wrong), strict=True)
        for turn in range(min(one.drawn, one.rows))
    )


def _best_hidden(strata: Sequence[Stratum], wrong: int) -> list[int]:
    """The spread of wrong rows over the strata that is hardest to detect.

    One more is found least likely where the most rows are left for each that is drawn, and likelier
    with each: all strata are filled down to the same of these ratios.
    """

    def filled(ratio: float) -> list[int]:
        most = (floor(one.rows - ratio * one.drawn) + 1 for one in strata)
        return [min(one.rows, max(0, each)) for one, each in zip(strata, most, strict=True)]

    low, high = 0.0, 1.0 + max((one.rows for one in strata), default=0)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if sum(filled(middle)) > wrong:
            low = middle
        else:
            high = middle
    hidden = filled(high)
    for _ in range(wrong - sum(hidden)):
        open_ones = [at for at, one in enumerate(strata) if hidden[at] < one.rows]
        hidden[
            min(open_ones, key=lambda at: strata[at].drawn / (strata[at].rows - hidden[at]))
        ] += 1
    return hidden


def _chance(size: int, tolerable: float, expected: float, population: int | None) -> float:
    """How likely a sample shows no more errors than expected though the rate is tolerable."""
    from scipy.stats import binom, hypergeom  # noqa: PLC0415 - see above

    allowed = ceil(expected * size)
    if population is None:
        return float(binom.cdf(allowed, size, tolerable))
    return float(hypergeom.cdf(allowed, population, ceil(tolerable * population), size))


def _span(tolerable: float) -> int:
    return ceil(3 / tolerable)


def _rounded(value: float) -> float:
    return round(value, _DIGITS)
