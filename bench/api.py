"""A client of one API process, as a service would use it: one connection pool, kept alive."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import jwt

SECRET = "a secret of the benches that is long enough"
TIMEOUT = timedelta(seconds=30)

OWNER = "bench"


def token(*roles: str) -> str:
    """A token signed with the benches' secret."""
    claims = {"sub": OWNER, "roles": list(roles), "exp": datetime.now(UTC) + timedelta(hours=12)}
    return jwt.encode(claims, SECRET, algorithm="HS256")


class Api:
    """Calls one API process."""

    def __init__(self, port: int, *roles: str) -> None:
        self.port = port
        self.http = httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{port}/api/v1",
            headers={"Authorization": f"Bearer {token(*roles)}"},
            timeout=TIMEOUT.total_seconds(),
            limits=httpx2.Limits(max_keepalive_connections=200, keepalive_expiry=60),
        )

    async def submit(self, job_type: str, *, concurrency: int = 16, **parameters: Any) -> str:
        """Create a job and return its id."""
        body = {
            "job_type": job_type,
            "parameters": parameters,
            "options": {"concurrency": concurrency},
        }
        return str((await self.call("POST", "/jobs", body))["job_id"])

    async def pause(self, job_id: str, mode: str = "now") -> None:
        """Ask for a pause."""
        await self.call("POST", f"/jobs/{job_id}/pause", {"mode": mode})

    async def resume(self, job_id: str) -> None:
        """Ask for the job to go on."""
        await self.call("POST", f"/jobs/{job_id}/resume")

    async def cancel(self, job_id: str) -> None:
        """Ask for the job's end."""
        await self.call("POST", f"/jobs/{job_id}/cancel")

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request and return the JSON of its answer.

        Raises:
            httpx2.HTTPStatusError: The answer is an error.
        """
        response = await self.http.request(method, path, json=body)
        response.raise_for_status()
        return response.json()

    async def timed(self, method: str, path: str, body: Any = None) -> tuple[float, Any]:
        """Send a request; return how many seconds it took, and the JSON of its answer."""
        started = time.perf_counter()
        response = await self.http.request(method, path, json=body)
        took = time.perf_counter() - started
        response.raise_for_status()
        return took, response.json()


class Wire:
    """One kept connection without a client library, to measure the server alone.

    A client library in Python takes about as long for a request as the server does; the peers'
    clients are written in Rust and C.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    @asynccontextmanager
    async def open(cls, port: int) -> AsyncIterator["Wire"]:
        """Connect to the API process at a port."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield cls(reader, writer)
        finally:
            writer.close()
            await writer.wait_closed()

    async def timed(self, method: str, path: str, body: Any = None) -> tuple[float, Any]:
        """Send a request; return how many seconds it took, and the JSON of its answer."""
        content = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} /api/v1{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {token()}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\n\r\n"
        )
        started = time.perf_counter()
        self._writer.write(head.encode() + content)
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        length = next(line for line in lines if line.startswith("content-length:"))
        answer = await self._reader.readexactly(int(length.partition(":")[2]))
        took = time.perf_counter() - started
        if not lines[0].startswith("http/1.1 2"):
            raise RuntimeError(f"{path}: {lines[0]}")
        return took, json.loads(answer)
