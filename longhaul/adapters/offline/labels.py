"""How documents name an attribute: by its words, its column or its MDRM, at the start of a cell."""

import re

from longhaul.adapters.offline.idea import NUMBERS, TIMES
from longhaul.core.attributes import Attribute
from longhaul.core.layout import words_of

_BRACKETS = re.compile(r"\([^()]*\)")
_WORD = re.compile(r"[^\W\d_]{2,}")

# The weight of a label without its words in brackets, which may tell it from another.
DOUBT = 0.5


def label(attribute: Attribute) -> re.Pattern[str]:
    """A pattern of an attribute's name; its group `doubtful` holds one without words in brackets.

    `UPB (Net)` is not `UPB`, while the `(DTI)` of a debt to income only repeats it.
    """
    short = _BRACKETS.sub(lambda found: "" if _says_nothing(found) else found[0], attribute.name)
    sure = [attribute.name, short, attribute.column or "", attribute.mdrm or ""]
    patterns = list(dict.fromkeys(words for name in sure if (words := words_of(name))))
    bare = words_of(_BRACKETS.sub("", attribute.name))
    doubtful = bare if bare and bare not in patterns else "(?!)"
    return re.compile("|".join([*patterns, f"(?P<doubtful>{doubtful})"]), re.IGNORECASE)


def behind(attribute: Attribute) -> re.Pattern[str]:
    """A line with a value after the label, with groups `colon` and `value`.

    The label begins a line, a cell or a sentence: in `Current Interest Rate: 5` the words
    `Interest Rate` are the end of another one.
    """
    is_label = label(attribute)
    number = "|".join(
        ["[0-9]{1,3}[.):]?", *([re.escape(attribute.mdrm)] if attribute.mdrm else [])]
    )
    # A gap is matched at its end only: it may be as long as a page.
    start = r"(?:^|(?<=  )(?! )|(?<=[\t|])|(?<=[a-z0-9)%][.,;]))\s{0,8}(?:[-*•·]\s*)?"
    start += rf"(?:(?:{number})\s+)?"
    article = r"(?:(?:the|your|our|its|this)\s+)?"
    # After a gap there may be the next title of a table, which has no number.
    gap = r"(?: {2,}|\t+)"
    if attribute.data_type in (*NUMBERS, *TIMES):
        gap += r"(?=(?:\S| (?! ))*[0-9])"
    return re.compile(
        rf"{start}{article}(?:{is_label.pattern})(?P<colon>\s*[:=]\s*|{gap})(?P<value>\S.*)",
        is_label.flags,
    )


def _says_nothing(found: re.Match[str]) -> bool:
    """Whether words in brackets are a sign or the initials of the words before them."""
    if not _WORD.search(found[0]):
        return True
    initials = iter(
        word[0].casefold() for word in re.findall(r"\w+", found.string[: found.start()])
    )
    return all(letter in initials for letter in re.findall(r"\w", found[0].casefold()))
