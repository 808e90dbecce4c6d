"""Calls the API, and turns its answers into exit codes."""

import getpass
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import httpx2
import jwt
import typer

from longhaul.adapters.data_folder import DataFolder
from longhaul.adapters.settings import AuthMode, Settings
from longhaul.core.exit_codes import ExitCode
from longhaul.core.principals import Role

PREFIX = "/api/v1"
TIMEOUT = timedelta(seconds=30)
TOKEN_LIFETIME = timedelta(hours=12)

MOST_A_PAGE = 1_000


class Away(Exception):
    """The API cannot be reached, or answers with an error of its own; the text says which."""


class ApiClient:
    """A connection to the API of the settings, or of the stack on the data folder."""

    def __init__(self, base_url: str, token: str | None) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.base_url = base_url
        self._http = httpx2.Client(
            base_url=base_url + PREFIX, headers=headers, timeout=TIMEOUT.total_seconds()
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._http.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Send a request and return the JSON of its answer; exit with 2 or 3 on an error."""
        response = self._send(method, path, params=params, json=body, headers=headers)
        return response.json() if response.content else None

    def each(self, path: str, name: str, params: Mapping[str, Any]) -> Iterator[Any]:
        """All entries of a list, page by page; exit with 2 or 3 on an error.

        Args:
            name: The key of the entries in the answer.
        """
        cursor = None
        while True:
            more: dict[str, str] = {} if cursor is None else {"cursor": cursor}
            page = self.call("GET", path, params={**params, "limit": MOST_A_PAGE, **more})
            yield from page[name]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def upload(
        self, path: str, content: bytes, *, content_type: str, params: Mapping[str, Any]
    ) -> Any:
        """Send a body as it is and return the answer's JSON; exit with 2 or 3 on an error."""
        headers = {"Content-Type": content_type}
        return self._send("POST", path, content=content, headers=headers, params=params).json()

    def look(self, path: str) -> Any:
        """Fetch JSON for a caller who may try again; exit with 2 on an error of the caller.

        Raises:
            Away: The next try may succeed.
        """
        return self._ask("GET", path).json()

    def page(self, path: str, *, params: Mapping[str, Any] | None = None) -> bytes:
        """Fetch a body that is not JSON; exit with 2 or 3 on an error."""
        return self._send("GET", path, params=params).content

    def _send(self, method: str, path: str, **what: Any) -> httpx2.Response:
        try:
            return self._ask(method, path, **what)
        except Away as exc:
            typer.echo(str(exc), err=True)
            raise typer.Exit(ExitCode.CANNOT_REACH) from None

    def _ask(self, method: str, path: str, **what: Any) -> httpx2.Response:
        try:
            response = self._http.request(method, path, **what)
        except httpx2.TransportError as exc:
            raise Away(
                f"Cannot reach the API at {self.base_url}: {exc}\n"
                "Is it running? Start everything with `longhaul up`."
            ) from None
        if response.is_server_error:
            raise Away(_complaint(response))
        if not response.is_success:
            typer.echo(_complaint(response), err=True)
            raise typer.Exit(ExitCode.WRONG_USAGE)
        return response


def open_client(settings: Settings) -> ApiClient:
    """Connect to the API of the settings, as the user of the command."""
    given, url = settings.cli.token, settings.cli.url
    if given is not None:
        return ApiClient(url or _near_url(settings), given.get_secret_value())
    if url is not None and settings.auth.secret is None:
        # The secret in the data folder is for this machine's API only.
        return ApiClient(url, None)
    return open_client_as(settings, whoami(), [Role.ADMIN], url=url)


def open_client_as(
    settings: Settings, sub: str, roles: Sequence[Role], *, url: str | None = None
) -> ApiClient:
    """Connect to the API, this machine's if none is given, with a token signed for somebody."""
    is_off = settings.auth.mode is AuthMode.OFF
    token = None if is_off else sign_token(settings, sub, list(roles))
    return ApiClient(url or _near_url(settings), token)


def sign_token(
    settings: Settings, sub: str, roles: list[str], lob: str | None = None
) -> str | None:
    """A token signed with the configured secret, or that of the stack on the data folder.

    Args:
        lob: The line of business that it is restricted to; None for all.
    """
    if settings.auth.secret is not None:
        secret: str | None = settings.auth.secret.get_secret_value()
    else:
        secret = DataFolder(settings.data_dir).read_secret()
    if secret is None:
        return None
    claims: dict[str, Any] = {
        "sub": sub,
        "roles": roles,
        "exp": datetime.now(UTC) + TOKEN_LIFETIME,
    }
    if lob is not None:
        claims["lob"] = lob
    if settings.auth.audience:
        claims["aud"] = settings.auth.audience
    if settings.auth.issuer:
        claims["iss"] = settings.auth.issuer
    return jwt.encode(claims, secret, algorithm="HS256")


def whoami() -> str:
    """The person at this terminal."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"


def _near_url(settings: Settings) -> str:
    known = DataFolder(settings.data_dir).read_addresses().get("api")
    if known and not settings.api.model_fields_set:
        return str(known)
    return settings.api.url()


def _complaint(response: httpx2.Response) -> str:
    try:
        problem = response.json()
    except ValueError:
        return f"The API answered {response.status_code}."
    lines = [str(problem.get("detail", f"The API answered {response.status_code}."))]
    lines += [f"  {one['pointer']}: {one['detail']}" for one in problem.get("errors", [])]
    if response.status_code == httpx2.codes.UNAUTHORIZED:
        lines.append("Set LONGHAUL_CLI__TOKEN to a token of yours.")
    return "\n".join(lines)
