"""How words become the tokens of column names: cut short, without vowels, by first letters.

The dictionary has what no rule can find: the usual irregular abbreviations of data modelling
and banking. Regular ones are left to the rules.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from rapidfuzz import fuzz

MEANINGS: Mapping[str, frozenset[str]] = {
    token: frozenset(words.split())
    for token, words in {
        "acct": "account",
        "actl": "actual",
        "addr": "address",
        "amt": "amount",
        "aprsl": "appraisal",
        "avg": "average mean",
        "bal": "balance",
        "bef": "before prior",
        "bgn": "begin beginning start",
        "cat": "category",
        "cd": "code coding",
        "cnt": "count number",
        "co": "company",
        "cr": "credit",
        "cur": "current",
        "curr": "current",
        "cust": "customer",
        "disb": "disbursed disbursement",
        "dlq": "delinquent delinquency",
        "dob": "birthdate",
        "dsc": "description",
        "dt": "date day",
        "eff": "effective",
        "fcl": "foreclosure",
        "flg": "flag indicator",
        "freq": "frequency",
        "fst": "first",
        "id": "identifier identification number",
        "idx": "index",
        "ind": "indicator flag",
        "int": "interest",
        "lmt": "limit",
        "ln": "loan",
        "lst": "last latest",
        "mnt": "amount",
        "mo": "month months",
        "mod": "modification modified modify",
        "mos": "months",
        "mrgn": "margin",
        "mth": "month months monthly",
        "mthd": "method",
        "mtg": "mortgage",
        "mtge": "mortgage",
        "nbr": "number",
        "nm": "name",
        "no": "number",
        "num": "number",
        "nxt": "next",
        "ofcr": "officer",
        "orig": "original origination originated",
        "pct": "percent percentage ratio",
        "pmt": "payment pay paid",
        "pnlty": "penalty",
        "prc": "price",
        "prd": "period periodic product",
        "prev": "previous prior",
        "prin": "principal",
        "prod": "product",
        "prps": "purpose",
        "pymt": "payment",
        "qty": "quantity",
        "rfrsh": "refreshed refresh recent latest",
        "rpt": "report reporting reported",
        "rqst": "request requested",
        "rst": "reset",
        "rt": "rate",
        "sls": "sales",
        "src": "source",
        "st": "state",
        "stmt": "statement",
        "term": "term maturity",
        "tot": "total",
        "trm": "term",
        "ts": "timestamp time",
        "ttl": "total",
        "txn": "transaction",
        "typ": "type",
        "val": "value valuation",
        "ver": "version",
        "vndr": "vendor",
        "xfer": "transfer",
        "yr": "year",
        "zip": "postal",
    }.items()
}

# Terms of the trade whose letters are not those of the words that forms use for them.
TERMS: Mapping[str, frozenset[str]] = {
    "reo": frozenset({"bank owned", "real estate owned"}),
    # The state in the reporting month is the current one.
    "cur": frozenset({"reporting month"}),
    "curr": frozenset({"reporting month"}),
    "cltv": frozenset({"combined ltv", "combined loan to value"}),
    "heloc": frozenset({"home equity line"}),
    "ssn": frozenset({"social security number", "taxpayer number"}),
    "dpd": frozenset({"days past due"}),
}

MOST_WORDS = 5

_VOWELS = frozenset("aeiou")
_EQUAL, _KNOWN, _SKELETON, _CUT, _SHORT_CUT = 1.0, 0.98, 0.96, 0.93, 0.7
_INITIALS, _PAIR = 0.92, 0.8
_PIECES, _LEAST_FULLNESS = 0.6, 0.4
_SUBSEQUENCE, _FULLNESS = 0.55, 0.35
_ALIKE = 84.0
_FEWEST_LETTERS = 3
_PAIR_OF_WORDS = 2


@lru_cache(maxsize=262_144)
def likeness(token: str, words: tuple[str, ...]) -> float:
    """How surely a token stands for these words, next to each other in a name: 0-1."""
    if len(words) == 1:
        return _one(token, words[0])
    if " ".join(words) in TERMS.get(token, ()):
        return _KNOWN
    joined = "".join(words)
    if token == joined:
        return _EQUAL
    if len(token) < len(words):
        return 0.0
    if token == "".join(word[0] for word in words):
        return _INITIALS if len(words) > _PAIR_OF_WORDS else _PAIR
    fullness = min(1.0, len(skeleton(token)) / len(skeleton(joined)))
    if len(token) < _FEWEST_LETTERS or fullness < _LEAST_FULLNESS or not _is_pieced(token, words):
        return 0.0
    return _PIECES + _FULLNESS * fullness


def skeleton(word: str) -> str:
    """A word without vowels and doubled letters, but with its first letter."""
    kept = word[:1]
    for letter in word[1:]:
        if letter not in _VOWELS and letter != kept[-1]:
            kept += letter
    return kept


def _one(token: str, word: str) -> float:
    if token == word or token + "s" == word or word + "s" == token:
        return _EQUAL
    if word in MEANINGS.get(token, ()):
        return _KNOWN
    if not token or token[0] != word[0] or token.isdigit() or word.isdigit():
        return 0.0
    if word.startswith(token) or _stem(word) == _stem(token):
        return _CUT if len(token) >= _FEWEST_LETTERS else _SHORT_CUT
    bones = skeleton(word)
    if skeleton(token) == bones:
        return _SKELETON
    if len(token) >= _FEWEST_LETTERS and _is_thinned(token, word):
        return _SUBSEQUENCE + _FULLNESS * min(1.0, len(skeleton(token)) / len(bones))
    alike = fuzz.ratio(token, word)
    return alike / 100 * _CUT if alike >= _ALIKE else 0.0


def _stem(word: str) -> str:
    for ending in ("ing", "ed", "es", "e", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= _FEWEST_LETTERS:
            return word[: -len(ending)]
    return word


def _is_thinned(token: str, word: str) -> bool:
    """Whether a token is the beginning of a word and then some of its consonants."""
    same = 0
    while same < len(token) and same < len(word) and token[same] == word[same]:
        same += 1
    letters = iter(word[same:])
    return all(letter not in _VOWELS and letter in letters for letter in token[same:])


def _is_pieced(token: str, words: Sequence[str]) -> bool:
    """Whether a token is made of a piece of each word, each piece with its word's first letter."""
    if not words:
        return not token
    first, rest = words[0], words[1:]
    if not token or token[0] != first[0]:
        return False
    return any(
        _is_thinned(token[:end], first) and _is_pieced(token[end:], rest)
        for end in range(1, len(token) - len(rest) + 1)
    )
