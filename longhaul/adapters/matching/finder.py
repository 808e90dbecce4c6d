"""Searches thousands of columns for those that may feed an attribute.

Comparing names word by word is exact but slow, so a quick test of all columns decides
which are compared. It searches names that are alike when abbreviations are written out,
for names that are alike without vowels, and for tokens that are words, or their first letters.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from rapidfuzz import fuzz, process

from longhaul.adapters.matching.abbreviations import MEANINGS, MOST_WORDS, TERMS, skeleton
from longhaul.adapters.matching.alignment import agreement
from longhaul.adapters.matching.kinds import fit
from longhaul.adapters.matching.words import STOP_WORDS, readings_of, tokens_of
from longhaul.core.attributes import Attribute
from longhaul.core.mappings import Candidate, ColumnIndex, PhysicalColumn

SHORTLIST = 20

# How many columns each quick test selects for comparing. A token that more columns have
# says too little to be looked for.
_LOOKED_AT = 60
_MOST_OF_A_TOKEN = 50

# How many attributes are compared to find whether one of them fits a column better.
_CLAIMANTS = 12
_CLAIMED_COLUMNS = 5

# A column that fits another attribute better is unlikely: two attributes share a column if
# both fit it equally.
_CLAIM_FACTOR = 2.5
_ALIKE = 0.05

# Among equal columns in two tables, the one whose table is named like the report.
_TABLE_BONUS = 0.01
_SHORTEST = 2


class WordMatcher:
    """Compares the words of names; knows abbreviations, first letters and kinds of value."""

    def index(self, columns: Sequence[PhysicalColumn], attributes: Sequence[str]) -> ColumnIndex:
        """Index columns for a report whose attributes have these names."""
        return _Index(columns, attributes)


class _Index:
    def __init__(self, columns: Sequence[PhysicalColumn], attributes: Sequence[str]) -> None:
        self._columns = list(columns)
        self._by_name: dict[str, list[PhysicalColumn]] = defaultdict(list)
        for one in columns:
            self._by_name[one.name].append(one)
        self._written_out = [_written_out(one.name) for one in columns]
        self._bones = [_bones(tokens_of(one.name)) for one in columns]
        self._of_token: Mapping[str, list[int]] = _places(columns)
        self._attributes = list(attributes)
        self._attribute_texts = [_text(name) for name in attributes]
        self._attribute_bones = [_bones(text.split()) for text in self._attribute_texts]
        self._claims: dict[str, dict[str, float]] = {}

    @property
    def columns(self) -> int:
        return len(self._columns)

    def shortlist(self, attribute: Attribute) -> tuple[Candidate, ...]:
        scored = sorted(
            (
                (self._score(attribute, self._columns[place]), place)
                for place in self._worth_a_look(attribute.name)
            ),
            key=lambda pair: (-pair[0], pair[1]),
        )
        found = [
            self._weighed(attribute, self._columns[place], score)
            if rank < _CLAIMED_COLUMNS
            else Candidate(column=self._columns[place], score=round(score, 3))
            for rank, (score, place) in enumerate(scored[:SHORTLIST])
        ]
        found.sort(key=lambda candidate: -candidate.score)
        return tuple(found)

    def find(self, source: str | None, table: str | None, column: str) -> PhysicalColumn | None:
        found = [
            one
            for one in self._by_name.get(column, ())
            if table in (None, one.table) and source in (None, one.source)
        ]
        return found[0] if len(found) == 1 else None

    def _score(self, attribute: Attribute, column: PhysicalColumn) -> float:
        tokens = tokens_of(column.name)
        alike = _agreement(attribute.name, tokens) * fit(attribute, column, tokens)
        of_report = fuzz.partial_ratio(_letters(attribute.report_name), _letters(column.table))
        return alike * (1 - _TABLE_BONUS) + alike * _TABLE_BONUS * of_report / 100

    def _weighed(self, attribute: Attribute, column: PhysicalColumn, score: float) -> Candidate:
        claims = self._claims_on(column.name)
        own = _agreement(attribute.name, tokens_of(column.name))
        others = {name: claim for name, claim in claims.items() if name != attribute.name}
        lead = max(others.values(), default=0.0) - own
        if lead > _ALIKE:
            score -= _CLAIM_FACTOR * lead
        rivals = sorted(name for name, claim in others.items() if abs(claim - own) <= _ALIKE)
        return Candidate(column=column, score=round(max(score, 0.0), 3), rivals=tuple(rivals))

    def _claims_on(self, column: str) -> Mapping[str, float]:
        """How well attributes with similar names agree with a column."""
        claims = self._claims.get(column)
        if claims is None:
            near: set[int] = set()
            tokens = tokens_of(column)
            looks = (
                (_written_out(column), self._attribute_texts),
                (_bones(tokens), self._attribute_bones),
            )
            for query, texts in looks:
                hits = process.extract(query, texts, scorer=fuzz.token_set_ratio, limit=_CLAIMANTS)
                near.update(place for _, _, place in hits)
            claims = {
                self._attributes[place]: _agreement(self._attributes[place], tokens)
                for place in near
            }
            self._claims[column] = claims
        return claims

    def _worth_a_look(self, name: str) -> set[int]:
        text = _text(name)
        places: set[int] = set()
        for query, texts in ((text, self._written_out), (_bones(text.split()), self._bones)):
            hits = process.extract(query, texts, scorer=fuzz.token_sort_ratio, limit=_LOOKED_AT)
            places.update(place for _, _, place in hits)
        for token in _whole_tokens(name):
            having = self._of_token.get(token, ())
            if len(having) <= _MOST_OF_A_TOKEN:
                places.update(having)
        return places


@lru_cache(maxsize=262_144)
def _agreement(name: str, tokens: tuple[str, ...]) -> float:
    return max(agreement(words, tokens) for words in readings_of(name))


def _text(name: str) -> str:
    words = {word.text for reading in readings_of(name) for word in reading}
    return " ".join(sorted(words - STOP_WORDS))


def _written_out(column: str) -> str:
    return " ".join(min(MEANINGS.get(token, {token})) for token in tokens_of(column))


def _bones(words: Sequence[str]) -> str:
    return " ".join(skeleton(word)[:5] for word in words)


def _letters(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())


def _whole_tokens(name: str) -> Iterator[str]:
    """Tokens that are a word, or the first letters of adjacent words."""
    for reading in readings_of(name):
        texts = [word.text for word in reading]
        yield from texts
        for start in range(len(texts)):
            for end in range(start + 1, min(start + MOST_WORDS, len(texts)) + 1):
                phrase = " ".join(texts[start:end])
                yield from (term for term, phrases in TERMS.items() if phrase in phrases)
                if end - start >= _SHORTEST:
                    yield "".join(text[0] for text in texts[start:end])


def _places(columns: Sequence[PhysicalColumn]) -> Mapping[str, list[int]]:
    places: dict[str, list[int]] = defaultdict(list)
    for place, column in enumerate(columns):
        for token in tokens_of(column.name):
            places[token].append(place)
    return places
