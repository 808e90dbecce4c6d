"""Which ordinals go to one activity: nothing lost, nothing twice, sizes within bounds."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longhaul.core.chunks import (
    MAX_CHUNK_ITEMS,
    Span,
    chunk_size,
    coalesce,
    cut,
    item_seconds,
    lanes,
)

ordinals = st.sets(st.integers(0, 500)).map(sorted)


@given(ordinals)
def test_coalescing_loses_nothing_and_joins_all_neighbours(given_ordinals: list[int]) -> None:
    spans = coalesce(given_ordinals)

    assert [n for span in spans for n in range(span.first, span.last + 1)] == given_ordinals
    assert all(left.last + 1 < right.first for left, right in itertools.pairwise(spans))


@given(ordinals.filter(bool), st.integers(1, 60))
def test_cutting_to_the_end_gives_each_open_ordinal_to_exactly_one_chunk(
    given_ordinals: list[int], size: int
) -> None:
    left = coalesce(given_ordinals)
    chunks = []
    while left:
        chunk, left = cut(left, size)
        chunks.append(chunk)

    taken = [[n for n in given_ordinals if chunk.first <= n <= chunk.last] for chunk in chunks]
    assert [n for part in taken for n in part] == given_ordinals
    assert [len(part) for part in taken] == [chunk.items for chunk in chunks]
    assert all(chunk.items == size for chunk in chunks[:-1])


def test_cutting_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="spans"):
        cut([], 1)


def test_one_chunk_covers_many_small_spans() -> None:
    chunk, left = cut([Span(3, 3), Span(10, 10), Span(90, 99)], 4)

    assert (chunk.first, chunk.last, chunk.items) == (3, 91, 4)
    assert left == [Span(92, 99)]


@given(st.integers(1, 1000))
def test_lanes_share_the_concurrency_and_never_exceed_it(concurrency: int) -> None:
    widths = lanes(concurrency)

    assert sum(widths) == concurrency
    assert len(widths) == min(4, concurrency)
    assert max(widths) - min(widths) <= 1


@given(st.integers(1, 250), st.floats(1e-9, 1e4))
def test_chunk_sizes_stay_within_their_bounds(at_once: int, seconds: float) -> None:
    size = chunk_size(at_once, seconds)

    assert 3 * at_once <= size <= MAX_CHUNK_ITEMS


@pytest.mark.parametrize(
    ("at_once", "seconds", "size"),
    [(4, None, 8), (4, 5.0, 12), (25, 0.05, 5000), (25, 0.5, 750), (1, 1000.0, 3)],
)
def test_chunks_aim_at_fifteen_seconds(at_once: int, seconds: float | None, size: int) -> None:
    assert chunk_size(at_once, seconds) == size


@given(st.integers(1, 10_000), st.integers(1, 1000))
def test_the_last_items_keep_every_lane_busy(left: int, concurrency: int) -> None:
    widths = lanes(concurrency)
    spans, running = [Span(0, left - 1)], 0
    for at_once in widths:
        if spans:
            open_items = sum(span.size for span in spans)
            size = chunk_size(at_once, None, left=open_items, lane_count=len(widths))
            chunk, spans = cut(spans, size)
            running += min(chunk.items, at_once)

    assert running == min(left, concurrency)


def test_an_estimate_follows_a_change_within_a_few_chunks() -> None:
    known = None
    for _ in range(5):
        known = item_seconds(known, items=100, busy_seconds=10.0, at_once=10)
    assert known == pytest.approx(1.0)

    for _ in range(5):
        known = item_seconds(known, items=100, busy_seconds=100.0, at_once=10)

    assert known == pytest.approx(10.0, rel=0.05)


def test_a_chunk_without_items_teaches_nothing() -> None:
    assert item_seconds(2.5, items=0, busy_seconds=9.0, at_once=4) == 2.5
