"""People on slow lines: what they block, and what they leave to others."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.settings import Settings
from tests.api.conftest import Terminal, make_settings
from tests.api.people import People, answer
from tests.case_samples import SeededCases, seed_cases
from tests.conftest import Servers
from tests.tokens import token

# More than the system buffers of a connection.
LARGE = b"%PDF-1.7\n" + b"a" * (16 * 1024 * 1024)


@pytest.fixture
def settings(
    monkeypatch: pytest.MonkeyPatch, servers: Servers, dsn: str, tmp_path: Path
) -> Settings:
    return make_settings(monkeypatch, servers, dsn, LONGHAUL_DATA_DIR=str(tmp_path))


@pytest.fixture
async def cases(database: PostgresDatabase) -> SeededCases:
    return await seed_cases(database)


async def give(
    people: People, case_id: int, content: bytes | AsyncIterator[bytes]
) -> httpx2.Response:
    path, headers = f"/cases/{case_id}/documents", {"Content-Type": "application/pdf"}
    return await people.tester.post(path, content=content, headers=headers)


async def give_large(people: People, case_id: int) -> str:
    given = await give(people, case_id, LARGE)
    assert given.status_code == 201, given.text
    return f"/cases/{case_id}/documents/{given.json()['document']}"


@asynccontextmanager
async def slow_reader(url: str, path: str) -> AsyncIterator[asyncio.StreamReader]:
    """A client that has read the headers of a document, and nothing more yet."""
    at = urlsplit(url)
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.setblocking(False)
    await asyncio.get_running_loop().sock_connect(line, (at.hostname, at.port))
    reader, writer = await asyncio.open_connection(sock=line, limit=4096)
    bearer = token("tess", "Tester", lob="Mortgage")
    head = f"GET /api/v1{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bearer}\r\n"
    writer.write(f"{head}Connection: close\r\n\r\n".encode())
    answer = await reader.readuntil(b"\r\n\r\n")
    assert b" 200 " in answer
    assert f"content-length: {len(LARGE)}".encode() in answer.lower()
    yield reader
    writer.close()


async def rest(reader: asyncio.StreamReader) -> int:
    size = 0
    while piece := await reader.read(64 * 1024):
        size += len(piece)
    return size


async def test_two_who_read_slowly_hold_the_two_documents_that_may_be_on_their_way_out(
    people: People, cases: SeededCases, terminal: Terminal
) -> None:
    case_id = cases.ids[0]
    path = await give_large(people, case_id)
    async with slow_reader(terminal.url, path) as reader:
        async with slow_reader(terminal.url, path):
            third = asyncio.create_task(people.reader.get(path))
            for _ in range(10):
                assert (await people.reader.get(f"/cases/{case_id}")).status_code == 200
            assert not third.done()

        assert (await third).content == LARGE
        assert await rest(reader) == len(LARGE)


async def stalled(begun: asyncio.Event) -> AsyncIterator[bytes]:
    """A document that begins and never ends."""
    yield b"%PDF-1.7\n" + b"a" * (512 * 1024)
    begun.set()
    await asyncio.Event().wait()


async def test_two_who_send_slowly_keep_nobody_waiting_for_long(
    people: People, cases: SeededCases
) -> None:
    case_id = cases.ids[0]
    begun = [asyncio.Event(), asyncio.Event()]
    slow = [asyncio.create_task(give(people, case_id, stalled(one))) for one in begun]
    for one in begun:
        await one.wait()

    meanwhile = await give(people, case_id, b"%PDF-1.7\nsmall")

    assert answer(meanwhile) == (
        503,
        "unavailable",
        "Too many document transfers are in progress; try again later.",
    )
    assert meanwhile.headers["Retry-After"]
    assert {answer(await one) for one in slow} == {
        (
            400,
            "malformed_request",
            "The upload is too slow; the minimum is 128 KiB/s.",
        )
    }
    assert (await give(people, case_id, b"%PDF-1.7\nsmall")).status_code == 201
