"""The blob store: a folder, or any service that speaks S3."""

import asyncio
from datetime import timedelta
from pathlib import Path

from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, S3Store

from longhaul.adapters.settings import BlobSettings
from longhaul.core.blobs import MAX_BLOB, BlobMissing, BlobTooLarge, blob_key, is_blob_key
from longhaul.core.errors import Unavailable

TIMEOUT = timedelta(seconds=30)
_RETRY = timedelta(seconds=10)


class ObjectBlobs:
    """Keeps blobs in an object store of `obstore`."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def put(self, content: bytes) -> str:
        """Store a content and return its hash; storing it again changes nothing."""
        key = await asyncio.to_thread(blob_key, content)
        try:
            await self._store.put_async(_path(key), content)
        except (BaseError, OSError) as exc:
            raise _away() from exc
        return key

    async def get(self, key: str) -> bytes:
        """The content with this hash."""
        if not is_blob_key(key):
            raise BlobMissing(key)
        try:
            found = await self._store.get_async(_path(key))
            if found.meta["size"] > MAX_BLOB:
                raise BlobTooLarge
            content = bytes(await found.bytes_async())
        except FileNotFoundError as exc:
            raise BlobMissing(key) from exc
        except (BaseError, OSError) as exc:
            raise _away() from exc
        # A damaged file is not the content of this hash.
        if await asyncio.to_thread(blob_key, content) != key:
            raise BlobMissing(key)
        return content


def open_blobs(settings: BlobSettings, data_dir: Path) -> ObjectBlobs:
    """Open the store that the settings name; nothing is sent before it is used.

    Raises:
        ValueError: The URL is not that of a bucket.
    """
    if settings.url is None:
        return ObjectBlobs(LocalStore(data_dir.absolute() / "documents", mkdir=True))
    config: dict[str, object] = {"region": settings.region}
    if settings.endpoint is not None:
        config["endpoint"] = settings.endpoint
    if settings.access_key_id is not None:
        config["access_key_id"] = settings.access_key_id
    if settings.secret_access_key is not None:
        config["secret_access_key"] = settings.secret_access_key.get_secret_value()
    is_plain = (settings.endpoint or "").startswith("http://")
    store = S3Store.from_url(
        settings.url,
        config=config,  # type: ignore[arg-type] # a TypedDict of sixty keys
        client_options={"timeout": TIMEOUT, "allow_http": is_plain},
        retry_config={"max_retries": 3, "retry_timeout": _RETRY},
    )
    return ObjectBlobs(store)


def _path(key: str) -> str:
    # Folders of a few thousand files at most, however many documents there are.
    return f"{key[:2]}/{key}"


def _away() -> Unavailable:
    return Unavailable("The store of documents did not answer.")
