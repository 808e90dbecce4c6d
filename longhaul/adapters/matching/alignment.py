"""How well a column's name says what an attribute's name says."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

from longhaul.adapters.matching.abbreviations import MOST_WORDS, likeness
from longhaul.adapters.matching.kinds import is_kind
from longhaul.adapters.matching.words import Word, Words

# An unexplained token of a column speaks against it more than an unsaid word of a name:
# column names leave words out, but seldom add any.
_COLUMN_SHARE = 0.6

_KIND_WEIGHT = 0.4
_LEAST_LIKENESS = 0.55

# "Interest Type" and `typ_cd` agree in nothing that tells one attribute from another.
_KINDS_ONLY = 0.5

# Words of a name that were found, but in another order than in the column.
_OUT_OF_ORDER = 0.97


@lru_cache(maxsize=262_144)
def agreement(words: Words, tokens: tuple[str, ...]) -> float:
    """How much of either is found in the other: 0-1."""
    if not words or not tokens:
        return 0.0
    said, explained, in_order = _align(words, tokens)
    of_name = said / sum(word.weight for word in words)
    weights = [_KIND_WEIGHT if is_kind(token) else 1.0 for token in tokens]
    # Nobody says "code" of a state, but its column does.
    counted = [
        (weight, share)
        for token, weight, share in zip(tokens, weights, explained, strict=True)
        if share or not is_kind(token)
    ]
    if not counted:
        return 0.0
    of_column = sum(weight * share for weight, share in counted) / sum(
        weight for weight, _ in counted
    )
    together = of_column**_COLUMN_SHARE * min(1.0, of_name) ** (1 - _COLUMN_SHARE)
    if not any(share for weight, share in counted if weight > _KIND_WEIGHT):
        together *= _KINDS_ONLY
    return float(together if in_order else together * _OUT_OF_ORDER)


def _align(words: Sequence[Word], tokens: Sequence[str]) -> tuple[float, list[float], bool]:
    """Give each token the words it says best, the surest first.

    Returns the weight of the words said, how far each token is explained, and whether the
    tokens come in the order of the words.
    """
    pairs = sorted(_pairs(words, tokens), reverse=True)
    explained = [0.0] * len(tokens)
    taken = [False] * len(words)
    said = 0.0
    starts: list[tuple[int, int]] = []
    for value, _, place, start, end in pairs:
        if explained[place] or any(taken[start:end]):
            continue
        explained[place] = value
        taken[start:end] = [True] * (end - start)
        said += value * sum(word.weight for word in words[start:end])
        starts.append((place, start))
    starts.sort()
    order = [start for _, start in starts]
    return said, explained, order == sorted(order)


def _pairs(
    words: Sequence[Word], tokens: Sequence[str]
) -> Iterator[tuple[float, float, int, int, int]]:
    texts = tuple(word.text for word in words)
    for place, token in enumerate(tokens):
        for start in range(len(texts)):
            for end in range(start + 1, min(start + MOST_WORDS, len(texts)) + 1):
                value = likeness(token, texts[start:end])
                if value >= _LEAST_LIKENESS:
                    # Of equals, the one that says more goes first.
                    weight = sum(word.weight for word in words[start:end])
                    yield value, weight, place, start, end
