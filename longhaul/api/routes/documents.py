"""Upload and download of documents: the one kind of body that is not JSON, and large."""

from collections.abc import AsyncIterator
from contextlib import suppress
from http import HTTPStatus
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from longhaul.adapters.documents.reader import PDF, TEXT
from longhaul.api.case_schemas import GivenDocumentView
from longhaul.api.cases import Cases, Upload
from longhaul.api.routes.cases import CaseId
from longhaul.api.routes.dependencies import Caller, Serving
from longhaul.core.cases import NewDocument
from longhaul.core.errors import MalformedRequest

router = APIRouter()

FileName = Annotated[
    str,
    Query(
        min_length=1,
        max_length=255,
        pattern=r"^[^\x00-\x1f\x7f]+$",
        description="shown to people only",
    ),
]

_BINARY = {"schema": {"type": "string", "format": "binary"}}
# How much of an answer the server buffers for a slow reader.
_PIECE = 64 * 1024

_CONTENT = {PDF: _BINARY, TEXT: _BINARY}
_BODY = {"required": True, "content": _CONTENT}


class DocumentResponse(Response):
    """Sends a document, which is in memory only for that time.

    It is sent in pieces: a server waits for the reader before it takes the next one, but would
    hold a single large one until it is read.
    """

    def __init__(self, document: NewDocument, cases: Cases) -> None:
        super().__init__()
        self._document = document
        self._cases = cases

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it when there is a place."""
        # If the client reads too slowly, the connection is closed before the end.
        with suppress(TimeoutError):
            await self._send(send)

    async def _send(self, send: Send) -> None:
        async with self._cases.content(self._document) as content:
            name = quote(self._document.file_name, safe="")
            headers = {
                "Content-Type": self._document.content_type,
                "Content-Length": str(len(content)),
                "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
                # An uploaded document must never run as a page of ours.
                "X-Content-Type-Options": "nosniff",
                "Cache-Control": "private, no-store",
            }
            await StreamingResponse(_pieces(content), headers=headers).stream_response(send)


@router.post(
    "/{case_id}/documents",
    status_code=HTTPStatus.CREATED,
    openapi_extra={"requestBody": _BODY},
)
async def give_document(
    case_id: CaseId,
    caller: Caller,
    serving: Serving,
    request: Request,
    response: Response,
    file_name: FileName = "document",
) -> GivenDocumentView:
    """Upload a PDF or a text as evidence of a test case; 200 if it is that already."""
    announced = request.headers.get("content-length", "")
    upload = Upload(
        chunks=_chunks(request),
        content_type=_content_type(request),
        file_name=file_name,
        announced=int(announced) if announced.isdigit() else None,
    )
    given, is_new = await serving.cases.upload(caller, case_id, upload)
    if not is_new:
        response.status_code = HTTPStatus.OK
    return given


@router.get(
    "/{case_id}/documents/{content_hash}",
    response_class=Response,
    responses={200: {"content": _CONTENT}},
)
async def read_document(
    case_id: CaseId, content_hash: str, caller: Caller, serving: Serving
) -> DocumentResponse:
    """A document that is evidence of a test case, as it was uploaded."""
    document = await serving.cases.document(caller, case_id, content_hash)
    return DocumentResponse(document, serving.cases)


def _content_type(request: Request) -> str:
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if said == PDF:
        return PDF
    if said.startswith("text/"):
        return TEXT
    raise MalformedRequest(f"Set Content-Type to the document's type: {PDF} or {TEXT}.")


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect:
        raise MalformedRequest("The upload was incomplete.") from None


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), _PIECE):
        yield content[start : start + _PIECE]
