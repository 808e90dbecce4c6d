"""Reads one PDF in a separate process: from stdin, its text as JSON to stdout.

A PDF may loop or unpack to gigabytes. A process can be limited and killed,
a thread cannot.
"""

import io
import json
import logging
import resource
import sys
from collections.abc import Mapping
from typing import Any

from pypdf import PageObject, PdfReader
from pypdf.errors import DependencyError, FileNotDecryptedError, PyPdfError

MEMORY = 1024 * 1024 * 1024
SECONDS = 60
MAX_PAGES = 2_000
MAX_CHARACTERS = 5_000_000

# pypdf raises many kinds of errors for a broken file.
_BROKEN = (PyPdfError, RecursionError, ValueError, LookupError, TypeError, AttributeError)
# Encodings that pypdf does not know, or only with other programs.
_UNKNOWN = (NotImplementedError, DependencyError)


def read_pdf(content: bytes) -> Mapping[str, Any]:
    """The pages of a PDF, or what is wrong with it."""
    try:
        return _read(PdfReader(io.BytesIO(content)))
    except FileNotDecryptedError:
        return {"error": "encrypted"}
    except MemoryError:
        return {"error": "too_large"}
    except (*_UNKNOWN, *_BROKEN):
        return {"error": "unreadable"}


def _read(reader: PdfReader) -> Mapping[str, Any]:
    pages: list[str] = []
    without_text: list[int] = []
    if len(reader.pages) > MAX_PAGES:
        return {"error": "too_large"}
    length = 0
    for number, page in enumerate(reader.pages, start=1):
        text = page.extract_text(extraction_mode="layout")
        length += len(text)
        if length > MAX_CHARACTERS:
            return {"error": "too_large"}
        if not text.strip() and _has_pictures(page):
            without_text.append(number)
        pages.append(text)
    return {"pages": pages, "without_text": without_text}


def _has_pictures(page: PageObject) -> bool:
    return len(page.images) > 0


def main() -> None:
    """Read stdin, write stdout."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    # It logs every oddity of a file, and quotes it.
    logging.disable()
    json.dump(read_pdf(sys.stdin.buffer.read()), sys.stdout)


if __name__ == "__main__":
    main()
