"""The folder that holds what the embedded servers store; one stack at a time uses it."""

import base64
import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SECRET_BYTES = 32
LEAVING_PATIENCE = 20.0


class FolderInUse(Exception):
    """Another stack runs on this folder."""


class DataFolder:
    """Paths and small files of one stack."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    @property
    def postgres(self) -> Path:
        """Where PostgreSQL keeps its cluster."""
        return self.path / "postgres"

    @property
    def temporal(self) -> Path:
        """The file of Temporal's dev server."""
        return self.path / "temporal.db"

    def log(self, name: str) -> Path:
        """The log of one process."""
        return self.path / "logs" / f"{name.lower()}.log"

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Keep other stacks out; yields a descriptor that the stack's processes inherit.

        While any of them lives the folder stays locked, also when their parent was killed.

        Raises:
            FolderInUse: Another stack runs here.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._take(lock)
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)
            yield lock
        finally:
            os.close(lock)

    def read_secret(self) -> str | None:
        """The secret that signs tokens for the stack here; None before its first start."""
        return self._read("secret")

    def make_secret(self) -> str:
        """The secret that signs tokens for the stack here; made at its first start."""
        return self._read("secret") or self._write("secret", secrets.token_hex(SECRET_BYTES))

    def make_key(self) -> str:
        """The key that seals the secrets of webhooks here; made at the first start."""
        key = base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
        return self._read("key") or self._write("key", f"local:{key}")

    def _read(self, name: str) -> str | None:
        file = self.path / name
        return file.read_text().strip() if file.exists() else None

    def _write(self, name: str, value: str) -> str:
        descriptor = os.open(self.path / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as out:
            out.write(value)
        return value

    def read_addresses(self) -> Mapping[str, Any]:
        """Where the last stack on this folder listened; empty before the first."""
        file = self.path / "stack.json"
        return dict(json.loads(file.read_text())) if file.exists() else {}

    def write_addresses(self, addresses: Mapping[str, Any]) -> None:
        """Note where this stack listens, for the commands that speak to it."""
        unfinished = self.path / "stack.json.new"
        unfinished.write_text(json.dumps(addresses, indent=1))
        unfinished.replace(self.path / "stack.json")

    def _take(self, lock: int) -> None:
        give_up = time.monotonic() + LEAVING_PATIENCE
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = os.pread(lock, 20, 0).decode()
                if _is_alive(owner) or time.monotonic() > give_up:
                    raise FolderInUse(
                        f"Another `longhaul up` (process {owner or 'unknown'}) runs on "
                        f"{self.path}. Stop it, or set LONGHAUL_DATA_DIR to another folder."
                    ) from None
                # Its parent was killed and its servers are on their way out.
                time.sleep(0.1)
            else:
                return


def _is_alive(pid: str) -> bool:
    if not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
