"""Tokens of an identity provider, checked against the keys that it publishes over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from longhaul.adapters.settings import AuthSettings
from longhaul.api.auth import BearerTokens, PublishedKeys, authenticator
from longhaul.core.errors import NotAuthenticated, Unavailable
from longhaul.core.principals import Principal, Role
from tests.waiting import until

RSA_KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
STRANGE_KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)

ISSUER, AUDIENCE = "https://login.example.org/", "longhaul"


class KeyServer:
    """Publishes keys at a URL, and counts who asks."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer = b""
        self.answers = asyncio.Event()
        self.answers.set()
        self.status = 200
        self.port = 0
        self._server: asyncio.Server

    def publish(self, **keys: Any) -> None:
        """Publish the public halves of some keys under their ids."""
        published = [as_jwk(key) | {"kid": key_id, "use": "sig"} for key_id, key in keys.items()]
        self.answer = json.dumps({"keys": published}).encode()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/.well-known/jwks.json"

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        await self.answers.wait()
        head = f"HTTP/1.1 {self.status} Keys\r\ncontent-length: {len(self.answer)}\r\n"
        writer.write(head.encode() + b"connection: close\r\n\r\n" + self.answer)
        await writer.drain()
        writer.close()


def as_jwk(key: Any) -> dict[str, Any]:
    algorithm = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    return dict(algorithm.to_jwk(key.public_key(), as_dict=True))


def sign(key: Any, key_id: str | None, algorithm: str, **claims: Any) -> str:
    whole = {
        "sub": "u-1",
        "roles": ["Tester"],
        "iss": ISSUER,
        "aud": AUDIENCE,
        "exp": datetime.now(UTC) + timedelta(hours=1),
        **claims,
    }
    return jwt.encode(whole, key, algorithm=algorithm, headers={"kid": key_id} if key_id else None)


@pytest.fixture
async def server() -> AsyncIterator[KeyServer]:
    server = KeyServer()
    server.publish(r1=RSA_KEY, e1=EC_KEY)
    await server.open()
    yield server
    await server.close()


def settings(server: KeyServer) -> AuthSettings:
    return AuthSettings(jwks_url=server.url, issuer=ISSUER, audience=AUDIENCE)


def impatient(server: KeyServer) -> BearerTokens:
    """Fetches the keys for every unknown one."""
    keys = PublishedKeys(server.url, ask_at_most_every=timedelta(0))
    return BearerTokens(settings(server), keys)


@pytest.mark.parametrize(
    ("key", "key_id", "algorithm"), [(RSA_KEY, "r1", "RS256"), (EC_KEY, "e1", "ES256")]
)
async def test_a_token_signed_with_a_published_key_names_its_principal(
    server: KeyServer, key: Any, key_id: str, algorithm: str
) -> None:
    checked = authenticator(settings(server))

    principal = await checked.principal(sign(key, key_id, algorithm, lob="retail"))

    assert principal == Principal(sub="u-1", roles=frozenset({Role.TESTER}), lob="retail")


async def test_keys_are_asked_for_once_however_many_tokens_come(server: KeyServer) -> None:
    checked = authenticator(settings(server))

    await asyncio.gather(*(checked.principal(sign(RSA_KEY, "r1", "RS256")) for _ in range(50)))

    assert server.asked == 1


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"iss": "https://elsewhere.example.org/"},
        {"exp": datetime.now(UTC) - timedelta(minutes=5)},
        {"nbf": datetime.now(UTC) + timedelta(hours=1)},
        {"sub": ""},
        {"roles": "Admin"},
    ],
)
async def test_claims_that_are_not_for_us_are_refused(
    server: KeyServer, claims: dict[str, Any]
) -> None:
    checked = authenticator(settings(server))

    with pytest.raises(NotAuthenticated):
        await checked.principal(sign(RSA_KEY, "r1", "RS256", **claims))


def public_pem(key: Any) -> bytes:
    return bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def forged_with_the_public_key() -> str:
    """A token that a verifier accepts if the token may choose HS256: the public key as a secret."""
    header = {"alg": "HS256", "typ": "JWT", "kid": "r1"}
    claims = {"sub": "u-1", "roles": ["Admin"], "iss": ISSUER, "aud": AUDIENCE, "exp": 4102444800}
    text = ".".join(
        jwt.utils.base64url_encode(json.dumps(part).encode()).decode() for part in (header, claims)
    )
    algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    signature = algorithm.sign(text.encode(), public_pem(RSA_KEY))
    return f"{text}.{jwt.utils.base64url_encode(signature).decode()}"


