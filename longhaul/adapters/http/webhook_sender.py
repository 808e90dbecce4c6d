"""Sends webhooks, only to allowed addresses."""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib.metadata import version

import httpx2

from longhaul.core.webhooks import PRIVATE_TARGET, Try, is_public

TIMEOUT = timedelta(seconds=10)
MAX_ADDRESSES = 3


class WebhookSender:
    """Posts a body to an address that was just checked.

    The name is resolved here and the connection goes to the addresses that were checked, so
    that the name cannot point elsewhere a moment later. Redirects are not followed, proxies of
    the environment are not used, and of the answer only the status is read.
    """

    def __init__(self, http: httpx2.AsyncClient, *, allow_private: bool) -> None:
        self._http = http
        self._allow_private = allow_private

    @classmethod
    @asynccontextmanager
    async def open(cls, *, allow_private: bool) -> AsyncIterator["WebhookSender"]:
        """A sender, for the time of the block."""
        # Connections are not kept: one to the same address may have been made, and its
        # certificate checked, for another name.
        limits = httpx2.Limits(max_connections=100, max_keepalive_connections=0)
        async with httpx2.AsyncClient(
            timeout=TIMEOUT.total_seconds(), limits=limits, trust_env=False, follow_redirects=False
        ) as http:
            yield cls(http, allow_private=allow_private)

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Try:
        """Send once. Never raises for errors of the other side."""
        started = time.monotonic()

        def took(error: str | None, status: int | None = None, *, is_final: bool = False) -> Try:
            duration = round((time.monotonic() - started) * 1000)
            return Try(status_code=status, error=error, duration_ms=duration, is_final=is_final)

        try:
            async with asyncio.timeout(TIMEOUT.total_seconds()):
                target = httpx2.URL(url)
                addresses = await _resolve(target)
                if not self._allow_private and not all(map(is_public, addresses)):
                    return took(PRIVATE_TARGET, is_final=True)
                status = await self._post(target, addresses, headers, body)
        except (socket.gaierror, UnicodeError):  # the latter for names that DNS cannot have
            return took("not_resolved")
        except (TimeoutError, httpx2.TimeoutException):
            return took("timeout")
        except httpx2.ConnectError as exc:
            return took("tls" if isinstance(exc.__cause__, ssl.SSLError) else "connection")
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError):
            return took("connection")
        is_good = httpx2.codes.is_success(status)
        return took(None if is_good else _refusal(status), status)

    async def _post(
        self, url: httpx2.URL, addresses: Sequence[str], headers: Mapping[str, str], body: bytes
    ) -> int:
        for number, address in enumerate(addresses, start=1):
            try:
                return await self._post_to(address, url, headers, body)
            except httpx2.ConnectError:
                if number == len(addresses):
                    raise
        raise OSError("the name has no address")

    async def _post_to(
        self, address: str, url: httpx2.URL, headers: Mapping[str, str], body: bytes
    ) -> int:
        request = self._http.build_request(
            "POST",
            url.copy_with(host=address),
            content=body,
            headers={
                **headers,
                "Host": url.netloc.decode("ascii"),
                "Content-Type": "application/json",
                "User-Agent": f"longhaul/{version('longhaul')}",
            },
            extensions={"sni_hostname": url.host},
        )
        response = await self._http.send(request, stream=True)
        await response.aclose()
        return response.status_code


async def _resolve(url: httpx2.URL) -> list[str]:
    port = url.port or (443 if url.scheme == "https" else 80)
    found = await asyncio.get_running_loop().getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    addresses = dict.fromkeys(str(address[0]) for *_, address in found)
    return list(addresses)[:MAX_ADDRESSES]


def _refusal(status: int) -> str:
    return "redirect" if httpx2.codes.is_redirect(status) else "status"
