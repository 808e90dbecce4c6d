"""A server for webhooks: it records requests, and answers on demand."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from longhaul.core.webhooks import signed_headers

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Received:
    """One request, as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def delivery_id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def content(self) -> dict[str, Any]:
        return dict(json.loads(self.body))

    def is_signed_with(self, secret: str) -> bool:
        timestamp = int(self.headers["webhook-timestamp"])
        expected = signed_headers(secret, self.delivery_id, timestamp, self.body)
        return expected["webhook-signature"] == self.headers["webhook-signature"]


class WebhookReceiver:
    """Answers 204, or the next of `statuses` while there are any."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.statuses: deque[int] = deque()
        self.answers = asyncio.Event()
        self.answers.set()
        self.port = 0

    @classmethod
    @asynccontextmanager
    async def listen(cls) -> AsyncIterator["WebhookReceiver"]:
        receiver = cls()
        server = await asyncio.start_server(receiver._serve, HOST, 0)
        receiver.port = server.sockets[0].getsockname()[1]
        try:
            yield receiver
        finally:
            receiver.answers.set()
            server.close()
            await server.wait_closed()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/hook"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            request, *lines = head.split("\r\n")
            pairs = (line.partition(": ") for line in lines if line)
            headers = {name.lower(): value for name, _, value in pairs}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.received.append(Received(request.split(" ")[1], headers, body))
            await self.answers.wait()
            status = self.statuses.popleft() if self.statuses else 204
            location = f"Location: {self.url}/elsewhere\r\n" if 300 <= status < 400 else ""
            answer = f"HTTP/1.1 {status} Whatever\r\n{location}Content-Length: 0\r\n\r\n"
            writer.write(answer.encode())
            await writer.drain()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
