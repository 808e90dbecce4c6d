"""Reading documents: the text of good ones, and the errors of bad ones."""

import os
from pathlib import Path

import pytest

from longhaul.adapters.blobs import open_blobs
from longhaul.adapters.documents.reader import PDF, TEXT, StoredDocuments, read_document
from longhaul.adapters.settings import BlobSettings
from longhaul.core.blobs import MAX_BLOB
from longhaul.core.errors import ItemFailed
from tests.documents import make_pdf, make_picture_pdf


async def test_the_pages_of_a_pdf_are_read_with_their_columns() -> None:
    content = make_pdf(
        ["Loan Number: 4711000017"],
        ["Second page"],
        table=[["Loan Number", "Current UPB"], ["4711000017", "250,000.00"]],
    )

    document = await read_document(content)

    assert document.pages[0].strip() == "Loan Number: 4711000017"
    header, row = [
        line for line in document.pages[1].splitlines() if "4711" in line or "UPB" in line
    ]
    assert header.index("Current UPB") == row.index("250,000.00")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("Größe: 5 €\n".encode(), "Größe: 5 €\n"),
        (b"\xef\xbb\xbfUPB: 1", "UPB: 1"),
        ("UPB: 1".encode("utf-16"), "UPB: 1"),
        ("Größe: 5 €".encode("cp1252"), "Größe: 5 €"),
        (
            b"A file that begins with %PDF-1.7 is a PDF.",
            "A file that begins with %PDF-1.7 is a PDF.",
        ),
    ],
)
async def test_texts_are_read_in_the_usual_encodings(content: bytes, text: str) -> None:
    assert (await read_document(content, TEXT)).pages == (text,)


@pytest.mark.parametrize(
    ("content", "content_type", "code"),
    [
        (b"", PDF, "document_empty"),
        (b" \n", TEXT, "document_empty"),
        (b"no pdf at all", PDF, "document_unreadable"),
        (b"%PDF-1.7\n" + os.urandom(5_000), "", "document_unreadable"),
        (make_pdf(["text"])[:700], PDF, "document_unreadable"),
        (make_pdf(["text"], password="secret"), PDF, "document_encrypted"),
        (make_picture_pdf(), PDF, "no_text_layer"),
        (make_picture_pdf(of_picture=b"/JBIG2Decode"), PDF, "no_text_layer"),
        (make_picture_pdf(of_page=b"/XDecode"), PDF, "document_unreadable"),
        (make_picture_pdf(of_page=b"/JBIG2Decode"), PDF, "document_unreadable"),
        (make_pdf([]), PDF, "document_empty"),
        (b"\x00\x01\x02binary", TEXT, "document_not_text"),
        (b"\x81\x8d\x90" * 9, TEXT, "document_not_text"),
        (bytes(MAX_BLOB + 1), TEXT, "document_too_large"),
        (b"%PDF-1.7 " + bytes(100 * 1024 * 1024), PDF, "document_too_large"),
        (b"x" * 6_000_000, TEXT, "document_too_large"),
        # No decoding of it is small enough, so it is not tried.
        (b"\x81" * 20_000_001, TEXT, "document_too_large"),
    ],
)
async def test_what_cannot_be_read_says_why(content: bytes, content_type: str, code: str) -> None:
    with pytest.raises(ItemFailed) as failed:
        await read_document(content, content_type)

    assert failed.value.item_code == code


async def test_a_stored_document_is_read_by_its_hash(tmp_path: Path) -> None:
    blobs = open_blobs(BlobSettings(), tmp_path)
    documents = StoredDocuments(blobs)
    key = await blobs.put(b"UPB: 1")

    assert (await documents.read(key, TEXT)).pages == ("UPB: 1",)
    with pytest.raises(ItemFailed) as failed:
        await documents.read("0" * 64, TEXT)
    assert failed.value.item_code == "document_missing"
