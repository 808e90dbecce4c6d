"""Turns a bearer token into a principal."""

import asyncio
import math
from datetime import timedelta
from typing import Any, Protocol

import httpx2
import jwt
from jwt import PyJWKSet

from longhaul.adapters.settings import AuthMode, AuthSettings
from longhaul.core.errors import NotAuthenticated, Unavailable
from longhaul.core.principals import Principal, Role

LEEWAY = timedelta(seconds=10)
KEYS_KEPT_FOR = timedelta(minutes=10)
KEYS_ASKED_AT_MOST_EVERY = timedelta(seconds=10)
FETCH_TIMEOUT = timedelta(seconds=5)

_DEVELOPER = Principal(sub="dev", roles=frozenset({Role.ADMIN}))


class Authenticator(Protocol):
    """Finds the sender of a request."""

    async def principal(self, token: str | None) -> Principal:
        """Read the bearer token of a request; None if there is none.

        Raises:
            NotAuthenticated: It is not valid.
        """


def authenticator(settings: AuthSettings) -> Authenticator:
    """The authentication of the settings.

    Raises:
        ValueError: The settings require tokens but have no key to check them.
    """
    if settings.mode is AuthMode.OFF:
        return Everyone()
    if settings.jwks_url is not None:
        return BearerTokens(settings, PublishedKeys(settings.jwks_url))
    if settings.secret is None:
        raise ValueError("Set LONGHAUL_AUTH__SECRET or LONGHAUL_AUTH__JWKS_URL.")
    return BearerTokens(settings, SharedSecret(settings.secret.get_secret_value()))


class Everyone:
    """Treats every caller as the developer at this machine."""

    async def principal(self, token: str | None) -> Principal:
        """The developer, with the role Admin."""
        return _DEVELOPER


class Keys(Protocol):
    """Finds the key of a token."""

    algorithms: list[str]

    async def key_of(self, token: str) -> Any:
        """The key that should have signed a token."""


class SharedSecret:
    """HS256 with our secret."""

    algorithms = ["HS256"]  # noqa: RUF012 - PyJWT wants a list

    def __init__(self, secret: str) -> None:
        self._secret = secret

    async def key_of(self, token: str) -> Any:
        """The secret, whatever the token."""
        return self._secret


class PublishedKeys:
    """RS256 or ES256 with keys published at a URL; fetched again for an unknown key.

    The known keys stay in use while newer ones are fetched, or cannot be fetched.

    Args:
        ask_at_most_every: The minimum time between fetches, also for unknown keys and errors.
        keep_for: After this time the known keys are fetched again.
    """

    algorithms = ["RS256", "ES256"]  # noqa: RUF012 - PyJWT wants a list

    def __init__(
        self,
        url: str,
        *,
        ask_at_most_every: timedelta = KEYS_ASKED_AT_MOST_EVERY,
        keep_for: timedelta = KEYS_KEPT_FOR,
    ) -> None:
        self._url = url
        self._pace = ask_at_most_every.total_seconds()
        self._keep_for = keep_for.total_seconds()
        self._keys: dict[str | None, Any] = {}
        self._asked_at = -math.inf
        self._fetched_at = -math.inf
        self._fetching = asyncio.Lock()
        self._renewal: asyncio.Task[None] | None = None

    async def key_of(self, token: str) -> Any:
        """The published key that the token names.

        Raises:
            NotAuthenticated: No such key is published.
            Unavailable: The keys cannot be fetched.
        """
        key_id = jwt.get_unverified_header(token).get("kid")
        if key_id not in self._keys:
            await self._renew(key_id)
        elif self._is_stale(key_id) and (self._renewal is None or self._renewal.done()):
            self._renewal = asyncio.create_task(self._renew(key_id))
        if key_id in self._keys:
            return self._keys[key_id]
        if self._fetched_at < self._asked_at:
            raise Unavailable("The keys for tokens cannot be fetched; try again soon.")
        raise NotAuthenticated("The token was signed with a key that is not published.")

    async def _renew(self, key_id: str | None) -> None:
        async with self._fetching:
            if self._is_stale(key_id):
                await self._fetch()

    def _is_stale(self, key_id: str | None) -> bool:
        now = asyncio.get_running_loop().time()
        if now - self._asked_at < self._pace:
            return False
        return key_id not in self._keys or now - self._fetched_at > self._keep_for

    async def _fetch(self) -> None:
        self._asked_at = asyncio.get_running_loop().time()
        try:
            async with httpx2.AsyncClient(timeout=FETCH_TIMEOUT.total_seconds()) as client:
                response = await client.get(self._url)
            response.raise_for_status()
            keys = PyJWKSet.from_dict(response.json())
        except (httpx2.HTTPError, jwt.PyJWTError, ValueError, AttributeError, TypeError):
            # The last two are PyJWT's for JSON that is not a key set.
            return
        self._keys = {key.key_id: key for key in keys.keys}
        self._fetched_at = asyncio.get_running_loop().time()


class BearerTokens:
    """Checks JSON Web Tokens."""

    def __init__(self, settings: AuthSettings, keys: Keys) -> None:
        self._audience = settings.audience
        self._issuer = settings.issuer
        self._keys = keys

    async def principal(self, token: str | None) -> Principal:
        """The principal that a valid token names."""
        if token is None:
            raise NotAuthenticated("Send a bearer token in the Authorization header.")
        try:
            claims = jwt.decode(
                token,
                await self._keys.key_of(token),
                algorithms=self._keys.algorithms,
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY,
                options={
                    "require": ["exp", "sub"],
                    "verify_aud": self._audience is not None,
                },
            )
        except jwt.ExpiredSignatureError:
            raise NotAuthenticated("The token has expired; get a new one.") from None
        except jwt.PyJWTError:
            raise NotAuthenticated("The token is not valid.") from None
        return _principal(claims)


def _principal(claims: dict[str, Any]) -> Principal:
    sub, roles, lob = claims["sub"], claims.get("roles", []), claims.get("lob")
    readable = isinstance(roles, list) and all(isinstance(role, str) for role in roles)
    if not sub or not readable or not isinstance(lob, str | None):
        raise NotAuthenticated("The token's claims `sub`, `roles` or `lob` cannot be read.")
    return Principal(sub=sub, roles=frozenset(roles), lob=lob)
