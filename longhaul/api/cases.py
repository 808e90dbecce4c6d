"""Test cases over HTTP: one transaction a request, and rows as clients see them."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from longhaul.adapters.documents.reader import check_document
from longhaul.api.case_schemas import GivenDocumentView, GivenView, QueryRequest, ReviewRequest
from longhaul.api.cursors import cut, read_case_cursor
from longhaul.core.blobs import BlobMissing, BlobStore, BlobTooLarge
from longhaul.core.cases import NewDocument
from longhaul.core.casework import CaseFilter, CaseworkStore, Given
from longhaul.core.errors import (
    BodyTooLarge,
    InvalidInput,
    ItemFailed,
    MalformedRequest,
    NotFound,
    Unavailable,
)
from longhaul.core.ports import Database, Row, Transaction
from longhaul.core.principals import Principal
from longhaul.services.casework import Casework

MOST_SHOWN = 100

_KIB, _MIB = 1024, 1024 * 1024

# Documents are held whole in memory, so only this many come in and go out at once, and none
# for long: slow ones keep the others waiting.
_AT_ONCE = 2
_WAIT = 10.0
_PATIENCE = 120.0
_HEAD_START = 15.0
_LOWEST_RATE = 128 * _KIB

# Clients' names of columns with other names.
_CASE = {"key_values": "keys"}
_PLACE = itemgetter("cycle_id", "report_id", "line_no", "sample", "id")
_EVIDENCE = {
    "content_hash": "document",
    "query": "sql",
    "table_name": "table",
    "column_name": "column",
    "created_by": "given_by",
    "created_at": "given_at",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """An uploaded document.

    Attributes:
        announced: The announced size, if there is one.
    """

    chunks: AsyncIterator[bytes]
    content_type: str
    file_name: str
    announced: int | None


class Cases:
    """Answers the routes of test cases.

    Args:
        max_document: The most bytes of a document.
    """

    def __init__(
        self,
        *,
        database: Database,
        store: CaseworkStore,
        casework: Casework,
        blobs: BlobStore,
        max_document: int,
    ) -> None:
        self._database = database
        self._store = store
        self._casework = casework
        self._blobs = blobs
        self._max_document = max_document
        self._in, self._out = asyncio.Semaphore(_AT_ONCE), asyncio.Semaphore(_AT_ONCE)

    async def list(
        self, principal: Principal, wanted: CaseFilter, *, limit: int, cursor: str | None
    ) -> dict[str, Any]:
        """One page of the test cases that the caller may see.

        Raises:
            MalformedRequest: The cursor cannot be read.
        """
        after = read_case_cursor(cursor)
        async with self._database.begin() as tx:
            found = await self._casework.page(tx, principal, wanted, limit=limit + 1, after=after)
        page, next_cursor = cut(found, limit, _PLACE)
        return {"cases": [_case_object(row) for row in page], "next_cursor": next_cursor}

    async def show(self, principal: Principal, case_id: int) -> dict[str, Any]:
        """One test case with its evidence and executions.

        Raises:
            NotFound: The caller has none.
        """
        async with self._database.begin() as tx:
            case = await self._casework.find(tx, principal, case_id)
            return await self._whole(tx, case)

    async def upload(
        self, principal: Principal, case_id: int, upload: Upload
    ) -> tuple[GivenDocumentView, bool]:
        """Store a document, and attach it to a test case.

        Returns:
            The result, and whether anything has changed.

        Raises:
            As `Casework.give_document`; and
            BodyTooLarge: It is larger than the limit.
            InvalidInput: It cannot be read.
            MalformedRequest: The upload was incomplete or too slow.
            Unavailable: The store of documents did not answer, or too many uploads are in progress.
        """
        async with self._database.begin() as tx:
            await self._casework.check_may_give(tx, principal, [case_id])
        async with _place(self._in):
            content = await self._receive(upload)
            try:
                await check_document(content, upload.content_type)
            except ItemFailed as exc:
                raise InvalidInput(exc.sentence) from None
            document = NewDocument(
                content_hash=await self._blobs.put(content),
                content_type=upload.content_type,
                file_name=upload.file_name,
                size=len(content),
            )
        async with self._database.begin() as tx:
            given = await self._casework.give_document(tx, principal, [case_id], document)
        return _given_document(given, document), given.attached > 0

    async def document(self, principal: Principal, case_id: int, content_hash: str) -> NewDocument:
        """A document that is evidence of a test case, without its content.

        Raises:
            As `Casework.document`.
        """
        async with self._database.begin() as tx:
            return await self._casework.document(tx, principal, case_id, content_hash)

    @asynccontextmanager
    async def content(self, document: NewDocument) -> AsyncIterator[bytes]:
        """The content of a document, for the time of sending it.

        Raises:
            NotFound: It is no longer in the store.
            Unavailable: The store did not answer, or too many downloads are in progress.
            TimeoutError: The client reads too slowly.
        """
        async with _place(self._out), asyncio.timeout(_PATIENCE):
            try:
                content = await self._blobs.get(document.content_hash)
            except (BlobMissing, BlobTooLarge):
                raise NotFound("The document is no longer in the store.") from None
            yield content

    async def attach(
        self, principal: Principal, content_hash: str, case_ids: Collection[int]
    ) -> tuple[GivenDocumentView, bool]:
        """Attach a document that the caller may read to further test cases.

        Returns:
            The result, and whether anything has changed.

        Raises:
            As `Casework.known_document` and `Casework.give_document`.
        """
        async with self._database.begin() as tx:
            document = await self._casework.known_document(tx, principal, content_hash)
            given = await self._casework.give_document(tx, principal, case_ids, document)
        return _given_document(given, document), given.attached > 0

    async def give_query(
        self, principal: Principal, case_id: int, body: QueryRequest
    ) -> tuple[GivenView, bool]:
        """Attach a query to test cases.

        Returns:
            The result, and whether anything has changed.

        Raises:
            As `Casework.give_query`.
        """
        async with self._database.begin() as tx:
            given = await self._casework.give_query(
                tx, principal, {case_id, *body.also}, body.data_source, body.sql, body.parameters
            )
        return _given(given), given.attached > 0

    async def review(
        self, principal: Principal, case_id: int, body: ReviewRequest
    ) -> dict[str, Any]:
        """Review a test; returns the test case.

        Raises:
            As `Casework.review`.
        """
        async with self._database.begin() as tx:
            await self._casework.review(
                tx, principal, case_id, body.result, execution=body.execution, reason=body.reason
            )
            return await self._whole(tx, await self._casework.find(tx, principal, case_id))

    async def _receive(self, upload: Upload) -> bytes:
        too_large = BodyTooLarge(
            f"The document is too large; the limit is {self._max_document // _MIB} MB."
        )
        if (upload.announced or 0) > self._max_document:
            raise too_large
        parts, size = [], 0
        end = asyncio.get_running_loop().time() + _HEAD_START
        try:
            async with asyncio.timeout_at(end) as patience:
                async for chunk in upload.chunks:
                    size += len(chunk)
                    if size > self._max_document:
                        raise too_large
                    parts.append(chunk)
                    patience.reschedule(end + size / _LOWEST_RATE)
        except TimeoutError:
            raise MalformedRequest(
                f"The upload is too slow; the minimum is {_LOWEST_RATE // _KIB} KiB/s."
            ) from None
        return b"".join(parts)

    async def _whole(self, tx: Transaction, case: Row) -> dict[str, Any]:
        evidence = await self._store.evidence(tx, case["id"], MOST_SHOWN)
        executions = await self._store.executions(tx, case["id"], MOST_SHOWN)
        history = [{**row, "reviews": row["reviews"] or []} for row in executions]
        return {
            **_case_object(case),
            "evidence": [_renamed(row, _EVIDENCE) for row in evidence],
            "latest": next((one for one in history if one["is_latest"]), None),
            "history": history,
        }


@asynccontextmanager
async def _place(places: asyncio.Semaphore) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(_WAIT):
            await places.acquire()
    except TimeoutError:
        raise Unavailable("Too many document transfers are in progress; try again later.") from None
    try:
        yield
    finally:
        places.release()


def _given(given: Given) -> GivenView:
    return {"attached": given.attached, "unchanged": given.unchanged}


def _given_document(given: Given, document: NewDocument) -> GivenDocumentView:
    return {
        **_given(given),
        "document": document.content_hash,
        "content_type": document.content_type,
        "file_name": document.file_name,
        "size": document.size,
    }


def _case_object(row: Row) -> dict[str, Any]:
    shown = _renamed(row, _CASE)
    return {**shown, "sample_id": str(row["sample_id"]), "executions": row["executions"] or 0}


def _renamed(row: Row, names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in row.items()}
