"""Documents as they are: the one kind of body that is no JSON, and large."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.requests import ClientDisconnect

from longhaul.adapters.documents.reader import PDF, TEXT
from longhaul.api.case_schemas import GivenDocumentView
from longhaul.api.cases import Upload
from longhaul.api.routes.cases import CaseId
from longhaul.api.routes.jobs import Caller, Serving
from longhaul.core.errors import MalformedRequest

router = APIRouter()

FileName = Annotated[
    str,
    Query(
        min_length=1,
        max_length=255,
        pattern=r"^[^\x00-\x1f\x7f]+$",
        description="for people; not looked up anywhere",
    ),
]

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_BODY = {"required": True, "content": {PDF: _BINARY, TEXT: _BINARY}}


@router.post(
    "/{case_id}/documents",
    status_code=HTTPStatus.CREATED,
    response_model=GivenDocumentView,
    openapi_extra={"requestBody": _BODY},
)
async def give_document(
    case_id: CaseId,
    caller: Caller,
    serving: Serving,
    request: Request,
    response: Response,
    file_name: FileName = "document",
) -> Any:
    """Give a PDF or a text, as it is, as evidence of a test case; 200 if it is that already."""
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


def _content_type(request: Request) -> str:
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if said == PDF:
        return PDF
    if said.startswith("text/"):
        return TEXT
    raise MalformedRequest(f"Say in Content-Type what the document is: {PDF} or {TEXT}.")


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect:
        raise MalformedRequest("The document did not arrive whole.") from None
