from collections.abc import Mapping, Sequence
from itertools import product
from math import ceil, comb, prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longhaul.adapters.statistics import (
    AuditStatistics,
    achieved_confidence,
    required_size,
    upper_limit,
)
from longhaul.core.sampling import (
    Category,
    Found,
    Kind,
    Pick,
    Pool,
    Risk,
    Stratum,
    draw,
    order_of,
    split,
    split_strata,
)

DEFAULT = {Category.CLEAN: 0.3, Category.ANOMALY: 0.5, Category.BOUNDARY: 0.2}


# The tables of the AICPA's audit guide; the finite ones are hypergeometric.
@pytest.mark.parametrize(
    ("confidence", "tolerable", "expected", "population", "size"),
    [
        (0.95, 0.05, 0.0, None, 59),
        (0.95, 0.10, 0.0, None, 29),
        (0.95, 0.02, 0.0, None, 149),
        (0.90, 0.05, 0.0, None, 45),
        (0.90, 0.10, 0.0, None, 22),
        (0.95, 0.05, 0.01, None, 93),
        (0.95, 0.05, 0.02, None, 181),
        (0.95, 0.10, 0.01, None, 46),
        (0.90, 0.05, 0.01, None, 77),
        (0.95, 0.05, 0.0, 50, 31),
        (0.95, 0.05, 0.0, 100, 45),
        (0.95, 0.05, 0.0, 500, 56),
        (0.95, 0.05, 0.0, 1_000, 57),
        (0.95, 0.05, 0.0, 100_000, 59),
    ],
)
def test_sample_sizes_are_those_of_the_published_tables(
    confidence: float, tolerable: float, expected: float, population: int | None, size: int
) -> None:
    assert required_size(confidence, tolerable, expected, population) == size


def test_a_sample_of_the_required_size_gives_the_confidence() -> None:
    assert achieved_confidence([Stratum(1_000, 57)], 0.05) >= 0.95
    assert achieved_confidence([Stratum(1_000, 56)], 0.05) < 0.95
    assert achieved_confidence([Stratum(100, 100)], 0.05) == 1.0
    nothing: list[list[Stratum]] = [[], [Stratum(100, 0)], [Stratum(0, 9)]]
    assert [achieved_confidence(one, 0.05) for one in nothing] == [0.0] * 3
    assert [upper_limit(one, 0.95) for one in nothing] == [1.0] * 3
    # Of a large population the limit is that of the published tables.
    assert upper_limit([Stratum(10**9, 59)], 0.95) == pytest.approx(0.0495, abs=1e-4)


def test_who_has_looked_at_every_row_knows_all_of_them() -> None:
    basis = AuditStatistics().basis(20, [Stratum(20, 20)], size=20)

    assert (basis["confidence_achieved"], basis["upper_error_limit_if_no_error"]) == (1.0, 0.0)


def test_a_large_stratum_that_was_hardly_looked_at_leaves_little_confidence() -> None:
    strata = [Stratum(1_000_000, 1), *[Stratum(1, 1)] * 11]

    basis = AuditStatistics().basis(1_000_011, strata, size=12)

    assert basis["confidence_achieved"] == pytest.approx(0.05, abs=1e-3)
    assert basis["upper_error_limit_if_no_error"] == pytest.approx(0.95, abs=1e-3)


def most_hidden(strata: Sequence[Stratum], wrong: int) -> float:
    """The highest probability that nothing is found, over all spreads of wrong rows."""
    spreads = product(*(range(one.rows + 1) for one in strata))
    return max(
        prod(
            comb(one.rows - hidden, one.drawn) / comb(one.rows, one.drawn)
            for one, hidden in zip(strata, spread, strict=True)
        )
        for spread in spreads
        if sum(spread) == wrong
    )


some_strata = st.lists(
    st.integers(0, 9).flatmap(
        lambda rows: st.integers(0, rows).map(lambda drawn: Stratum(rows, drawn))
    ),
    max_size=4,
)


