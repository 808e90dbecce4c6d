"""Documents by the hash of their content: stored once, never changed."""

import hashlib
import re
from typing import Protocol

# The most bytes of a document; several are held in memory at once.
MAX_BLOB = 50 * 1024 * 1024

_KEY = re.compile("[0-9a-f]{64}")


class BlobMissing(LookupError):
    """The store has nothing under this hash."""


class BlobTooLarge(ValueError):
    """The content is larger than a document may be."""


class BlobStore(Protocol):
    """Keeps contents under their SHA-256.

    Every method raises:
        Unavailable: The store did not answer.
    """

    async def put(self, content: bytes) -> str:
        """Store a content and return its hash; storing it again changes nothing.

        Raises:
            BlobTooLarge: It has more than `MAX_BLOB` bytes.
        """

    async def get(self, key: str) -> bytes:
        """The content with this hash.

        Raises:
            BlobMissing: There is none.
            BlobTooLarge: What is stored there is larger than `MAX_BLOB`.
        """


def blob_key(content: bytes) -> str:
    """The hash of a content.

    Raises:
        BlobTooLarge: It has more than `MAX_BLOB` bytes.
    """
    if len(content) > MAX_BLOB:
        raise BlobTooLarge
    return hashlib.sha256(content).hexdigest()


def is_blob_key(key: str) -> bool:
    """Whether the text has the form of a hash, and so cannot name anything outside the store."""
    return _KEY.fullmatch(key) is not None
