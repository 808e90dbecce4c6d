"""What is searched in a piece of evidence, and what was found there."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from longhaul.core.attributes import Attribute
from longhaul.core.job_types import Calls

# How many characters around a value show whether it is part of a longer word or number.
_BEFORE, _BEHIND = r"(?<![0-9A-Za-z])(?<![0-9][-./])", r"(?![0-9A-Za-z])(?![-./][0-9])"
AROUND = 2

# With fewer records, counting does not show which keys tell them apart.
_COUNTED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which value is searched, and in which record.

    Attributes:
        keys: Identify the record: values by the names of the key attributes.
        identifying: The names of the keys that tell it from most others; all when empty.
    """

    attribute: Attribute
    keys: Mapping[str, str]
    identifying: frozenset[str] = frozenset()

    @property
    def identifiers(self) -> Mapping[str, str]:
        """The keys that tell the record from most others."""
        return {
            name: value
            for name, value in self.keys.items()
            if not self.identifying or name in self.identifying
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentText:
    """The text of a document.

    Attributes:
        pages: The text of each page; a text file is one page.
        without_text: Numbers of the pages that are pictures only.
    """

    pages: tuple[str, ...]
    without_text: tuple[int, ...] = ()

    def holds(self, value: str) -> bool:
        """Whether a value occurs anywhere, not as part of a longer one."""
        return bool(value) and any(whole(value).search(text) for text in self.pages)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """What was found in a piece of evidence.

    Attributes:
        value: As it is written there; None when it was not found.
        keys: The record's keys that occur in the evidence.
        location: Page, offset and quote, or row and column.
        provider: Who found it: the model's provider, `offline`, or `query`.
    """

    value: str | None
    keys: Mapping[str, str]
    confidence: float
    rationale: str
    provider: str
    model: str = ""
    prompt_version: str = ""
    location: Mapping[str, Any] = field(default_factory=dict)


class Extractor(Protocol):
    """Finds a value in the text of a document."""

    async def extract(
        self,
        question: Question,
        document: DocumentText,
        frozen: Mapping[str, Any],
        calls: Calls,
    ) -> Extraction:
        """Find the value, or say that it is not there.

        Args:
            frozen: The job's provider, model and prompt version.

        Raises:
            ItemFailed: No usable answer can be had.
        """


class Documents(Protocol):
    """Reads documents."""

    async def read(self, key: str, content_type: str) -> DocumentText:
        """The text of a stored document.

        Raises:
            ItemFailed: It is missing or cannot be read; the code says why.
            Unavailable: The store did not answer.
        """


def spaced(words: str) -> re.Pattern[str]:
    """Exactly these words, with any space between them."""
    return re.compile(r"\s+".join(map(re.escape, words.split())) or "(?!)")


def whole(value: str) -> re.Pattern[str]:
    """A value that is not part of a longer word or number."""
    return re.compile(rf"{_BEFORE}{re.escape(value)}{_BEHIND}", re.IGNORECASE)


def spaced_whole(words: str) -> re.Pattern[str]:
    """Exactly these words, with any space between them, not part of longer ones."""
    return re.compile(rf"{_BEFORE}{spaced(words).pattern}{_BEHIND}")


def identifying(keys: Mapping[str, str | None], different: Mapping[str, int]) -> frozenset[str]:
    """The names of the keys that tell a record from most others.

    A loan's number does, and its bank and its month do not.

    Args:
        different: How many values each key has among the sampled records; keys
            that never tell records apart are left out.
    """
    known = {name: value for name, value in keys.items() if value}
    counted = [name for name in known if name in different] or list(known)
    most = max((different.get(name, 0) for name in counted), default=0)
    if most < _COUNTED:
        return frozenset(sorted(counted, key=lambda name: len(known[name]))[-1:])
    return frozenset(name for name in counted if 2 * different[name] > most)