@given(some_strata, st.sampled_from([0.05, 0.2, 0.5]))
def test_the_confidence_holds_however_wrong_rows_are_spread(
    strata: list[Stratum], tolerable: float
) -> None:
    rows = sum(one.rows for one in strata)
    wrong = ceil(tolerable * rows)

    confidence = achieved_confidence(strata, tolerable)

    is_known = any(one.drawn for one in strata)
    worst = most_hidden(strata, wrong) if is_known else 1.0
    assert confidence == pytest.approx(1 - worst, abs=1e-12)


@given(some_strata, st.sampled_from([0.5, 0.9, 0.95]))
def test_the_limit_is_the_most_wrong_rows_that_a_sample_may_well_miss(
    strata: list[Stratum], confidence: float
) -> None:
    rows = sum(one.rows for one in strata)

    limit = upper_limit(strata, confidence)

    missed = [
        wrong for wrong in range(rows + 1) if most_hidden(strata, wrong) > 1 - confidence + 1e-12
    ]
    assert limit == (max(missed) / rows if rows else 1.0)


def test_only_what_was_drawn_at_random_counts_for_the_basis() -> None:
    basis = AuditStatistics().basis(1_400, [Stratum(600, 18), Stratum(400, 12)], size=100)

    assert (basis["required_for_95_percent"], basis["random_samples"]) == (57, 30)
    assert (basis["population"], basis["screened_out"], basis["strata"]) == (1_000, 400, 2)
    # In proportion to the strata it is about what it would be without them.
    none_found = comb(950, 30) / comb(1_000, 30)
    assert basis["confidence_achieved"] == pytest.approx(1 - none_found, abs=2e-3)
    assert basis["confidence_if_all_were_random"] > 0.99
    nothing = AuditStatistics().basis(1_400, [], size=10)
    assert (nothing["confidence_achieved"], nothing["population"]) == (0.0, 0)


@given(st.integers(0, 1_000), st.lists(st.integers(0, 100), min_size=3, max_size=3))
def test_a_distribution_is_met_within_one(size: int, weights: list[int]) -> None:
    total = sum(weights)
    if not total:
        return
    shares = {one: weight / total for one, weight in zip(Category, weights, strict=True)}

    parts = split(size, shares)

    assert sum(parts.values()) == size
    assert all(abs(parts[one] - size * shares[one]) < 1 + 1e-6 for one in Category)


@pytest.mark.parametrize("boundary", [0.199, 0.1995, 0.2005, 0.201])
@pytest.mark.parametrize("size", [1, 25, 999, 1_000])
def test_shares_that_were_rounded_give_the_size_all_the_same(size: int, boundary: float) -> None:
    shares = {Category.CLEAN: 0.3, Category.ANOMALY: 0.5, Category.BOUNDARY: boundary}

    parts = split(size, shares)

    assert sum(parts.values()) == size
    assert all(abs(parts[one] - size * share) <= 1.5 for one, share in shares.items())


def test_the_usual_sizes_are_split_as_everybody_expects() -> None:
    assert split(10, DEFAULT) == {"anomaly": 5, "boundary": 2, "clean": 3}
    assert split(100, DEFAULT) == {"anomaly": 50, "boundary": 20, "clean": 30}
    assert split(1, {Category.CLEAN: 1.0}) == {"anomaly": 0, "boundary": 0, "clean": 1}


def test_strata_get_their_share_and_at_least_one() -> None:
    assert split_strata(59, [70_000, 20_000, 9_000, 900, 100]) == [41, 11, 5, 1, 1]
    assert split_strata(2, [5, 9, 7]) == [0, 1, 1]
    assert split_strata(9, [2, 0, 3]) == [2, 0, 3]


@given(st.integers(0, 60), st.lists(st.integers(0, 30), max_size=8))
def test_strata_give_all_that_is_asked_for_if_they_have_it(size: int, strata: list[int]) -> None:
    parts = split_strata(size, strata)

    assert sum(parts) == min(size, sum(strata))
    assert all(part <= has for part, has in zip(parts, strata, strict=True))


