"""How well a column's name matches an attribute's name."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

from longhaul.adapters.matching.abbreviations import MOST_WORDS, likeness
from longhaul.adapters.matching.kinds import is_kind
from longhaul.adapters.matching.words import KIND_WORDS, Word, Words

# An unexplained token of a column speaks against it more than an unsaid word of a name:
# column names leave words out, but seldom add any.
_COLUMN_SHARE = 0.6

_KIND_WEIGHT = 0.4
_LEAST_LIKENESS = 0.55

# "Interest Type" and `typ_cd` agree only in words that do not tell attributes apart.
_KINDS_ONLY = 0.5

# A column that says something else in the place of a word (the state of the mail address, not
# that of the property), or something more, is likely to be another thing.
_IN_ITS_PLACE, _MORE = 0.75, 0.9

# Words of a name that were found, but in another order than in the column.
_OUT_OF_ORDER = 0.97


@lru_cache(maxsize=262_144)
def agreement(words: Words, tokens: tuple[str, ...]) -> float:
    """How much of either is found in the other: 0-1."""
    if not words or not tokens:
        return 0.0
    said, explained, in_order = _align(words, tokens)
    of_name = sum(word.weight * share for word, share in zip(words, said, strict=True)) / sum(
        word.weight for word in words
    )
    # A state is not called a "code", but its column is. A column of another kind than the
    # one that the name speaks of is another column.
    other_kind = any(
        word.text in KIND_WORDS and not share for word, share in zip(words, said, strict=True)
    )
    counted = [
        (_KIND_WEIGHT if is_kind(token) else 1.0, share)
        for token, share in zip(tokens, explained, strict=True)
        if share or other_kind or not is_kind(token)
    ]
    if not counted:
        return 0.0
    of_column = sum(weight * share for weight, share in counted) / sum(
        weight for weight, _ in counted
    )
    together = of_column**_COLUMN_SHARE * of_name ** (1 - _COLUMN_SHARE)
    strong = [share for weight, share in counted if weight > _KIND_WEIGHT]
    if not any(strong):
        together *= _KINDS_ONLY
    elif not all(strong):
        is_unsaid = any(
            word.weight >= 1 and not share for word, share in zip(words, said, strict=True)
        )
        together *= _IN_ITS_PLACE if is_unsaid else _MORE
    return float(together if in_order else together * _OUT_OF_ORDER)


def _align(words: Sequence[Word], tokens: Sequence[str]) -> tuple[list[float], list[float], bool]:
    """Match each token to the words that fit best, the surest first.

    Returns how surely each word is said, how surely each token is explained, and whether the
    tokens come in the order of the words.
    """
    explained = [0.0] * len(tokens)
    said = [0.0] * len(words)
    starts: list[tuple[int, int]] = []
    for value, _, place, start, end in sorted(_pairs(words, tokens), reverse=True):
        if explained[place] or any(said[start:end]):
            continue
        explained[place] = value
        said[start:end] = [value] * (end - start)
        starts.append((place, start))
    order = [start for _, start in sorted(starts)]
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
                    # Among equals, the one with more meaning goes first.
                    weight = sum(word.weight for word in words[start:end])
                    yield value, weight, place, start, end
