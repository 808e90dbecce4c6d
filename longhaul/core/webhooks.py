"""Webhooks: where they may point, how they are signed, and when a delivery is tried again.

Headers and signature are those of Standard Webhooks (https://www.standardwebhooks.com), so
that receivers find a library that checks them.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from longhaul.core.errors import InvalidInput

SECRET_BYTES = 32
SECRET_PREFIX = "whsec_"

# A failed delivery is tried again after each of these waits; about a day in all.
WAITS = (
    timedelta(seconds=5),
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
    timedelta(hours=14),
)

PRIVATE_TARGET = "private_target"

_NAT64 = ip_address("64:ff9b::")

# What Python's tables call global, in one of its versions or in all: protocol assignments,
# IPv4 inside IPv6 in forms that are out of use or local, and site-local addresses.
_NEVER = tuple(
    ip_network(one)
    for one in ("192.0.0.0/24", "::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48", "fec0::/10")
)
_LAST_32_BITS = 0xFFFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """The result of sending a delivery once.

    Attributes:
        error: Why it failed, as a stable word; None for an answer of 2xx.
        is_final: There is no point in trying again.
    """

    status_code: int | None = None
    error: str | None = None
    duration_ms: int = 0
    is_final: bool = False


def new_secret() -> str:
    """A secret that nobody can guess."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signed_headers(secret: str, delivery_id: str, timestamp: int, body: bytes) -> Mapping[str, str]:
    """The headers that prove who sent a body, and when."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    message = f"{delivery_id}.{timestamp}.".encode() + body
    signature = base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
    }


def check_url(url: str, *, allow_private: bool) -> None:
    """Refuse addresses that no webhook may have; the addresses of a name are checked later.

    Raises:
        InvalidInput: It is not the address of a web server, or it is not allowed here.
    """
    schemes = ("https", "http") if allow_private else ("https",)
    complaint = f"A webhook's address begins with {' or '.join(schemes)}:// and a host."
    try:
        parts = urlsplit(url)
        # As DNS is asked; it refuses labels that are empty or too long.
        host = (parts.hostname or "").encode("idna")
        is_complete = parts.scheme in schemes and host and parts.port != 0
    except ValueError:
        raise InvalidInput(complaint) from None
    if not is_complete:
        raise InvalidInput(complaint)
    if parts.username is not None or parts.fragment:
        raise InvalidInput("A webhook's address has no user, password or fragment.")
    if not allow_private and not _may_be_public(parts.hostname or ""):
        raise InvalidInput("Webhooks may not reach private addresses here.")


def is_public(address: str) -> bool:
    """Whether an address belongs to the public internet, in any notation."""
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        inner = _wrapped(found)
        if inner is not None:
            return is_public(str(inner))
    is_denied = any(found in network for network in _NEVER)
    return found.is_global and not found.is_multicast and not is_denied


def _wrapped(address: IPv6Address) -> IPv4Address | None:
    if int(address) >> 32 == int(_NAT64) >> 32:
        return IPv4Address(int(address) & _LAST_32_BITS)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)


def _may_be_public(host: str) -> bool:
    try:
        return is_public(host)
    except ValueError:
        name = host.rstrip(".").lower()
        return name != "localhost" and not name.endswith(".localhost")
