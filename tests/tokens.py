"""Tokens as an identity provider would sign them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

SECRET = "a secret of the tests that is long enough"


def token(sub: str = "u-1", *roles: str, secret: str = SECRET, **claims: Any) -> str:
    """A token signed with a secret, the tests' own when none is given."""
    expiry = datetime.now(UTC) + timedelta(hours=1)
    return jwt.encode({"sub": sub, "roles": roles, "exp": expiry, **claims}, secret)