def make_pool(number: int, category: Category, rows: int) -> Pool:
    return Pool(
        key=f"{category}-{number}",
        category=category,
        kind=Kind.MISSING,
        attribute_id=number,
        reason="",
        risk=Risk.LOW,
        confidence=0.5,
        count=rows,
    )


class Source:
    """Pools over numbered rows; counts its calls."""

    def __init__(self, rows: Mapping[str, Sequence[int]], seed: int) -> None:
        self._rows = rows
        self._seed = seed
        self.asked: list[str] = []

    def fetch(self, pool: Pool, most: int) -> Sequence[Found]:
        self.asked.append(pool.key)
        ordered = sorted(self._rows[pool.key], key=lambda row: order_of(self._seed, pool.key, row))
        return [Found((str(row),), None) for row in ordered[:most]]


def drawn(
    rows: Mapping[tuple[int, Category], Sequence[int]],
    wanted: Mapping[Category, int],
    seed: int = 7,
    taken: Sequence[int] = (),
) -> list[Pick]:
    pools = [make_pool(number, category, len(has)) for (number, category), has in rows.items()]
    source = Source({pool.key: has for pool, has in zip(pools, rows.values(), strict=True)}, seed)
    keys = [(str(row),) for row in taken]
    return draw(pools, wanted, seed=seed, taken=keys, fetch=source.fetch)


pools_of_rows = st.dictionaries(
    st.tuples(st.integers(1, 6), st.sampled_from(Category)),
    st.lists(st.integers(0, 40), unique=True, max_size=20),
    max_size=12,
)
wanted_of_each = st.fixed_dictionaries({one: st.integers(0, 12) for one in Category})


@given(pools_of_rows, wanted_of_each, st.integers(0, 2**63 - 1))
def test_as_many_are_drawn_as_there_are_and_none_twice(
    rows: Mapping[tuple[int, Category], Sequence[int]], wanted: Mapping[Category, int], seed: int
) -> None:
    picks = drawn(rows, wanted, seed)

    keys = [pick.found.key for pick in picks]
    assert len(keys) == len(set(keys))
    used: set[str] = set()
    for category in Category:
        there = {str(row) for (_, of), has in rows.items() if of is category for row in has}
        got = [pick.found.key[0] for pick in picks if pick.pool.category is category]
        assert set(got) <= there
        # The shortfall is exact: nothing that was left could have been drawn.
        assert len(got) == min(wanted[category], len(there - used))
        used |= {str(key) for key in got}


@given(pools_of_rows, wanted_of_each, st.integers(0, 2**63 - 1))
def test_the_same_seed_draws_the_same(
    rows: Mapping[tuple[int, Category], Sequence[int]], wanted: Mapping[Category, int], seed: int
) -> None:
    assert drawn(rows, wanted, seed) == drawn(rows, wanted, seed)


def test_another_seed_draws_others() -> None:
    rows = {(1, Category.ANOMALY): range(1_000)}
    wanted = {Category.ANOMALY: 20}

    assert drawn(rows, wanted, 1) != drawn(rows, wanted, 2)


def test_every_attribute_is_considered_before_one_is_looked_at_twice() -> None:
    rows = {
        (number, Category.ANOMALY): range(number * 100, number * 100 + 50) for number in range(9)
    }

    picks = drawn(rows, {Category.ANOMALY: 9})

    assert {pick.pool.attribute_id for pick in picks} == set(range(9))


def test_rows_that_are_taken_are_not_drawn() -> None:
    picks = drawn({(1, Category.CLEAN): range(5)}, {Category.CLEAN: 5}, taken=[0, 1, 2])

    assert sorted(pick.found.key[0] or "" for pick in picks) == ["3", "4"]


def test_only_pools_that_are_drawn_from_are_asked() -> None:
    pools = [make_pool(number, Category.ANOMALY, 10) for number in range(50)]
    source = Source({pool.key: range(10) for pool in pools}, 7)

    draw(pools, {Category.ANOMALY: 3}, seed=7, taken=(), fetch=source.fetch)

    assert len(source.asked) == 3
