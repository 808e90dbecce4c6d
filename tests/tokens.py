"""Tokens as an identity provider would sign them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

SECRET = "a secret of the tests that is long enough"


def token(sub: str = "u-1", *roles: str, **claims: Any) -> str:
    """A token signed with the tests' secret."""
    expiry = datetime.now(UTC) + timedelta(hours=1)
    return jwt.encode({"sub": sub, "roles": roles, "exp": expiry, **claims}, SECRET)
