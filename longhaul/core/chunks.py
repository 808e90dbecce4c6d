"""Chunks: the unit of scheduling. Which ordinals go to one activity, and how many."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MAX_CONCURRENCY = 1_000
MAX_LANES = 4
MAX_CHUNK_ITEMS = 5_000
FIRST_CHUNK_ROUNDS = 2
MIN_CHUNK_ROUNDS = 3
TARGET_SECONDS = 15.0

_NEWEST_WEIGHT = 0.5


@dataclass(frozen=True, slots=True)
class Span:
    """Open ordinals from `first` to `last`, both included, without a gap."""

    first: int
    last: int

    @property
    def size(self) -> int:
        """How many ordinals the span holds."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Chunk:
    """A range of ordinals for one activity.

    Items between `first` and `last` that have ended meanwhile are skipped, so that
    one chunk may cover many spans.

    Attributes:
        items: How many open items it was cut for.
    """

    first: int
    last: int
    items: int


def coalesce(ordinals: Iterable[int]) -> list[Span]:
    """Join ascending ordinals into spans."""
    spans: list[Span] = []
    for ordinal in ordinals:
        if spans and spans[-1].last + 1 == ordinal:
            spans[-1] = Span(spans[-1].first, ordinal)
        else:
            spans.append(Span(ordinal, ordinal))
    return spans


def cut(spans: Sequence[Span], size: int) -> tuple[Chunk, list[Span]]:
    """Cut a chunk of at most `size` open items off the front; return it and what is left.

    Raises:
        ValueError: There are no spans, or the size is not positive.
    """
    if not spans or size < 1:
        raise ValueError("cutting needs spans and a positive size")
    left = list(spans)
    first, items = left[0].first, 0
    last = first
    while left and items < size:
        span = left.pop(0)
        taken = min(span.size, size - items)
        items += taken
        last = span.first + taken - 1
        if taken < span.size:
            left.insert(0, Span(last + 1, span.last))
    return Chunk(first, last, items), left


def lanes(concurrency: int) -> list[int]:
    """How many items each of the chunks in flight may run at once; they sum to `concurrency`."""
    width = min(MAX_LANES, concurrency)
    share, rest = divmod(concurrency, width)
    return [share + 1] * rest + [share] * (width - rest)


def chunk_size(
    at_once: int, item_seconds: float | None, *, left: int | None = None, lane_count: int = 1
) -> int:
    """How many items the next chunk of a lane should have.

    Args:
        at_once: Items that the lane runs at the same time.
        item_seconds: How long one item took lately, or None before anything is known.
        left: Items not handed out yet, if known: the last ones are shared
            out, so that no lane is idle while another has a queue.
        lane_count: How many lanes share them.
    """
    if item_seconds is None:
        size = FIRST_CHUNK_ROUNDS * at_once
    else:
        aimed = TARGET_SECONDS * at_once / max(item_seconds, 1e-6)
        size = int(min(max(aimed, MIN_CHUNK_ROUNDS * at_once), MAX_CHUNK_ITEMS))
    if left is not None:
        size = min(size, max(math.ceil(left / lane_count), at_once))
    return size


def item_seconds(
    known: float | None, *, items: int, busy_seconds: float, at_once: int
) -> float | None:
    """Update the estimate of an item's time with what one chunk has shown.

    The newest chunk counts for half, so that a change of the model's speed is followed
    within a few chunks.
    """
    if not items:
        return known
    rounds = math.ceil(items / at_once)
    shown = busy_seconds / rounds if items < at_once else busy_seconds * at_once / items
    return shown if known is None else known + (shown - known) * _NEWEST_WEIGHT
