"""Names split up: the words of an attribute, the tokens of a column."""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeAlias

# Words without a meaning that a column's name would repeat.
STOP_WORDS = frozenset(
    {
        *("a", "an", "and", "any", "as", "at", "by", "for", "from", "in", "is", "of", "on", "or"),
        *("per", "the", "this", "time", "to", "was", "with"),
    }
)

# Words for the kind of value; half of all columns have one.
KIND_WORDS = frozenset(
    {
        *("amount", "code", "coding", "count", "date", "flag", "id", "indicator", "name", "number"),
        *("percent", "percentage", "rate", "ratio", "type", "value"),
    }
)

_STOP_WEIGHT, _KIND_WEIGHT = 0.05, 0.45
_HEAD_FACTOR, _QUALIFIER_FACTOR, _ASIDE_FACTOR = 1.5, 0.7, 0.6

_PART = re.compile("[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|%")
_ASIDE = re.compile(r"\([^)]*\)")

# Where the main phrase of a name ends: "Credit Score at Origination", "Product Type - Current".
_PHRASE_END = re.compile(r"[(]| [-–—] | (?:at|of|in|as|by|to|before|after)\b")

# From here on a name says which one, not what.
_QUALIFIER = re.compile(r" [-–—] | (?:at|in|as|by|before|after)\b", re.IGNORECASE)

# An acronym beside its words: "Debt to Income (DTI)", "Default - PD".
_ACRONYM = re.compile(r"\(([A-Z&]{2,6})\)| [-–—] ([A-Z]{2,6})$")


@dataclass(frozen=True, slots=True)
class Word:
    """A word of an attribute's name, and its weight."""

    text: str
    weight: float


Words: TypeAlias = tuple[Word, ...]


@lru_cache(maxsize=8_192)
def readings_of(name: str) -> tuple[Words, ...]:
    """The words of an attribute's name, in each of its readings.

    "Debt to Income (DTI) at Origination" is read with the three words or with the acronym.
    """
    acronym = _ACRONYM.search(name)
    letters = (acronym[1] or acronym[2]).replace("&", "") if acronym else ""
    start = _start_of_phrase(name[: acronym.start()], letters) if acronym else None
    if acronym is None or start is None:
        return (_words_of(name),)
    before, after = name[: acronym.start()], name[acronym.end() :]
    return _words_of(before + after), _words_of(f"{before[:start]}{letters}{after}")


@lru_cache(maxsize=65_536)
def tokens_of(column: str) -> tuple[str, ...]:
    """The tokens of a column's name, which may be written `cur_ln_amt` or `CurLnAmt`."""
    return tuple(found[0].lower() for found in _PART.finditer(column))


def _start_of_phrase(text: str, letters: str) -> int | None:
    """Where the last words with these first letters begin; small words may be left out."""
    parts = list(_PART.finditer(text))
    for first in range(len(parts) - 1, -1, -1):
        words = [part[0].lower() for part in parts[first:]]
        initials = "".join(word[0] for word in words)
        without_small = "".join(word[0] for word in words if word not in STOP_WORDS)
        if letters.lower() in {initials, without_small}:
            return parts[first].start()
    return None


def _words_of(name: str) -> Words:
    asides = [found.span() for found in _ASIDE.finditer(name)]
    qualifier = _QUALIFIER.search(name)
    qualified = qualifier.start() if qualifier else len(name)
    words = []
    for found in _PART.finditer(name):
        text = "percent" if found[0] == "%" else found[0].lower()
        weight = _weight(text)
        # The "(2)" of a repeated form is not an aside.
        if not text.isdigit() and any(start < found.start() < end for start, end in asides):
            weight *= _ASIDE_FACTOR
        elif found.start() > qualified:
            weight *= _QUALIFIER_FACTOR
        words.append(Word(text, weight))
    return _with_head(words, name)


def _with_head(words: list[Word], name: str) -> Words:
    """Give the last noun more weight: the vendor of a "Score Vendor"."""
    end = _PHRASE_END.search(name)
    head = len(_PART.findall(name[: end.start()] if end else name)) - 1
    if head > 0 and words[head].weight == 1.0:
        words[head] = replace(words[head], weight=_HEAD_FACTOR)
    return tuple(words)


def _weight(text: str) -> float:
    if text in STOP_WORDS:
        return _STOP_WEIGHT
    return _KIND_WEIGHT if text in KIND_WORDS else 1.0
