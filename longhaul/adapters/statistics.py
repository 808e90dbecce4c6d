"""What a sample tells about the rows it was drawn from, by the formulas of auditing."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

CONFIDENCE = 0.95
TOLERABLE_RATE = 0.05

_DIGITS = 4
_MOST = 1_000_000


def required_size(
    confidence: float, tolerable: float, expected: float = 0.0, population: int | None = None
) -> int:
    """How many rows must be drawn at random, and how many may be wrong, to be so confident.

    The binomial distribution stands for a large population; for one of known size it is the
    hypergeometric.

    Args:
        tolerable: The share of wrong rows that would just not be accepted.
        expected: The share that is expected, and allowed for.
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


def achieved_confidence(size: int, population: int, tolerable: float) -> float:
    """How sure it is, when no row of the sample is wrong, that fewer than the tolerable are."""
    from scipy.stats import hypergeom  # noqa: PLC0415 - takes seconds to import

    if size <= 0 or population <= 0:
        return 0.0
    wrong = ceil(tolerable * population)
    return float(1 - hypergeom.cdf(0, population, wrong, min(size, population)))


def upper_limit(size: int, wrong: int, confidence: float) -> float:
    """The share of wrong rows that is not exceeded with this confidence, after the test."""
    from scipy.stats import beta  # noqa: PLC0415 - see above

    return 1.0 if wrong >= size else float(beta.ppf(confidence, wrong + 1, size - wrong))


class AuditStatistics:
    """Says what a sample of some size is worth."""

    def basis(
        self, rows: int, clean: Sequence[int], *, size: int, random: int
    ) -> Mapping[str, Any]:
        """The confidence that a sample gives, by the hypergeometric distribution.

        Rows that were looked for because something is odd say nothing about the rest, and those
        drawn by chance nothing about the odd ones: the population is that of the clean rows. In
        proportion to strata they tell at least as much as they would without.
        """
        population = sum(clean)
        needed = required_size(CONFIDENCE, TOLERABLE_RATE, population=population or None)
        return {
            "method": "hypergeometric, no error expected",
            "rows": rows,
            "screened_out": rows - population if clean else 0,
            "population": population,
            "drawn_from": "rows without any suspicion, in proportion to their strata"
            if len(clean) > 1
            else "rows without any suspicion",
            "strata": len(clean),
            "sample_size": size,
            "random_samples": random,
            "tolerable_error_rate": TOLERABLE_RATE,
            "confidence_achieved": _rounded(
                achieved_confidence(random, population, TOLERABLE_RATE)
            ),
            "confidence_if_all_were_random": _rounded(
                achieved_confidence(size, rows, TOLERABLE_RATE)
            ),
            "required_for_95_percent": needed if population else 0,
            "upper_error_limit_if_no_error": (
                _rounded(upper_limit(random, 0, CONFIDENCE)) if random else 1.0
            ),
        }


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
