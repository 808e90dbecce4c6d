"""The text of stored documents: each is read once, for all its test cases."""

import asyncio
import codecs
import json
import sys
from contextlib import suppress
from typing import Any

from longhaul.core.blobs import MAX_BLOB, BlobMissing, BlobStore, BlobTooLarge
from longhaul.core.errors import ItemFailed
from longhaul.core.extraction import DocumentText
from longhaul.core.single_flight import SingleFlight

PDF = "application/pdf"
TEXT = "text/plain"

_MAGIC = b"%PDF-"
# The header may follow some junk; Acrobat searches the first kilobyte. A text may
# speak of it there.
_MAGIC_WITHIN = 1_024

_KEPT = 4
_AT_ONCE = 2
_PATIENCE = 90.0
_MAX_TEXT = 5_000_000
# No encoding of ours takes more bytes for a character. Decoded, one character beyond the Basic
# Multilingual Plane makes four bytes of each, so that nothing is decoded without need.
_MAX_TEXT_BYTES = 4 * _MAX_TEXT

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_SENTENCES = {
    "encrypted": "The document is encrypted; store it without a password.",
    "unreadable": "The document is damaged or not a PDF.",
    "too_large": "The document is too large to be read.",
    "too_slow": "Reading the document took too long.",
    "missing": "The document is no longer in the store.",
    "not_text": "The document is neither a PDF nor a text.",
    "no_text_layer": "The document has no text layer: its pages are pictures. Run text "
    "recognition over it and store it again.",
    "empty": "The document is empty.",
}


class StoredDocuments:
    """Reads documents of a blob store."""

    def __init__(self, blobs: BlobStore | None) -> None:
        self._blobs = blobs
        self._read: SingleFlight[tuple[str, str], DocumentText] = SingleFlight(_KEPT)
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def read(self, key: str, content_type: str) -> DocumentText:
        """The text of a stored document."""
        return await self._read.get((key, content_type), lambda: self._fresh(key, content_type))

    async def _fresh(self, key: str, content_type: str) -> DocumentText:
        if self._blobs is None:
            raise _failed("missing")
        # Contents are large: only this many are in memory at a time.
        async with self._turns:
            try:
                content = await self._blobs.get(key)
            except BlobMissing:
                raise _failed("missing") from None
            except BlobTooLarge:
                raise _failed("too_large") from None
            return await read_document(content, content_type)


async def read_document(content: bytes, content_type: str = "") -> DocumentText:
    """The text of a document.

    Args:
        content_type: What the uploader said; the first bytes count more.

    Raises:
        ItemFailed: It cannot be read; the code says why.
    """
    if len(content) > MAX_BLOB:
        raise _failed("too_large")
    if not content.strip():
        raise _failed("empty")
    if _is_pdf(content, content_type):
        document = await _read_pdf(content)
    else:
        text = await asyncio.to_thread(_decode, content)
        document = DocumentText(pages=tuple(text.split("\f")))
    if not any(page.strip() for page in document.pages):
        raise _failed("no_text_layer" if document.without_text else "empty")
    return document


async def check_document(content: bytes, content_type: str) -> None:
    """Refuse a document that cannot be read, without reading all of it.

    Raises:
        ItemFailed: It is empty, or not what it is said to be; the code says which.
    """
    if not content.strip():
        raise _failed("empty")
    if not _is_pdf(content, content_type):
        await asyncio.to_thread(_decode, content)
    elif _MAGIC not in content[:_MAGIC_WITHIN] and not content.lstrip().startswith(_MAGIC):
        raise _failed("unreadable")


def _is_pdf(content: bytes, content_type: str) -> bool:
    if content_type == TEXT:
        return content.lstrip().startswith(_MAGIC)
    return content_type == PDF or _MAGIC in content[:_MAGIC_WITHIN]


async def _read_pdf(content: bytes) -> DocumentText:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "longhaul.adapters.documents.pdf",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(_PATIENCE):
            out, _ = await process.communicate(content)
    except TimeoutError:
        raise _failed("too_slow") from None
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    # Killed by its limits it has written nothing.
    answer: dict[str, Any] = json.loads(out) if out and not process.returncode else {}
    if "pages" not in answer:
        raise _failed(answer.get("error", "too_slow"))
    return DocumentText(pages=tuple(answer["pages"]), without_text=tuple(answer["without_text"]))


def _decode(content: bytes) -> str:
    if len(content) > _MAX_TEXT_BYTES:
        raise _failed("too_large")
    encoding = next((name for bom, name in _BOMS if content.startswith(bom)), "utf-8")
    if encoding != "utf-16" and b"\x00" in content:
        raise _failed("not_text")
    for one in (encoding, "cp1252"):
        with suppress(UnicodeDecodeError):
            text = content.decode(one)
            if len(text) > _MAX_TEXT:
                raise _failed("too_large")
            return text
    raise _failed("not_text")


def _failed(reason: str) -> ItemFailed:
    code = reason if reason == "no_text_layer" else f"document_{reason}"
    return ItemFailed(code, _SENTENCES[reason])
