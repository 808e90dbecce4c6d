"""One suite for every blob store."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest
from obstore.store import MemoryStore
from pydantic import SecretStr, ValidationError

from longhaul.adapters.blobs import ObjectBlobs, open_blobs
from longhaul.adapters.settings import BlobSettings
from longhaul.core.blobs import MAX_BLOB, BlobMissing, BlobStore, BlobTooLarge
from longhaul.core.errors import Unavailable
from tests.s3 import serve_s3


def s3(endpoint: str) -> BlobSettings:
    return BlobSettings(
        url="s3://documents/longhaul",
        endpoint=endpoint,
        access_key_id="key-id",
        secret_access_key=SecretStr("key"),
    )


@pytest.fixture(params=["folder", "memory", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BlobStore]:
    if request.param == "folder":
        yield open_blobs(BlobSettings(), tmp_path)
    elif request.param == "memory":
        yield ObjectBlobs(MemoryStore())
    else:
        with serve_s3() as (endpoint, _):
            yield open_blobs(s3(endpoint), tmp_path)


async def test_what_is_stored_comes_back(blobs: BlobStore) -> None:
    for content in (b"", b"one", bytes(range(256)) * 1_000):
        assert await blobs.get(await blobs.put(content)) == content


async def test_storing_again_changes_nothing(blobs: BlobStore) -> None:
    assert await blobs.put(b"same") == await blobs.put(b"same")


@pytest.mark.parametrize("key", ["0" * 64, "", "../../etc/passwd", "A" * 64, "0" * 63 + "\n"])
async def test_what_was_never_stored_is_missing(blobs: BlobStore, key: str) -> None:
    with pytest.raises(BlobMissing):
        await blobs.get(key)


async def test_what_is_too_large_is_refused(blobs: BlobStore) -> None:
    with pytest.raises(BlobTooLarge):
        await blobs.put(bytes(MAX_BLOB + 1))


async def test_a_damaged_blob_is_missing(tmp_path: Path) -> None:
    blobs = open_blobs(BlobSettings(), tmp_path)
    key = await blobs.put(b"content")
    (file,) = (path for path in (tmp_path / "documents").rglob("*") if path.is_file())
    assert file.name == key
    file.write_bytes(b"other")

    with pytest.raises(BlobMissing):
        await blobs.get(key)


async def test_a_blob_that_grew_is_not_read(tmp_path: Path) -> None:
    blobs = open_blobs(BlobSettings(), tmp_path)
    key = await blobs.put(b"content")
    with (tmp_path / "documents" / key[:2] / key).open("wb") as file:
        file.truncate(MAX_BLOB + 1)

    with pytest.raises(BlobTooLarge):
        await blobs.get(key)


async def test_a_large_content_is_hashed_in_no_thread_that_others_wait_for(tmp_path: Path) -> None:
    blobs = open_blobs(BlobSettings(), tmp_path)
    called: set[str] = set()

    def note(frame: FrameType, _event: str, _arg: object) -> None:
        called.add(frame.f_code.co_name)

    sys.setprofile(note)  # of this thread only
    try:
        await blobs.get(await blobs.put(b"content"))
    finally:
        sys.setprofile(None)

    assert {"put", "get"} <= called
    assert "blob_key" not in called


async def test_objects_lie_under_the_prefix_of_the_bucket(tmp_path: Path) -> None:
    with serve_s3() as (endpoint, objects):
        key = await open_blobs(s3(endpoint), tmp_path).put(b"content")

    assert objects == {f"/documents/longhaul/{key[:2]}/{key}": b"content"}


async def test_credentials_that_are_refused_store_nothing(tmp_path: Path) -> None:
    with serve_s3() as (endpoint, objects):
        wrong = s3(endpoint).model_copy(update={"access_key_id": "nobody"})
        with pytest.raises(Unavailable):
            await open_blobs(wrong, tmp_path).put(b"content")

    assert objects == {}


async def test_a_service_that_is_away_is_unavailable(tmp_path: Path) -> None:
    blobs = open_blobs(s3("http://127.0.0.1:9"), tmp_path)

    with pytest.raises(Unavailable):
        await blobs.get("0" * 64)


def test_a_url_that_names_no_bucket_is_refused() -> None:
    with pytest.raises(ValidationError, match="s3://bucket/prefix"):
        BlobSettings(url="/var/documents")
