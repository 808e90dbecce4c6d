"""What Temporal stores is encrypted when there are keys, and readable for as long as they last."""

import asyncio
import os

import pytest
from cryptography.exceptions import InvalidTag
from redis.asyncio import Redis
from temporalio.api.common.v1 import Payload
from temporalio.client import Client

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.temporal.connection import data_converter
from longhaul.adapters.temporal.encryption import EncryptionCodec
from longhaul.core.controls import Action, Control
from longhaul.core.jobs import JobStatus
from tests.conftest import Servers
from tests.engine import open_engine
from tests.servers import connected
from tests.workflows.test_model_faults import raw_history
from tests.workflows.test_pausing import started

SECRET = "hunter2-of-the-reason"

OLD, NEW = os.urandom(32), os.urandom(32)
TEXT = Payload(metadata={"encoding": b"json/plain", "extra": b"kept"}, data=SECRET.encode())


async def test_what_is_encrypted_comes_back_whole_and_shows_nothing() -> None:
    codec = EncryptionCodec({"k1": OLD})
    empty = Payload()

    sealed = await codec.encode([TEXT, empty])
    opened = await codec.decode(sealed)

    assert opened == [TEXT, empty]
    for payload in sealed:
        raw = payload.SerializeToString()
        assert SECRET.encode() not in raw
        assert b"json/plain" not in raw
        assert payload.metadata["key-id"] == b"k1"


async def test_the_same_payload_never_looks_the_same_twice() -> None:
    codec = EncryptionCodec({"k1": OLD})

    first, second = await codec.encode([TEXT, TEXT])

    assert first.data != second.data


async def test_after_a_rotation_new_keys_write_and_old_ones_still_read() -> None:
    (before,) = await EncryptionCodec({"k1": OLD}).encode([TEXT])
    rotated = EncryptionCodec({"k2": NEW, "k1": OLD})

    (after,) = await rotated.encode([TEXT])

    assert after.metadata["key-id"] == b"k2"
    assert await rotated.decode([before, after]) == [TEXT, TEXT]


async def test_what_was_written_before_there_were_keys_is_still_read() -> None:
    assert await EncryptionCodec({"k1": OLD}).decode([TEXT]) == [TEXT]


async def test_without_its_key_nothing_is_read() -> None:
    sealed = await EncryptionCodec({"k1": OLD}).encode([TEXT])

    with pytest.raises(KeyError, match="k1"):
        await EncryptionCodec({"k2": NEW}).decode(sealed)
    with pytest.raises(InvalidTag):
        await EncryptionCodec({"k1": NEW}).decode(sealed)


@pytest.mark.parametrize("part", ["data", "key-id"])
async def test_what_was_tampered_with_is_not_read(part: str) -> None:
    codec = EncryptionCodec({"k1": OLD, "k2": OLD})
    (sealed,) = await codec.encode([TEXT])
    if part == "data":
        sealed.data = sealed.data[:-1] + bytes([sealed.data[-1] ^ 1])
    else:
        sealed.metadata["key-id"] = b"k2"

    with pytest.raises(InvalidTag):
        await codec.decode([sealed])


@pytest.mark.invariant("I10")
@pytest.mark.parametrize("keys", [{}, {"k1": OLD}], ids=["in_clear", "encrypted"])
async def test_a_history_shows_what_people_wrote_only_without_keys(
    servers: Servers,
    temporal_client: Client,
    database: PostgresDatabase,
    redis_client: Redis,
    keys: dict[str, bytes],
) -> None:
    client = await connected(servers.temporal_address, data_converter=data_converter(keys))
    async with open_engine(client, database, redis_client) as engine, engine.worker():
        engine.echo.gate = asyncio.Event()
        job_id = await engine.create(items=20, concurrency=2, failing=[3])
        await started(engine, job_id, 2)
        control = Control(action=Action.PAUSE, reason=SECRET)
        await engine.workflows.control(job_id, control)
        await engine.becomes(job_id, JobStatus.PAUSING)
        engine.echo.gate.set()
        paused = await engine.becomes(job_id, JobStatus.PAUSED)
        await engine.workflows.control(job_id, Control(action=Action.RESUME))
        job = await engine.ends(job_id)
        history = await raw_history(temporal_client.get_workflow_handle(job_id))

    assert paused.pause is not None
    assert paused.pause.reason == SECRET
    assert job.counts.ended == 20
    assert (SECRET in history) is not bool(keys)
