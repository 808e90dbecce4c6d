"""Encrypts small secrets before they are stored: AES-256-GCM, keys by id, the newest encrypts."""

import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12


class CannotOpen(Exception):
    """The key is no longer known, or the sealed secret was changed."""


class Sealer:
    """Opens what was sealed with any of its keys."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._ciphers = {key_id.encode(): AESGCM(key) for key_id, key in keys.items()}
        self._newest = next(iter(self._ciphers), None)

    @property
    def can_seal(self) -> bool:
        """Whether there is a key to seal with."""
        return self._newest is not None

    def seal(self, secret: str, owner: str) -> bytes:
        """Seal a secret so that it opens for the same owner only.

        Raises:
            CannotOpen: There is no key.
        """
        if self._newest is None:
            raise CannotOpen
        nonce = os.urandom(NONCE_BYTES)
        cipher = self._ciphers[self._newest]
        sealed = cipher.encrypt(nonce, secret.encode(), _bound_to(self._newest, owner))
        return bytes([len(self._newest)]) + self._newest + nonce + sealed

    def open(self, sealed: bytes, owner: str) -> str:
        """Open a secret of an owner.

        Raises:
            CannotOpen: It cannot be opened.
        """
        end = 1 + sealed[0]
        key_id, nonce, rest = sealed[1:end], sealed[end : end + NONCE_BYTES], sealed[end:]
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise CannotOpen
        try:
            return cipher.decrypt(nonce, rest[NONCE_BYTES:], _bound_to(key_id, owner)).decode()
        except InvalidTag:
            raise CannotOpen from None


def _bound_to(key_id: bytes, owner: str) -> bytes:
    return key_id + b"\0" + owner.encode()
