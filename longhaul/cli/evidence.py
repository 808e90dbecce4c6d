"""Documents as evidence: one for any number of test cases."""

from collections.abc import Sequence
from typing import Any

from longhaul.cli.client import ApiClient


def give_document(
    api: ApiClient, case_ids: Sequence[int], content: bytes, *, content_type: str, file_name: str
) -> dict[str, Any]:
    """Send a document once and attach it to test cases; returns the result."""
    first, *others = case_ids
    given: dict[str, Any] = api.upload(
        f"/cases/{first}/documents",
        content,
        content_type=content_type,
        params={"file_name": file_name},
    )
    if others:
        body = {"document": given["document"], "case_ids": others}
        more = api.call("POST", "/cases/documents", body=body)
        given |= {name: given[name] + more[name] for name in ("attached", "unchanged")}
    return given