@pytest.mark.parametrize(
    "token",
    [
        sign(STRANGE_KEY, "r1", "RS256"),
        sign(STRANGE_KEY, "unknown", "RS256"),
        sign(RSA_KEY, None, "RS256"),
        sign(RSA_KEY, "e1", "RS256"),
        sign(RSA_KEY, "r1", "RS512"),
        sign(None, "r1", "none"),
        forged_with_the_public_key(),
        "nonsense",
    ],
    ids=[
        "strange_key", "unknown_id", "no_id", "another_kind", "another_hash", "unsigned",
        "forged", "nonsense",
    ],
)  # fmt: skip
async def test_what_no_published_key_has_signed_is_refused(server: KeyServer, token: str) -> None:
    checked = authenticator(settings(server))

    with pytest.raises(NotAuthenticated):
        await checked.principal(token)


async def test_unknown_keys_do_not_make_us_ask_again_and_again(server: KeyServer) -> None:
    checked = authenticator(settings(server))

    for number in range(20):
        with pytest.raises(NotAuthenticated, match="not published"):
            await checked.principal(sign(STRANGE_KEY, f"k{number}", "RS256"))

    assert server.asked == 1


async def test_a_new_key_is_found_and_a_withdrawn_one_is_refused(server: KeyServer) -> None:
    checked = impatient(server)
    await checked.principal(sign(RSA_KEY, "r1", "RS256"))
    server.publish(r2=STRANGE_KEY)

    principal = await checked.principal(sign(STRANGE_KEY, "r2", "RS256"))

    assert principal.sub == "u-1"
    with pytest.raises(NotAuthenticated):
        await checked.principal(sign(RSA_KEY, "r1", "RS256"))


async def test_nobody_with_a_known_key_waits_while_the_keys_are_renewed(server: KeyServer) -> None:
    keys = PublishedKeys(server.url, ask_at_most_every=timedelta(0), keep_for=timedelta(0))
    checked = BearerTokens(settings(server), keys)
    await checked.principal(sign(RSA_KEY, "r1", "RS256"))
    server.answers.clear()
    server.publish(r2=STRANGE_KEY)

    for _ in range(5):
        await checked.principal(sign(RSA_KEY, "r1", "RS256"))
        await until(lambda: asked(server, 2), what="the keys to be asked for")
    asked_meanwhile = server.asked
    server.answers.set()
    principal = await checked.principal(sign(STRANGE_KEY, "r2", "RS256"))

    assert principal.sub == "u-1"
    # A caller that waits in vain gives up, and the next one asks again.
    assert asked_meanwhile == 2
    with pytest.raises(NotAuthenticated):
        await checked.principal(sign(RSA_KEY, "r1", "RS256"))


async def asked(server: KeyServer, times: int) -> bool:
    return server.asked >= times


async def test_keys_of_other_kinds_beside_ours_do_no_harm(server: KeyServer) -> None:
    server.publish(r1=RSA_KEY)
    published = json.loads(server.answer)
    published["keys"].insert(0, {"kty": "of-tomorrow", "kid": "t1", "use": "sig"})
    server.answer = json.dumps(published).encode()

    principal = await impatient(server).principal(sign(RSA_KEY, "r1", "RS256"))

    assert principal.sub == "u-1"


@pytest.mark.parametrize(
    ("status", "answer"), [(500, b"oops"), (200, b"<html>"), (200, b"[]"), (200, b'{"keys": []}')]
)
async def test_without_keys_callers_are_told_to_come_again(
    server: KeyServer, status: int, answer: bytes
) -> None:
    server.status, server.answer = status, answer
    checked = authenticator(settings(server))

    for _ in range(3):
        with pytest.raises(Unavailable):
            await checked.principal(sign(RSA_KEY, "r1", "RS256"))

    assert server.asked == 1


async def test_known_keys_stay_in_use_while_their_server_is_away(server: KeyServer) -> None:
    checked = impatient(server)
    await checked.principal(sign(RSA_KEY, "r1", "RS256"))
    await server.close()

    with pytest.raises(Unavailable):
        await checked.principal(sign(STRANGE_KEY, "r2", "RS256"))
    principal = await checked.principal(sign(RSA_KEY, "r1", "RS256"))

    await server.open()
    assert principal.sub == "u-1"
